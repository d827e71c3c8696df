//! A caller's message to a task with a long history. Its answer is the task, so there is no aim: the figure says what a
//! long conversation costs, and that a new task in the same context is the way out.

use std::sync::Arc;

use a2ad::agent::{Agent, AgentError, AgentExecutor, AgentOptions, RequestContext, TaskUpdater};
use a2ad::execution::{Answer, Executions, NewTask, Wait};
use a2ad::pb::AgentCard;

use super::prose::Prose;
use super::store::Store;
use super::task::{engine, incoming, scope};
use super::{Pair, timed};
use crate::Outcome;
use crate::options::Options;
use crate::table::Table;

/// Messages in the history of the long task.
const HISTORY: usize = 10_000;
/// The text of each of them.
const TEXT_BYTES: usize = 200;
/// A new task is begun after so many messages, so that it stays one.
const FRESH: usize = 10;
/// Messages to either side in one round.
const SENDS: usize = 40;

/// Asks a question in every turn; behind a long monologue if the first message wants one.
struct Asking;

const MONOLOGUE: &str = "tell me everything";

#[async_trait::async_trait]
impl AgentExecutor for Asking {
    async fn execute(&self, request: RequestContext, updater: TaskUpdater) -> Result<(), AgentError> {
        if request.text() == MONOLOGUE {
            let mut prose = Prose::default();
            for _ in 0..HISTORY {
                updater.progress(&prose.next(TEXT_BYTES)).await?;
            }
        }
        updater.ask_for_input("and then?").await?;
        Ok(())
    }
}

pub async fn rows(options: &Options, store: &Store, table: &mut Table) -> Outcome {
    let engine = engine(&store.repository);
    let agent = Agent::new(
        "writing",
        AgentCard::default(),
        Arc::new(Asking),
        AgentOptions::default(),
    )?;
    let agent = Arc::new(agent);
    let long = start(&engine, &agent, MONOLOGUE).await?;
    let mut pair = Pair::default();
    for _ in 0..options.rounds * SENDS / FRESH {
        let fresh = start(&engine, &agent, "begin").await?;
        for _ in 0..FRESH {
            pair.small.push(timed(send(&engine, &agent, &fresh)).await?.0);
            pair.large.push(timed(send(&engine, &agent, &long)).await?.0);
        }
    }
    let what = "SendMessage, whole task in the answer: new task, and history of 10,000";
    pair.row(table, what, store.name, "-");
    Ok(())
}

async fn start(engine: &Executions, agent: &Arc<Agent>, text: &str) -> Outcome<String> {
    let new = NewTask {
        agent: agent.clone(),
        scope: scope(),
        context_id: None,
        incoming: incoming(text),
    };
    match engine.start(new, Wait::Settled).await? {
        Answer::Task(task, _) => Ok(task.id),
        other => Err(format!("no task: {other:?}").into()),
    }
}

async fn send(engine: &Executions, agent: &Arc<Agent>, task_id: &str) -> Outcome {
    let message = incoming("go on");
    match engine
        .send(agent, &scope(), task_id, message, Wait::Settled)
        .await?
    {
        Answer::Task(..) => Ok(()),
        other => Err(format!("no task: {other:?}").into()),
    }
}
