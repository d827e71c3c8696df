//! How results look on a terminal and in a script.

use std::io::Write;

use a2ad::pb::{Artifact, Message, Part, Task, json, part, stream_response};
use clap::ValueEnum;
use serde::Serialize;

use super::Outcome;

/// The form of results.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Format {
    /// Lines for people
    #[default]
    Text,
    /// One JSON value per line, as the protocol writes it
    Json,
}

/// Prints `value` as JSON, or what `text` says about it.
pub fn print<T: Serialize>(format: Format, value: &T, text: impl FnOnce(&T) -> String) -> Outcome {
    let mut line = match format {
        Format::Json => json::to_vec(value)?,
        Format::Text => text(value).into_bytes(),
    };
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    out.flush()?;
    Ok(())
}

/// A task in a few lines: id, state, what the agent says, what it made.
pub fn task(task: &Task) -> String {
    let status = task.status.clone().unwrap_or_default();
    let mut text = format!("task {} {}", task.id, state(status.state().as_str_name()));
    if let Some(message) = &status.message {
        text.push_str(&format!("\n  {}", words(message)));
    }
    for made in &task.artifacts {
        text.push_str(&format!("\n{}", artifact(made)));
    }
    text
}

/// One event of a stream.
pub fn event(payload: &stream_response::Payload) -> String {
    use stream_response::Payload;
    match payload {
        Payload::Task(begun) => task(begun),
        Payload::Message(message) => words(message),
        Payload::StatusUpdate(update) => {
            let status = update.status.clone().unwrap_or_default();
            let said = status
                .message
                .as_ref()
                .map(|message| format!(": {}", words(message)))
                .unwrap_or_default();
            format!("{}{said}", state(status.state().as_str_name()))
        }
        Payload::ArtifactUpdate(update) => artifact(&update.artifact.clone().unwrap_or_default()),
    }
}

/// What a message says.
pub fn words(message: &Message) -> String {
    message.parts.iter().map(content).collect::<Vec<_>>().join(" ")
}

fn artifact(made: &Artifact) -> String {
    let parts: Vec<String> = made.parts.iter().map(content).collect();
    let name = if made.name.is_empty() {
        &made.artifact_id
    } else {
        &made.name
    };
    format!("artifact {name}: {}", parts.join(" "))
}

fn content(part: &Part) -> String {
    match &part.content {
        Some(part::Content::Text(text)) => text.clone(),
        Some(part::Content::Url(url)) => url.clone(),
        Some(part::Content::Raw(raw)) => format!("({} bytes)", raw.len()),
        Some(part::Content::Data(_)) => json::to_vec(part)
            .ok()
            .and_then(|json| String::from_utf8(json).ok())
            .unwrap_or_default(),
        None => String::new(),
    }
}

fn state(name: &str) -> &str {
    name.strip_prefix("TASK_STATE_").unwrap_or(name)
}
