//! What callers were told, held against what is stored, at every step and at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Arguments;
use std::sync::Arc;

use a2ad::context::{Principal, Scope};
use a2ad::pb::stream_response::Payload;
use a2ad::pb::{Task, TaskState};
use a2ad::repository::{ListQuery, TaskRepository as _};
use a2ad::task::{TaskEvent, is_terminal, replay};
use futures_util::FutureExt as _;

use super::world::World;
use super::{PRINCIPALS, agent};
use crate::support::messages::state;

/// Everything that was seen of one simulation.
#[derive(Default)]
pub struct Book {
    pub violations: Vec<String>,
    /// The newest generation of each task that anybody has seen.
    pub seen: BTreeMap<String, u64>,
    /// Whose tasks have been named to a caller.
    pub owners: BTreeMap<String, Scope>,
    /// Which task an acknowledged message went to; `None` for a direct answer.
    pub acknowledged: BTreeMap<String, Option<String>>,
    pub counts: BTreeMap<&'static str, usize>,
}

impl World {
    /// Notes that a promise was broken.
    pub fn blame(&self, what: Arguments<'_>) {
        self.trace.note(format_args!("!! {what}"));
        self.book.borrow_mut().violations.push(what.to_string());
    }

    pub fn count(&self, what: &'static str) {
        *self.book.borrow_mut().counts.entry(what).or_default() += 1;
    }

    /// The log as it is stored now, past all faults.
    pub fn log(&self, scope: &Scope, id: &str) -> Vec<Arc<TaskEvent>> {
        let events = self.memory.events(scope, id, 0, usize::MAX);
        events.now_or_never().expect("memory answers at once").unwrap()
    }

    /// The generation that anybody has seen of a task.
    pub fn seen(&self, id: &str) -> u64 {
        self.book.borrow().seen.get(id).copied().unwrap_or(0)
    }

    pub fn state(&self, scope: &Scope, id: &str) -> TaskState {
        let log = self.log(scope, id);
        log.iter().rev().find_map(|event| event.state).unwrap_or_default()
    }

    /// A caller was shown a task: it must be as the log has it at some generation, and not older than what anybody
    /// knew when the call began.
    pub fn saw_task(&self, scope: &Scope, task: &Task, known: u64, what: &str) {
        let log = self.log(scope, &task.id);
        let mut found = None;
        let mut folded = None;
        for event in &log {
            let before = event.generation - 1;
            folded = match replay(folded, before, std::slice::from_ref(event)) {
                Ok(folded) => folded,
                Err(error) => {
                    return self.blame(format_args!("the log of {} does not fold: {error}", task.id));
                }
            };
            if folded.as_ref() == Some(task) {
                found = Some(event.generation);
            }
        }
        match found {
            None => self.blame(format_args!(
                "{what}: task {} was shown in state {:?}, which is not committed",
                task.id,
                state(task)
            )),
            Some(generation) if generation < known => self.blame(format_args!(
                "{what}: task {} was shown at {generation} when {known} was known",
                task.id
            )),
            Some(generation) => self.learn(scope, &task.id, generation),
        }
    }

    /// A stream delivered an event: it must stand in the log, byte for byte.
    pub fn saw_event(&self, scope: &Scope, id: &str, event: &TaskEvent) {
        let log = self.log(scope, id);
        match log.get(event.generation as usize - 1) {
            Some(stored) if stored.payload == event.payload => self.learn(scope, id, event.generation),
            Some(_) => self.blame(format_args!(
                "event {} of {id} was streamed otherwise than it is stored",
                event.generation
            )),
            None => self.blame(format_args!(
                "event {} of {id} was streamed and is not committed",
                event.generation
            )),
        }
    }

    fn learn(&self, scope: &Scope, id: &str, generation: u64) {
        let mut book = self.book.borrow_mut();
        let seen = book.seen.entry(id.to_owned()).or_default();
        *seen = generation.max(*seen);
        book.owners.entry(id.to_owned()).or_insert_with(|| scope.clone());
    }

    /// A caller was told that its message was taken.
    pub fn acknowledged(&self, message: &str, task: Option<&Task>) {
        self.count("acknowledged");
        if let Some(task) = task
            && !task.history.iter().any(|heard| heard.message_id == message)
        {
            self.blame(format_args!(
                "task {} was the answer to {message}, which it never heard",
                task.id
            ));
        }
        let id = task.map(|task| task.id.clone());
        let before = self
            .book
            .borrow_mut()
            .acknowledged
            .insert(message.to_owned(), id.clone());
        if let Some(before) = before
            && before != id
        {
            self.blame(format_args!("message {message} went to {before:?} and to {id:?}"));
        }
    }

    /// All stored tasks.
    pub fn tasks(&self) -> Vec<(Scope, String)> {
        let everything = ListQuery {
            limit: usize::MAX,
            ..ListQuery::default()
        };
        let mut found = Vec::new();
        for owner in PRINCIPALS {
            for name in agent::NAMES {
                let scope = Scope {
                    agent: Arc::from(name),
                    owner: Principal::verified(owner),
                };
                let page = self.memory.list(&scope, &everything).now_or_never();
                match page.expect("memory answers at once") {
                    Ok(page) => {
                        let ids = page.tasks.into_iter().map(|stored| stored.task.id);
                        found.extend(ids.map(|id| (scope.clone(), id)));
                    }
                    Err(error) => self.blame(format_args!("a task is damaged: {error}")),
                }
            }
        }
        found.sort_by(|a, b| a.1.cmp(&b.1));
        found
    }

    /// Holds all that was said against all that is stored, when nothing moves any more.
    pub fn check_everything(&self) {
        let mut heard: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let tasks = self.tasks();
        for (scope, id) in &tasks {
            let log = self.log(scope, id);
            self.check_log(id, &log);
            for message in messages(&log) {
                heard.entry(message).or_default().push(id.clone());
            }
            let states: Vec<_> = log.iter().filter_map(|event| event.state).collect();
            let bytes: usize = log.iter().map(|event| event.payload.len()).sum();
            self.trace.note(format_args!("{id} {bytes} bytes {states:?}"));
        }
        for (message, ids) in &heard {
            if ids.len() > 1 {
                self.blame(format_args!(
                    "message {message} took effect {} times: {ids:?}",
                    ids.len()
                ));
            }
        }
        let acknowledged = self.book.borrow().acknowledged.clone();
        for (message, id) in acknowledged {
            let stored = heard.get(&message);
            if let Some(id) = id
                && !stored.is_some_and(|ids| ids.contains(&id))
            {
                self.blame(format_args!(
                    "message {message} was acknowledged and is not in {id}"
                ));
            }
        }
        let stored: BTreeSet<&String> = tasks.iter().map(|(_, id)| id).collect();
        let seen = self.book.borrow().seen.clone();
        for (id, generation) in seen {
            if !stored.contains(&id) {
                self.blame(format_args!("task {id} was seen at {generation} and is lost"));
            }
        }
    }

    fn check_log(&self, id: &str, log: &[Arc<TaskEvent>]) {
        let ends: Vec<_> = log
            .iter()
            .filter(|event| event.state.is_some_and(is_terminal))
            .map(|event| event.generation)
            .collect();
        if ends.len() > 1 || ends.first().is_some_and(|end| *end != log.len() as u64) {
            self.blame(format_args!("task {id} ended at {ends:?} of {}", log.len()));
        }
        if let Err(error) = replay(None, 0, log) {
            self.blame(format_args!("the log of {id} does not fold: {error}"));
        }
        if (log.len() as u64) < self.seen(id) {
            self.blame(format_args!(
                "task {id} was seen at {} and has {}",
                self.seen(id),
                log.len()
            ));
        }
    }
}

/// The callers' messages in a log.
pub fn messages(log: &[Arc<TaskEvent>]) -> Vec<String> {
    let mut ids = Vec::new();
    for event in log {
        if let Ok(Payload::Task(task)) = event.decode() {
            ids.extend(task.history.into_iter().map(|message| message.message_id));
        }
        if let Ok(Some(message)) = event.decode_received() {
            ids.push(message.message_id);
        }
    }
    ids
}
