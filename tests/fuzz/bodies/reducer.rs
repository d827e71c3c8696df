//! Events that happen to a task.

use a2ad::pb::{StreamResponse, Task, TaskState, TaskStatus};
use a2ad::task::{TaskEvent, apply, is_terminal, may_follow, replay};
use prost::Message as _;

const ARTIFACTS_MAX: usize = 4;

/// Messages of `StreamResponse`, each behind two bytes of length. A refused event changes nothing, one that is taken
/// obeys the rules, and the log makes the same task again.
pub fn events(input: &[u8]) {
    let mut task = Task {
        id: "t".to_owned(),
        context_id: "c".to_owned(),
        status: Some(TaskStatus {
            state: TaskState::Submitted.into(),
            ..TaskStatus::default()
        }),
        ..Task::default()
    };
    let mut log = vec![TaskEvent::creation(&task)];
    let mut rest = input;
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(behind.len());
        let (event, behind) = behind.split_at(length);
        rest = behind;
        let Ok(StreamResponse {
            payload: Some(payload),
        }) = StreamResponse::decode(event)
        else {
            continue;
        };
        let (before, bytes) = (task.clone(), task.encode_to_vec());
        let applied = apply(&mut task, payload.clone(), ARTIFACTS_MAX);
        let (from, to) = (state(&before), state(&task));
        if applied.is_err() {
            assert_eq!(task.encode_to_vec(), bytes, "a refused event changed the task");
            continue;
        }
        assert!(!is_terminal(from), "{from:?} was left");
        assert!(from == to || may_follow(from, to), "{from:?} to {to:?}");
        assert!(task.history.len() >= before.history.len() && task.artifacts.len() <= ARTIFACTS_MAX);
        assert_eq!((&task.id, &task.context_id), (&before.id, &before.context_id));
        log.push(TaskEvent::encode(log.len() as u64 + 1, &payload));
    }
    let again = replay(None, 0, &log).expect("what was applied is replayed");
    assert_eq!(again.map(|task| task.encode_to_vec()), Some(task.encode_to_vec()));
}

fn state(task: &Task) -> TaskState {
    task.status
        .as_ref()
        .map_or(TaskState::Unspecified, TaskStatus::state)
}
