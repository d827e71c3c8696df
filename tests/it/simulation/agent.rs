//! An agent that does what its message says, word by word.

use std::sync::Arc;
use std::time::Duration;

use a2ad::agent::{
    Agent, AgentError, AgentExecutor, AgentOptions, CancelOutcome, Recovery, RequestContext, TaskUpdater,
};
use a2ad::pb::{AgentCapabilities, AgentCard, Artifact};

use crate::support::messages::text;
use crate::support::random::Random;

/// Executions of one agent at once: few, so that the limit is met.
pub const EXECUTIONS_MAX: usize = 4;

/// Those of one owner.
pub const EXECUTIONS_PER_OWNER_MAX: usize = 3;

/// Agents of every simulation, and what becomes of their tasks when the process dies.
pub const NAMES: [&str; 2] = ["again", "once"];

pub struct Actor(Recovery);

/// Both agents, with all their permits.
pub fn agents() -> Vec<Agent> {
    let agent = |name: &str, recovery| {
        let options = AgentOptions {
            executions_max: EXECUTIONS_MAX,
            executions_per_owner_max: Some(EXECUTIONS_PER_OWNER_MAX),
            close_on_interrupt: recovery == Recovery::Fail,
            ..AgentOptions::default()
        };
        Agent::new(name, card(), Arc::new(Actor(recovery)), options).unwrap()
    };
    vec![
        agent(NAMES[0], Recovery::Restart),
        agent(NAMES[1], Recovery::Fail),
    ]
}

fn card() -> AgentCard {
    AgentCard {
        name: "Actor".to_owned(),
        version: "1".to_owned(),
        capabilities: Some(AgentCapabilities {
            streaming: Some(true),
            push_notifications: Some(true),
            ..AgentCapabilities::default()
        }),
        default_input_modes: vec!["text/plain".to_owned()],
        default_output_modes: vec!["text/plain".to_owned()],
        ..AgentCard::default()
    }
}

/// The words of a message: `w` works, `pN` says a line, `aN` writes artifact N, `cN` appends to it, `sN` sleeps N ms,
/// `y` lets others run, `deaf` refuses to be canceled; the last one is how it ends.
pub fn script(random: &mut Random) -> String {
    let mut words: Vec<String> = Vec::new();
    if random.chance(10) {
        words.push("deaf".to_owned());
    }
    for n in 0..random.below(7) {
        words.push(match random.below(9) {
            0 | 1 => "w".to_owned(),
            2 => format!("p{n}"),
            3 => format!("a{} c{0} c{0}", random.below(3)),
            4 => "y".to_owned(),
            5 => "s0".to_owned(),
            _ => format!("s{}", random.below(250)),
        });
    }
    let ends = [
        "done", "done", "done", "done", "ask", "ask", "ask", "auth", "fail", "reject", "error", "panic",
        "bad", "silent", "never", "reply",
    ];
    words.push(match *random.pick(&ends) {
        // What never ends must have begun, and must let itself be canceled.
        "never" if words.first().is_some_and(|word| word == "deaf") => "done".to_owned(),
        "never" => "w never".to_owned(),
        end => end.to_owned(),
    });
    words.join(" ")
}

#[async_trait::async_trait]
impl AgentExecutor for Actor {
    async fn execute(&self, request: RequestContext, updater: TaskUpdater) -> Result<(), AgentError> {
        for word in request.text().split(' ') {
            act(word, &updater).await?;
        }
        Ok(())
    }

    async fn cancel(&self, request: &RequestContext) -> CancelOutcome {
        let script = request.text();
        let pause = script.len() as u64 % 3 * 20;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        if script.starts_with("deaf") {
            return CancelOutcome::Refused("not now".to_owned());
        }
        CancelOutcome::Canceled(None)
    }

    fn recovery(&self) -> Recovery {
        self.0
    }

    fn may_reply(&self) -> bool {
        self.0 == Recovery::Fail
    }
}

async fn act(word: &str, updater: &TaskUpdater) -> Result<(), AgentError> {
    let (verb, number) = match word.find(|c: char| c.is_ascii_digit()) {
        Some(at) => word.split_at(at),
        None => (word, ""),
    };
    match verb {
        "w" => updater.working().await?,
        "p" => updater.progress(number).await?,
        "a" => updater.chunk(artifact(number), false, false).await?,
        "c" => updater.chunk(artifact(number), true, false).await?,
        "s" => tokio::time::sleep(Duration::from_millis(number.parse().unwrap())).await,
        "y" => tokio::task::yield_now().await,
        "done" => updater.complete().await?,
        "ask" => updater.ask_for_input("which one?").await?,
        "auth" => updater.ask_for_auth("who are you?").await?,
        "fail" => updater.fail("it did not work").await?,
        "reject" => updater.reject("no").await?,
        "error" => return Err(AgentError::new("an error")),
        // Without the hook, whose words nobody needs.
        "panic" => std::panic::resume_unwind(Box::new("on purpose")),
        "bad" => updater.chunk(artifact("unknown"), true, false).await?,
        "never" => std::future::pending().await,
        "reply" => updater.reply(updater.message("directly")).await?,
        // `deaf` says something about cancels, and `silent` returns without a result.
        "deaf" | "silent" => {}
        other => unreachable!("not a word of scripts: {other}"),
    }
    Ok(())
}

fn artifact(id: &str) -> Artifact {
    Artifact {
        artifact_id: format!("a{id}"),
        parts: vec![text("x")],
        ..Artifact::default()
    }
}
