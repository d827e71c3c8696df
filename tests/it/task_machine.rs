//! The state machine of tasks, against every short sequence of states and against random ones of everything.

use std::collections::HashSet;
use std::sync::Arc;

use a2ad::pb::stream_response::Payload;
use a2ad::pb::{
    Artifact, Message, Part, Task, TaskArtifactUpdateEvent, TaskState, TaskStatus, TaskStatusUpdateEvent,
    part,
};
use a2ad::task::{
    Refusal, TaskEvent, apply, is_interrupted, is_settled, is_terminal, may_follow, receive, replay,
};
use proptest::prelude::*;

const ARTIFACTS_MAX: usize = 3;

fn every_state() -> Vec<TaskState> {
    let states: Vec<TaskState> = (0..100).filter_map(|n| TaskState::try_from(n).ok()).collect();
    assert_eq!(states.len(), 9, "the protocol has nine states");
    states
}

fn status(state: TaskState, said: Option<String>) -> Payload {
    let message = said.map(|message_id| Message {
        message_id,
        ..Message::default()
    });
    let status = TaskStatus {
        state: state.into(),
        message,
        timestamp: None,
    };
    Payload::StatusUpdate(TaskStatusUpdateEvent {
        status: Some(status),
        ..TaskStatusUpdateEvent::default()
    })
}

fn task(state: TaskState) -> Task {
    let status = TaskStatus {
        state: state.into(),
        ..TaskStatus::default()
    };
    Task {
        id: "t".to_owned(),
        status: Some(status),
        ..Task::default()
    }
}

fn state(task: &Task) -> TaskState {
    task.status
        .as_ref()
        .map(|status| status.state())
        .unwrap_or_default()
}

/// Walks all sequences of up to `depth` further states, comparing each step with the rules said otherwise.
fn walk(states: &[TaskState], from: &Task, depth: usize, steps: &mut usize) {
    if depth == 0 {
        return;
    }
    for to in states {
        let mut next = from.clone();
        let result = apply(&mut next, status(*to, None), ARTIFACTS_MAX);
        *steps += 1;
        let ended = matches!(state(from).as_str_name(), name if ["COMPLETED", "FAILED", "CANCELED", "REJECTED"]
            .iter()
            .any(|end| name.ends_with(end)));
        let allowed = !ended
            && *to != TaskState::Unspecified
            && (*to != TaskState::Submitted || state(from) == TaskState::Submitted);
        assert_eq!(result.is_ok(), allowed, "{:?} -> {to:?}", state(from));
        assert_eq!(allowed, may_follow(state(from), *to));
        match result {
            Ok(()) => assert_eq!(state(&next), *to),
            Err(refusal) => {
                assert_eq!(next, *from, "a refused event leaves no trace");
                assert_eq!(matches!(refusal, Refusal::Terminal(_)), ended);
            }
        }
        walk(states, &next, depth - 1, steps);
    }
}

#[test]
fn every_short_sequence_of_states_keeps_the_rules() {
    let states = every_state();
    let mut steps = 0;
    for first in &states {
        walk(&states, &task(*first), 3, &mut steps);
    }
    assert_eq!(steps, 9 * (9 + 81 + 729));
    for state in states {
        assert!(!(is_terminal(state) && is_interrupted(state)));
        assert_eq!(is_settled(state), is_terminal(state) || is_interrupted(state));
    }
}

/// Something that may happen to a task, allowed or not.
#[derive(Clone, Debug)]
enum Step {
    Status {
        state: TaskState,
        said: bool,
    },
    /// A caller's message, which makes the task WORKING.
    Hear,
    Artifact {
        id: usize,
        parts: usize,
        append: bool,
    },
    Nonsense(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        // Open states more often than final ones, so that sequences go on.
        6 => (prop::sample::select(vec![TaskState::Working, TaskState::InputRequired, TaskState::AuthRequired]),
              any::<bool>()).prop_map(|(state, said)| Step::Status { state, said }),
        1 => (prop::sample::select(every_state()), any::<bool>())
            .prop_map(|(state, said)| Step::Status { state, said }),
        2 => Just(Step::Hear),
        5 => (0..5usize, 0..3usize, any::<bool>())
            .prop_map(|(id, parts, append)| Step::Artifact { id, parts, append }),
        1 => (0..4usize).prop_map(Step::Nonsense),
    ]
}

fn payload(step: &Step, n: usize) -> Payload {
    match step {
        Step::Status { state, said } => status(*state, said.then(|| format!("said-{n}"))),
        Step::Hear => status(TaskState::Working, None),
        Step::Artifact { id, parts, append } => {
            let text = |k: usize| Some(part::Content::Text(format!("{n}-{k}")));
            let parts = (0..*parts)
                .map(|k| Part {
                    content: text(k),
                    ..Part::default()
                })
                .collect();
            // Artifact 0 has no id.
            let artifact_id = if *id == 0 { String::new() } else { format!("a{id}") };
            let artifact = Artifact {
                artifact_id,
                parts,
                ..Artifact::default()
            };
            Payload::ArtifactUpdate(TaskArtifactUpdateEvent {
                artifact: Some(artifact),
                append: *append,
                ..TaskArtifactUpdateEvent::default()
            })
        }
        Step::Nonsense(0) => Payload::Task(Task::default()),
        Step::Nonsense(1) => Payload::Message(Message::default()),
        Step::Nonsense(2) => Payload::StatusUpdate(TaskStatusUpdateEvent::default()),
        Step::Nonsense(_) => Payload::ArtifactUpdate(TaskArtifactUpdateEvent::default()),
    }
}

/// A task with its log, and what was said in the order in which it was said.
struct Life {
    task: Task,
    log: Vec<Arc<TaskEvent>>,
    heard: Vec<String>,
}

impl Life {
    fn begin() -> Self {
        let mut task = task(TaskState::Submitted);
        task.history.push(Message {
            message_id: "first".to_owned(),
            ..Message::default()
        });
        let log = vec![Arc::new(TaskEvent::creation(&task))];
        Self {
            task,
            log,
            heard: vec!["first".to_owned()],
        }
    }

    fn take(&mut self, step: &Step, n: usize) {
        let before = self.task.clone();
        let payload = payload(step, n);
        let mut event = TaskEvent::encode(self.log.len() as u64 + 1, &payload);
        if let Err(refusal) = apply(&mut self.task, payload, ARTIFACTS_MAX) {
            assert_eq!(self.task, before, "{refusal}");
            return;
        }
        assert!(!is_terminal(state(&before)), "a terminal state is final");
        match step {
            Step::Hear => {
                let message = Message {
                    message_id: format!("heard-{n}"),
                    ..Message::default()
                };
                event = event.with_received(&message);
                self.heard.push(message.message_id.clone());
                receive(&mut self.task, message);
            }
            Step::Status { said: true, .. } => self.heard.push(format!("said-{n}")),
            _ => {}
        }
        self.log.push(Arc::new(event));
    }

    /// The history, and the present status' message if there is one.
    fn messages(&self) -> Vec<String> {
        let present = self
            .task
            .status
            .as_ref()
            .and_then(|status| status.message.as_ref());
        self.task
            .history
            .iter()
            .chain(present)
            .map(|message| message.message_id.clone())
            .collect()
    }

    fn check(&self) {
        let messages = self.messages();
        let distinct: HashSet<&String> = messages.iter().collect();
        assert_eq!(
            distinct.len(),
            messages.len(),
            "every message stands in one place only"
        );
        let of = |prefix: &str, list: &[String]| -> Vec<String> {
            list.iter().filter(|id| id.starts_with(prefix)).cloned().collect()
        };
        for prefix in ["first", "heard", "said"] {
            assert_eq!(
                of(prefix, &messages),
                of(prefix, &self.heard),
                "nothing is lost, and the order is kept"
            );
        }
        assert_eq!(messages.len(), self.heard.len());
        let ids: HashSet<&str> = self
            .task
            .artifacts
            .iter()
            .map(|artifact| &*artifact.artifact_id)
            .collect();
        assert_eq!(ids.len(), self.task.artifacts.len(), "artifacts are unique");
        assert!(ids.len() <= ARTIFACTS_MAX && !ids.contains(""));
        assert!(
            self.task
                .artifacts
                .iter()
                .all(|artifact| !artifact.parts.is_empty())
        );
        let ends = self
            .log
            .iter()
            .filter(|event| event.state.is_some_and(is_terminal))
            .count();
        assert_eq!(ends, usize::from(is_terminal(state(&self.task))));
        assert_eq!(
            replay(None, 0, &self.log),
            Ok(Some(self.task.clone())),
            "the log is the truth"
        );
    }
}

proptest! {
    #[test]
    fn any_life_of_a_task_keeps_the_invariants(steps in prop::collection::vec(step(), 0..60)) {
        let mut life = Life::begin();
        for (n, step) in steps.iter().enumerate() {
            life.take(step, n);
        }
        life.check();
    }

    /// Folding may stop anywhere and go on from what it has, as snapshots do.
    #[test]
    fn a_log_may_be_folded_in_pieces(steps in prop::collection::vec(step(), 0..40), cut in any::<prop::sample::Index>()) {
        let mut life = Life::begin();
        for (n, step) in steps.iter().enumerate() {
            life.take(step, n);
        }
        let cut = cut.index(life.log.len()) + 1;
        let (head, tail) = life.log.split_at(cut);
        let half = replay(None, 0, head).unwrap();
        prop_assert_eq!(replay(half.clone(), cut as u64, tail).unwrap(), Some(life.task.clone()));
        // A log with a hole is not folded.
        if tail.len() > 1 {
            prop_assert!(replay(half, cut as u64, &tail[1..]).is_err());
        }
    }
}
