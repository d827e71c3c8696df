//! What a caller is told of a task beside the task: what to do next, and that it did not go well.

use a2ad::pb::{Task, TaskState};
use a2ad::task::is_terminal;

use super::render::state_name;
use super::session::Session;

/// The command that goes on with a task, if it is not over.
pub fn next(session: &Session, task: &Task) -> Option<String> {
    let state = task
        .status
        .as_ref()
        .map(|status| status.state())
        .unwrap_or_default();
    next_of(session, &task.id, state)
}

/// The same for a task of which id and state are known.
pub fn next_of(session: &Session, task_id: &str, state: TaskState) -> Option<String> {
    match state {
        TaskState::InputRequired | TaskState::AuthRequired => {
            Some(session.command(&["send", "--task-id", task_id, "YOUR ANSWER"]))
        }
        state if is_terminal(state) => None,
        _ => Some(session.command(&["task", "get", task_id, "--wait"])),
    }
}

/// Warns of an outcome that is no success, or none yet.
pub fn outcome(session: &Session, task: &Task) {
    let state = task
        .status
        .as_ref()
        .map(|status| status.state)
        .unwrap_or_default();
    outcome_of(session, &task.id, state);
}

/// The same for a task of which id and state are known.
pub fn outcome_of(session: &Session, task_id: &str, state: i32) {
    let name = state_name(state);
    match TaskState::try_from(state) {
        Ok(TaskState::Failed | TaskState::Rejected | TaskState::Canceled) => {
            session
                .out
                .warning(&format!("task {task_id} has ended as {name}"));
        }
        Ok(waiting @ TaskState::AuthRequired) => {
            let login = session.command(&["auth", "login"]);
            let next = next_of(session, task_id, waiting).unwrap_or_default();
            session.out.warning(&format!(
                "task {task_id} waits as {name}: do what its message asks for (to sign in to the agent itself: {login}), \
                 then go on with: {next}"
            ));
        }
        Ok(waiting @ TaskState::InputRequired) => {
            let next = next_of(session, task_id, waiting).unwrap_or_default();
            session
                .out
                .warning(&format!("task {task_id} waits as {name}; answer with: {next}"));
        }
        _ => {}
    }
}
