//! The counter: counts to the number that the message names, one chunk a number.
//!
//! It shows two things that an agent may need. It blocks its thread between two numbers, as one does that waits for a
//! device or computes, and says so: it gets threads of its own. And it starts again when its process died: what it has
//! written is in its task, so it goes on behind the last number that is there, and no number comes twice.

use std::thread;
use std::time::Duration;

use a2ad::agent::{AgentError, AgentExecutor, Recovery, RequestContext, TaskUpdater};
use a2ad::pb::part::Content;
use a2ad::pb::{AgentCapabilities, AgentCard, AgentSkill, Artifact, Part, Task};

/// The highest number.
const COUNT_MAX: usize = 100_000;
/// The longest pause, in milliseconds: an hour.
const PAUSE_MS_MAX: u64 = 3_600_000;
const ARTIFACT: &str = "numbers";

/// Counts, on a thread of its own, across crashes.
#[derive(Clone, Copy, Debug, Default)]
pub struct CounterAgent;

#[async_trait::async_trait]
impl AgentExecutor for CounterAgent {
    async fn execute(&self, request: RequestContext, updater: TaskUpdater) -> Result<(), AgentError> {
        let Some((last, pause)) = parse(&request.text()) else {
            updater.reject(&usage()).await?;
            return Ok(());
        };
        let counted = counted(&request.task());
        updater.working().await?;
        for number in counted + 1..=last {
            thread::sleep(pause);
            updater.chunk(chunk(number), number > 1, number == last).await?;
        }
        let attempts = request.attempt();
        updater.complete_with(&format!("attempts: {attempts}")).await?;
        Ok(())
    }

    fn recovery(&self) -> Recovery {
        Recovery::Restart
    }

    fn is_blocking(&self) -> bool {
        true
    }
}

/// What the agent says about itself; the runtime adds the interfaces.
pub fn card() -> AgentCard {
    AgentCard {
        name: "Counter".to_owned(),
        description: "Counts up to a number, and goes on where it was when its server died".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: Some(AgentCapabilities {
            streaming: Some(true),
            push_notifications: Some(true),
            ..AgentCapabilities::default()
        }),
        default_input_modes: vec!["text/plain".to_owned()],
        default_output_modes: vec!["text/plain".to_owned()],
        skills: vec![AgentSkill {
            id: "count".to_owned(),
            name: "Count".to_owned(),
            description: "The numbers from 1 to COUNT, each after PAUSE_MS milliseconds".to_owned(),
            tags: vec!["demo".to_owned(), "recovery".to_owned()],
            examples: vec!["10:500".to_owned()],
            ..AgentSkill::default()
        }],
        ..AgentCard::default()
    }
}

/// Reads `COUNT:PAUSE_MS`.
fn parse(text: &str) -> Option<(usize, Duration)> {
    let (count, pause_ms) = text.split_once(':')?;
    let (count, pause_ms): (usize, u64) = (count.parse().ok()?, pause_ms.parse().ok()?);
    let fine = (1..=COUNT_MAX).contains(&count) && pause_ms <= PAUSE_MS_MAX;
    fine.then(|| (count, Duration::from_millis(pause_ms)))
}

fn usage() -> String {
    format!(
        "the form is COUNT:PAUSE_MS with COUNT from 1 to {COUNT_MAX} and PAUSE_MS from 0 to {PAUSE_MS_MAX}, for \
         example 10:500"
    )
}

/// The last number that the task has; 0 for none.
fn counted(task: &Task) -> usize {
    let numbers = task
        .artifacts
        .iter()
        .find(|artifact| artifact.artifact_id == ARTIFACT);
    numbers.map_or(0, |numbers| numbers.parts.len())
}

fn chunk(number: usize) -> Artifact {
    Artifact {
        artifact_id: ARTIFACT.to_owned(),
        name: ARTIFACT.to_owned(),
        parts: vec![Part {
            content: Some(Content::Text(number.to_string())),
            ..Part::default()
        }],
        ..Artifact::default()
    }
}
