//! The bench agent: does what the text of each message says, so that a load generator can shape the work.
//!
//! It keeps nothing between messages: the same text does the same thing on a new task and on a continued one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use a2ad::agent::{AgentError, AgentExecutor, RequestContext, TaskUpdater, UpdateError};
use a2ad::pb::part::Content;
use a2ad::pb::{AgentCapabilities, AgentCard, AgentSkill, Artifact, Message, Part, TaskState};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep, sleep_until};

/// The longest that an order may take, in seconds: a day.
const SECONDS_MAX: u64 = 86_400;
/// The most chunks of one order.
const TICKS_MAX: u64 = 1_000_000;
/// The most padding of one chunk, in bytes.
const PAD_MAX: usize = 65_536;

/// Echoes, asks back, holds still or streams ticks, as the message orders.
#[derive(Clone, Copy, Debug, Default)]
pub struct BenchAgent;

#[async_trait::async_trait]
impl AgentExecutor for BenchAgent {
    async fn execute(&self, request: RequestContext, updater: TaskUpdater) -> Result<(), AgentError> {
        let text = first_text(&request.message);
        match Order::parse(text) {
            Ok(Order::Echo) => echo(text, &updater).await?,
            Ok(Order::Turn) => turn(text, &updater).await?,
            Ok(Order::Hold(time)) => hold(time, &updater).await?,
            Ok(Order::Ticks(ticks)) => ticks.run(&updater).await?,
            Err(usage) => updater.reject(&usage).await?,
        }
        Ok(())
    }
}

/// What the agent says about itself; the runtime adds the interfaces.
pub fn card() -> AgentCard {
    AgentCard {
        name: "Bench".to_owned(),
        description: "Shapes load: echoes, multi-turn tasks, silent tasks and paced streams".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: Some(AgentCapabilities {
            streaming: Some(true),
            push_notifications: Some(true),
            ..AgentCapabilities::default()
        }),
        default_input_modes: vec!["text/plain".to_owned()],
        default_output_modes: vec!["text/plain".to_owned()],
        skills: vec![
            skill(
                "echo",
                "One artifact with the text, then COMPLETED",
                "hello world",
            ),
            skill(
                "turn",
                "One artifact with the text, then INPUT_REQUIRED",
                "turn:first question",
            ),
            skill("hold", "WORKING without a word for so many seconds", "hold:2.5"),
            skill(
                "ticks",
                "A stream of N time-stamped chunks at a steady pace",
                "ticks:100:1000:0:64",
            ),
        ],
        ..AgentCard::default()
    }
}

fn skill(id: &str, description: &str, example: &str) -> AgentSkill {
    AgentSkill {
        id: id.to_owned(),
        name: id.to_owned(),
        description: description.to_owned(),
        tags: vec!["benchmark".to_owned()],
        examples: vec![example.to_owned()],
        ..AgentSkill::default()
    }
}

/// What a message orders.
enum Order {
    Echo,
    Turn,
    Hold(Duration),
    Ticks(Ticks),
}

impl Order {
    /// Reads an order; a malformed one yields the sentence that shows the right form.
    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("turn:") {
            return Ok(Self::Turn);
        }
        if let Some(seconds) = text.strip_prefix("hold:") {
            return parse_hold(seconds).map(Self::Hold).ok_or_else(hold_usage);
        }
        if let Some(fields) = text.strip_prefix("ticks:") {
            return Ticks::parse(fields).map(Self::Ticks).ok_or_else(ticks_usage);
        }
        Ok(Self::Echo)
    }
}

fn hold_usage() -> String {
    format!("the form is hold:SECONDS with SECONDS from 0 to {SECONDS_MAX}, for example hold:2.5")
}

fn ticks_usage() -> String {
    format!(
        "the form is ticks:N:US:DELAY_MS:PAD with 1 to {TICKS_MAX} chunks, US microseconds apart after \
         DELAY_MS milliseconds, each padded with 0 to {PAD_MAX} bytes, {SECONDS_MAX} seconds in all at most; for \
         example ticks:100:1000:0:64"
    )
}

fn parse_hold(seconds: &str) -> Option<Duration> {
    let seconds = seconds.parse::<f64>().ok()?;
    // The range also turns away NaN and the infinities, on which the conversion would panic.
    (0.0..=SECONDS_MAX as f64)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
}

async fn echo(text: &str, updater: &TaskUpdater) -> Result<(), UpdateError> {
    updater.working().await?;
    updater.artifact_text("echo", &format!("echo: {text}")).await?;
    updater.complete().await
}

async fn turn(text: &str, updater: &TaskUpdater) -> Result<(), UpdateError> {
    updater.artifact_text("echo", &format!("echo: {text}")).await?;
    updater.status(TaskState::InputRequired, None).await
}

async fn hold(time: Duration, updater: &TaskUpdater) -> Result<(), UpdateError> {
    updater.working().await?;
    sleep(time).await;
    updater.complete().await
}

/// A paced stream of chunks.
struct Ticks {
    count: u64,
    spacing: Duration,
    delay: Duration,
    pad: usize,
}

impl Ticks {
    /// Reads `N:US:DELAY_MS:PAD`; `None` if that is malformed or absurd.
    fn parse(fields: &str) -> Option<Self> {
        let mut fields = fields.split(':');
        let count = fields.next()?.parse::<u64>().ok()?;
        let spacing_us = fields.next()?.parse::<u64>().ok()?;
        let delay_ms = fields.next()?.parse::<u64>().ok()?;
        let pad = fields.next()?.parse::<usize>().ok()?;
        let total_us = count
            .checked_mul(spacing_us)?
            .checked_add(delay_ms.checked_mul(1_000)?)?;
        let sane = fields.next().is_none()
            && (1..=TICKS_MAX).contains(&count)
            && pad <= PAD_MAX
            && total_us <= SECONDS_MAX * 1_000_000;
        sane.then(|| Self {
            count,
            spacing: Duration::from_micros(spacing_us),
            delay: Duration::from_millis(delay_ms),
            pad,
        })
    }

    async fn run(&self, updater: &TaskUpdater) -> Result<(), UpdateError> {
        updater.working().await?;
        let mut due = Instant::now() + self.delay;
        let padding = "x".repeat(self.pad);
        for index in 0..self.count {
            // Deadlines are absolute, so the pace does not drift. The timer wakes up to a millisecond late;
            // all chunks that came due meanwhile then go out without another sleep.
            if Instant::now() < due {
                sleep_until(due).await;
            }
            // A queue that never fills never makes the updater wait; this keeps an unpaced stream from
            // holding its thread.
            consume_budget().await;
            updater
                .chunk(chunk(index, &padding), index > 0, index + 1 == self.count)
                .await?;
            due += self.spacing;
        }
        updater.complete().await
    }
}

/// `tick <index> <unix ns> xxx`. The stream completes its task, so there is only one artifact and one id.
fn chunk(index: u64, padding: &str) -> Artifact {
    let now_ns = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let text = Content::Text(format!("tick {index} {now_ns} {padding}"));
    Artifact {
        artifact_id: "ticks".to_owned(),
        name: "ticks".to_owned(),
        parts: vec![Part {
            content: Some(text),
            ..Part::default()
        }],
        ..Artifact::default()
    }
}

fn first_text(message: &Message) -> &str {
    let mut texts = message.parts.iter().filter_map(|part| match &part.content {
        Some(Content::Text(text)) => Some(text.as_str()),
        _ => None,
    });
    texts.next().unwrap_or_default()
}
