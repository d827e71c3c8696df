//! The states of a task and the ways between them (specification 4.1.3).

use crate::pb::TaskState;

/// True for the four states that never change: COMPLETED, FAILED, CANCELED, REJECTED.
pub fn is_terminal(state: TaskState) -> bool {
    matches!(
        state,
        TaskState::Completed | TaskState::Failed | TaskState::Canceled | TaskState::Rejected
    )
}

/// True for the two states that wait for the caller: INPUT_REQUIRED, AUTH_REQUIRED.
pub fn is_interrupted(state: TaskState) -> bool {
    matches!(state, TaskState::InputRequired | TaskState::AuthRequired)
}

/// True for the states in which a blocking send returns (specification 3.2.2).
pub fn is_settled(state: TaskState) -> bool {
    is_terminal(state) || is_interrupted(state)
}

/// Whether a task in state `from` may go to `to`. Terminal states are final, nothing becomes SUBMITTED again, and
/// UNSPECIFIED is no state.
pub fn may_follow(from: TaskState, to: TaskState) -> bool {
    match to {
        TaskState::Unspecified => false,
        TaskState::Submitted => from == TaskState::Submitted,
        _ => !is_terminal(from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = TaskState> {
        (0..=8).filter_map(|n| TaskState::try_from(n).ok())
    }

    #[test]
    fn nothing_follows_a_terminal_state() {
        for from in all().filter(|state| is_terminal(*state)) {
            assert!(all().all(|to| !may_follow(from, to)), "{from:?}");
        }
    }

    #[test]
    fn every_open_state_can_end_in_every_terminal_one() {
        for from in all().filter(|state| !is_terminal(*state)) {
            assert!(
                all().filter(|to| is_terminal(*to)).all(|to| may_follow(from, to)),
                "{from:?}"
            );
        }
    }
}
