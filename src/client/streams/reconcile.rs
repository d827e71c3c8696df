//! What a reader has seen of a task, in little room: so that a whole task can be turned into the events that it missed.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, Hash};

use foldhash::quality::RandomState;
use prost::Message as _;

use crate::pb::stream_response::Payload;
use crate::pb::{
    Artifact, Part, StreamResponse, Task, TaskArtifactUpdateEvent, TaskState, TaskStatus,
    TaskStatusUpdateEvent,
};
use crate::task::is_terminal;

/// Fingerprints of what was told that are kept, 8 bytes each. An agent that goes round through more than this many
/// different things says something new each time.
const TOLD_MAX: usize = 1_024;

/// What was seen: the last status, and of every artifact a fingerprint of its parts.
pub(super) struct Seen {
    pub(super) task_id: String,
    context_id: String,
    status: Option<TaskStatus>,
    artifacts: HashMap<String, Print>,
    artifacts_max: usize,
    /// What the status and the artifacts have been.
    told: HashSet<u64>,
    hasher: RandomState,
    /// More artifacts than are kept in mind: what was missed can't be told any more.
    pub(super) is_lost: bool,
    /// The agent answered with a message, and there is no task.
    pub(super) is_message: bool,
}

/// The first so many parts of an artifact.
#[derive(Clone, Copy, Default, Hash)]
struct Print {
    parts: usize,
    hash: u64,
}

impl Seen {
    /// Nothing yet, of a task whose id may be known.
    pub(super) fn new(task_id: String, artifacts_max: usize) -> Self {
        Self {
            task_id,
            context_id: String::new(),
            status: None,
            artifacts: HashMap::new(),
            artifacts_max,
            told: HashSet::new(),
            hasher: RandomState::default(),
            is_lost: false,
            is_message: false,
        }
    }

    /// The last state; UNSPECIFIED before any.
    pub(super) fn state(&self) -> TaskState {
        let status = self.status.as_ref();
        status.map_or(TaskState::Unspecified, |status| status.state())
    }

    /// Whether nothing can follow.
    pub(super) fn is_over(&self) -> bool {
        self.is_message || is_terminal(self.state())
    }

    /// Takes note of an event that the reader gets. True if it makes the task what it has never been: an agent that tells
    /// the same again with each stream, or goes back and forth, has not come any further.
    pub(super) fn note(&mut self, event: &StreamResponse) -> bool {
        match &event.payload {
            Some(Payload::Task(task)) => {
                self.ids(&task.id, &task.context_id);
                self.artifacts.clear();
                let mut is_news = self.stands(task.status.as_ref());
                for artifact in &task.artifacts {
                    is_news |= self.keep(artifact, Print::default());
                }
                is_news
            }
            Some(Payload::StatusUpdate(update)) => {
                self.ids(&update.task_id, &update.context_id);
                self.stands(update.status.as_ref())
            }
            Some(Payload::ArtifactUpdate(update)) => {
                self.ids(&update.task_id, &update.context_id);
                let Some(artifact) = &update.artifact else {
                    return false;
                };
                let known = self.artifacts.get(&artifact.artifact_id);
                let before = known.filter(|_| update.append).copied();
                self.keep(artifact, before.unwrap_or_default())
            }
            Some(Payload::Message(_)) => {
                self.is_message = true;
                true
            }
            None => false,
        }
    }

    /// Takes a status for the task's own. When it was said is not what it says.
    fn stands(&mut self, status: Option<&TaskStatus>) -> bool {
        self.status = status.cloned();
        let untimed = status.cloned().map(|status| TaskStatus {
            timestamp: None,
            ..status
        });
        self.tell(untimed.map(|status| status.encode_to_vec()))
    }

    /// Whether this has not been told, as far as that is kept in mind.
    fn tell(&mut self, what: impl Hash) -> bool {
        if self.told.len() >= TOLD_MAX {
            self.told.clear();
        }
        self.told.insert(self.hasher.hash_one(what))
    }

    fn ids(&mut self, task_id: &str, context_id: &str) {
        for (known, said) in [(&mut self.task_id, task_id), (&mut self.context_id, context_id)] {
            if known.is_empty() {
                said.clone_into(known);
            }
        }
    }

    fn keep(&mut self, artifact: &Artifact, before: Print) -> bool {
        let print = self.print(before, &artifact.parts);
        let id = &artifact.artifact_id;
        if self.artifacts.len() >= self.artifacts_max && !self.artifacts.contains_key(id) {
            self.is_lost = true;
        } else {
            self.artifacts.insert(id.clone(), print);
        }
        self.tell((id, print))
    }

    fn print(&self, before: Print, parts: &[Part]) -> Print {
        parts.iter().fold(before, |print, part| Print {
            parts: print.parts + 1,
            hash: self.hasher.hash_one((print.hash, part.encode_to_vec())),
        })
    }

    /// The events that lead from what was seen to `task`: the parts that are new, artifacts that changed as a whole, and
    /// the status. What was said in between and is no longer the status is not told again.
    pub(super) fn missed(&self, task: Task) -> Vec<StreamResponse> {
        let mut events = Vec::new();
        let (task_id, context_id) = (task.id, task.context_id);
        let state = task.status.as_ref().map(TaskStatus::state);
        for mut artifact in task.artifacts {
            let known = self.artifacts.get(&artifact.artifact_id);
            let seen = known.filter(|seen| {
                let beginning = artifact.parts.get(..seen.parts);
                beginning.is_some_and(|parts| self.print(Print::default(), parts).hash == seen.hash)
            });
            if let Some(seen) = seen {
                artifact.parts.drain(..seen.parts);
            }
            if seen.is_some() && artifact.parts.is_empty() {
                continue;
            }
            let update = TaskArtifactUpdateEvent {
                task_id: task_id.clone(),
                context_id: context_id.clone(),
                artifact: Some(artifact),
                append: seen.is_some(),
                last_chunk: state.is_some_and(is_terminal),
                ..TaskArtifactUpdateEvent::default()
            };
            events.push(Payload::ArtifactUpdate(update));
        }
        if task.status.is_some() && task.status != self.status {
            let update = TaskStatusUpdateEvent {
                task_id,
                context_id,
                status: task.status,
                ..TaskStatusUpdateEvent::default()
            };
            events.push(Payload::StatusUpdate(update));
        }
        let event = |payload| StreamResponse {
            payload: Some(payload),
        };
        events.into_iter().map(event).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::client::streams::tests::{chunk, run, status, sum, task};

    proptest! {
        /// Wherever the stream broke: what was seen and what is told as missed add up to the task, and no part that was
        /// seen of an artifact that only grew is told again.
        #[test]
        fn what_was_seen_and_what_was_missed_add_up(events in run(), cut: prop::sample::Index) {
            let (before, after) = events.split_at(1 + cut.index(events.len()));
            let mut seen = Seen::new(String::new(), 100);
            for event in before {
                seen.note(event);
            }
            let whole = sum(&events);
            let missed = seen.missed(whole.clone());
            let mut all = before.to_vec();
            all.extend(missed.clone());
            let mut got = sum(&all);
            // What was said in between is not told.
            got.history.clone_from(&whole.history);
            prop_assert_eq!(&got, &whole);
            if after.is_empty() {
                prop_assert!(missed.is_empty());
            }
            for id in ["x", "y", "z"] {
                let of = |events: &[StreamResponse], grows: bool| -> usize {
                    events.iter().filter_map(|event| match &event.payload {
                        Some(Payload::ArtifactUpdate(update)) if !grows || update.append => update.artifact.as_ref(),
                        _ => None,
                    }).filter(|artifact| artifact.artifact_id == id).map(|artifact| artifact.parts.len()).sum()
                };
                // Only chunks came afterwards: then only chunks are told, with as many parts.
                if of(after, false) == of(after, true) && of(before, false) > 0 {
                    prop_assert_eq!(of(&missed, true), of(after, true));
                    prop_assert_eq!(of(&missed, false), of(after, false));
                }
            }
        }
    }

    #[test]
    fn what_was_told_before_is_no_news() {
        let mut seen = Seen::new(String::new(), 3);
        let told = [
            task("t"),
            status(TaskState::Working, None),
            status(TaskState::Working, Some("m")),
            chunk("x", &["1"], false),
            chunk("x", &["2"], true),
        ];
        assert!(told.iter().all(|event| seen.note(event)));
        // The task as it was at first, which the artifact does not stand in, and all over again.
        assert!(!told.iter().any(|event| seen.note(event)));
        assert!(!seen.note(&chunk("x", &[], true)), "nothing is added");
        assert!(seen.note(&chunk("x", &["3"], true)));
        for number in 0..3 * TOLD_MAX {
            seen.note(&status(TaskState::Working, Some(&number.to_string())));
            assert!(seen.told.len() <= TOLD_MAX);
        }
    }

    #[test]
    fn its_room_is_bounded() {
        let mut seen = Seen::new(String::new(), 3);
        seen.note(&task("t"));
        for id in ["a", "b", "c", "a"] {
            seen.note(&chunk(id, &["1"], true));
        }
        assert!(!seen.is_lost);
        seen.note(&chunk("d", &["1"], false));
        assert!(seen.is_lost);
        assert_eq!(seen.artifacts.len(), 3);
        assert!(!seen.is_over());
        seen.note(&status(TaskState::Failed, None));
        assert!(seen.is_over());
    }
}
