//! Reading a task of many events, next to decoding what is read.

use a2ad::pb::Task;
use bytes::Bytes;
use prost::Message as _;

use super::store::Store;
use super::task::{Events, RunningTask, engine, stored};
use super::{Pair, timed};
use crate::Outcome;
use crate::options::Options;
use crate::table::Table;

/// Events of the task. While it runs, it is read behind its newest snapshot and behind as many events as come before
/// the next one: of all lengths up to this, one of the worst.
const EVENTS: usize = 10_000;
/// Reads in one round.
const READS: usize = 40;

/// The tasks that were read.
pub type Read = Vec<(&'static str, String)>;

pub async fn rows(options: &Options, store: &Store, table: &mut Table) -> Outcome<Read> {
    let engine = engine(&store.repository);
    let mut read = Vec::new();
    for (events, what) in [(Events::Messages, "messages"), (Events::Chunks, "chunks")] {
        let mut task = RunningTask::start(&engine, events).await?;
        task.append(EVENTS).await?;
        let id = task.id.clone();
        let running = format!("GetTask, running, 10,000 {what}");
        row(options, store, &id, &running, "3", table).await?;
        task.complete().await?;
        let ended = format!("GetTask, ended, 10,000 {what}");
        row(options, store, &id, &ended, "3", table).await?;
        read.push((what, id));
    }
    Ok(read)
}

/// The same ended tasks, each time as a process reads them that has not written them and reads them for the first time.
pub async fn first_reads(options: &Options, store: &Store, read: &Read, table: &mut Table) -> Outcome {
    for (what, id) in read {
        let what = format!("GetTask, ended, 10,000 {what}, for the first time");
        row(options, store, id, &what, "-", table).await?;
    }
    Ok(())
}

async fn row(
    options: &Options,
    store: &Store,
    id: &str,
    what: &str,
    aim: &str,
    table: &mut Table,
) -> Outcome {
    let encoded = Bytes::from(stored(&store.repository, id).await?.task.encode_to_vec());
    let mut pair = Pair::default();
    for _ in 0..options.rounds * READS {
        let decode = async { Ok(Task::decode(encoded.clone())?) };
        pair.small.push(timed(decode).await?.0);
        pair.large.push(timed(stored(&store.repository, id)).await?.0);
    }
    let what = format!("{what}, over decoding it");
    pair.row(table, &what, store.name, aim);
    Ok(())
}
