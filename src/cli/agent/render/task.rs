//! Tasks and artifacts.

use a2ad::pb::{Artifact, Task, TaskState};

use super::message::{message, metadata, parts};
use crate::cli::agent::page::Page;

/// The three fields that every answer about a task has; the state as far as it is known.
pub fn identifiers(page: &mut Page, task_id: &str, context_id: &str, state: Option<i32>) {
    page.field("Task", task_id);
    page.field("Context", context_id);
    if let Some(state) = state {
        page.field("State", state_name(state));
    }
}

/// The name of a state without what all names begin with, and a number as it came if it is no state.
pub fn state_name(state: i32) -> String {
    match TaskState::try_from(state) {
        Ok(state) => {
            let name = state.as_str_name();
            name.strip_prefix("TASK_STATE_").unwrap_or(name).to_owned()
        }
        Err(_) => state.to_string(),
    }
}

/// A whole task. Its history is shown where somebody asked for it.
pub fn task(page: &mut Page, task: &Task, next: Option<&str>, with_history: bool, is_verbose: bool) {
    let status = task.status.clone().unwrap_or_default();
    identifiers(page, &task.id, &task.context_id, Some(status.state));
    if let Some(next) = next {
        page.field("Next", next);
    }
    if is_verbose {
        if let Some(time) = &status.timestamp {
            page.field("Changed", time);
        }
        metadata(page, task.metadata.as_ref());
    }
    if with_history || is_verbose {
        for past in &task.history {
            message(page, "History", past, is_verbose);
        }
    }
    if let Some(said) = &status.message {
        message(page, "Message", said, is_verbose);
    }
    for made in &task.artifacts {
        artifact(page, made, is_verbose);
    }
}

/// An artifact, or a chunk of one.
pub fn artifact(page: &mut Page, artifact: &Artifact, is_verbose: bool) {
    let has_name = !artifact.name.is_empty();
    let name = if has_name {
        &artifact.name
    } else {
        &artifact.artifact_id
    };
    page.field("Artifact", name);
    if is_verbose {
        page.field("Artifact id", &artifact.artifact_id);
        page.field_if("Description", &artifact.description);
        for extension in &artifact.extensions {
            page.field("Extension", extension);
        }
        metadata(page, artifact.metadata.as_ref());
    }
    parts(page, &artifact.parts, is_verbose);
}
