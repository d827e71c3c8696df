//! Appends to a task with a long history, next to appends to new tasks.

use super::store::Store;
use super::task::{Events, RunningTask, engine};
use super::{Pair, timed};
use crate::Outcome;
use crate::options::Options;
use crate::table::Table;

/// Messages in the history of the long task.
const HISTORY: usize = 10_000;
/// A new task is begun after so many appends, so that it stays one.
const FRESH: usize = 50;
/// Appends to either side in one round.
const APPENDS: usize = 500;

pub async fn rows(options: &Options, store: &Store, table: &mut Table) -> Outcome {
    let engine = engine(&store.repository);
    for (events, what) in [
        (
            Events::Messages,
            "append a message: new task, and history of 10,000",
        ),
        (Events::Chunks, "append a chunk: new task, and artifact of 10,000"),
    ] {
        let mut long = RunningTask::start(&engine, events).await?;
        long.append(HISTORY).await?;
        let mut pair = Pair::default();
        for _ in 0..options.rounds * APPENDS / FRESH {
            let mut fresh = RunningTask::start(&engine, events).await?;
            for _ in 0..FRESH {
                pair.small.push(timed(fresh.append(1)).await?.0);
                pair.large.push(timed(long.append(1)).await?.0);
            }
            fresh.complete().await?;
        }
        long.complete().await?;
        pair.row(table, what, store.name, "1.2");
    }
    Ok(())
}
