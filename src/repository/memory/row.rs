//! A task in memory: what its row and its log are in a database.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use super::lease::leased;
use crate::context::Scope;
use crate::pb::{Task, TaskState};
use crate::repository::retention::{Ended, Written, beginning};
use crate::repository::{Error, ListQuery, StoredTask, TaskWrite, log};
use crate::task::{TaskEvent, replay};

#[derive(Debug)]
pub(super) struct Row {
    pub(super) scope: Scope,
    pub(super) context_id: Arc<str>,
    pub(super) state: TaskState,
    pub(super) status_ms: i64,
    pub(super) generation: u64,
    pub(super) epoch: u64,
    /// Until when somebody holds the task; 0 when nobody does.
    pub(super) lease_until_ms: i64,
    pub(super) message: u32,
    pub(super) attempt: u32,
    pub(super) snapshot: Option<Bytes>,
    pub(super) snapshot_generation: u64,
    /// The generation of the first event that is kept; 1 until compaction takes some.
    pub(super) first_generation: u64,
    commits: Vec<Packed>,
    /// Whether it ever had a push configuration.
    pub(super) has_push_configs: bool,
}

/// The events of one commit.
#[derive(Debug)]
struct Packed {
    first_generation: u64,
    last_generation: u64,
    at_ms: i64,
    events: Bytes,
}

impl Row {
    pub(super) fn create(write: TaskWrite, now_ms: i64) -> Self {
        let commits = vec![Packed::of(&write)];
        Self {
            generation: write.generation(),
            commits,
            scope: write.scope,
            context_id: write.context_id,
            state: write.state,
            status_ms: write.status_ms,
            epoch: write.epoch,
            lease_until_ms: leased(write.lease, 0, now_ms),
            message: write.message,
            attempt: write.attempt,
            snapshot: write.snapshot,
            snapshot_generation: write.snapshot_generation,
            first_generation: 1,
            has_push_configs: !write.push_configs.is_empty(),
        }
    }

    pub(super) fn append(&mut self, write: TaskWrite, now_ms: i64) {
        self.commits.push(Packed::of(&write));
        self.lease_until_ms = leased(write.lease, self.lease_until_ms, now_ms);
        self.message = write.message;
        self.attempt = write.attempt;
        self.generation = write.generation();
        self.epoch = write.epoch;
        self.state = write.state;
        self.status_ms = write.status_ms;
        if write.snapshot.is_some() {
            self.snapshot = write.snapshot;
        }
        self.snapshot_generation = write.snapshot_generation;
        self.has_push_configs |= !write.push_configs.is_empty();
    }

    pub(super) fn fold(&self, task_id: &str) -> Result<StoredTask, Error> {
        let corrupt = |cause: String| Error::Corrupt {
            task_id: task_id.to_owned(),
            generation: None,
            cause,
        };
        let snapshot = self.snapshot.clone().map(Task::decode).transpose();
        let snapshot = snapshot.map_err(|error| corrupt(error.to_string()))?;
        let tail = self.events(task_id, self.snapshot_generation, usize::MAX)?;
        let task =
            replay(snapshot, self.snapshot_generation, &tail).map_err(|error| corrupt(error.to_string()))?;
        let task = task.ok_or_else(|| corrupt("the log is empty".to_owned()))?;
        Ok(StoredTask {
            task,
            generation: self.generation,
            snapshot_generation: self.snapshot_generation,
            epoch: self.epoch,
            held: self.lease_until_ms > 0,
            message: self.message,
            attempt: self.attempt,
        })
    }

    /// At most `limit` events behind the generation `after`.
    pub(super) fn events(
        &self,
        task_id: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Arc<TaskEvent>>, Error> {
        if limit == 0 || after >= self.generation {
            return Ok(Vec::new());
        }
        if after + 1 < self.first_generation {
            return Err(Error::Expired {
                first: self.first_generation,
            });
        }
        let skipped = self
            .commits
            .partition_point(|packed| packed.last_generation <= after);
        let mut events = Vec::new();
        for packed in &self.commits[skipped..] {
            let unpacked = log::decode_all(task_id, packed.range(), packed.events.clone())?;
            let wanted = unpacked.into_iter().filter(|event| event.generation > after);
            events.extend(wanted.take(limit - events.len()));
            if events.len() == limit {
                break;
            }
        }
        Ok(events)
    }

    pub(super) fn matches(&self, scope: &Scope, query: &ListQuery) -> bool {
        self.scope == *scope
            && query
                .context_id
                .as_deref()
                .is_none_or(|context_id| context_id == &*self.context_id)
            && query.state.is_none_or(|state| state == self.state)
            && query.status_after_ms.is_none_or(|after| self.status_ms >= after)
    }

    /// Removes the events up to a generation.
    fn cut(&mut self, through: u64) {
        self.commits.retain(|commit| commit.last_generation > through);
        self.first_generation = through + 1;
    }

    /// Removes old events before the snapshot and before the first one that the outbox names, if it names one; how many,
    /// and whether the limit came first.
    pub(super) fn compact(
        &mut self,
        before_ms: i64,
        first_named: Option<u64>,
        limit: usize,
        spent: u64,
    ) -> (u64, bool) {
        let end = first_named.map_or(self.snapshot_generation, |named| {
            named.min(self.snapshot_generation)
        });
        let before = |commit: &Written| commit.last_generation < end;
        let commits = self.commits.iter().map(Packed::written).take_while(before);
        let found = beginning(commits, self.first_generation, before_ms, limit, spent);
        let events = found.through + 1 - self.first_generation;
        if events > 0 {
            self.cut(found.through);
        }
        (events, found.is_cut)
    }

    pub(super) fn ended(&self, task_id: &str) -> Ended {
        Ended {
            task_id: task_id.to_owned(),
            first_generation: self.first_generation,
            generation: self.generation,
            snapshot_generation: self.snapshot_generation,
        }
    }
}

impl Packed {
    fn of(write: &TaskWrite) -> Self {
        Self {
            first_generation: write.expected_generation + 1,
            last_generation: write.generation(),
            at_ms: write.at_ms,
            events: log::encode(&write.task_id, &write.events).into(),
        }
    }

    fn range(&self) -> (u64, u64) {
        (self.first_generation, self.last_generation)
    }

    fn written(&self) -> Written {
        Written {
            last_generation: self.last_generation,
            at_ms: self.at_ms,
        }
    }
}
