//! Requests in one line, and answers with ids and times taken out.

use std::collections::HashMap;

use a2ad::pb::part::Content;
use a2ad::pb::send_message_response::Payload;
use a2ad::pb::{
    GetTaskRequest, Message, Part, Role, SendMessageConfiguration, SendMessageRequest, SendMessageResponse,
    SubscribeToTaskRequest, Task, TaskPushNotificationConfig, TaskState, json, stream_response,
};

pub type Event = stream_response::Payload;

pub fn text(text: &str) -> Part {
    Part {
        content: Some(Content::Text(text.to_owned())),
        ..Part::default()
    }
}

/// A message of a user with one text.
pub fn message(id: &str, said: &str) -> Message {
    Message {
        message_id: id.to_owned(),
        role: Role::User.into(),
        parts: vec![text(said)],
        ..Message::default()
    }
}

/// A send of a message to the agent that the tenant names.
pub fn send_of(agent: &str, message: Message) -> SendMessageRequest {
    SendMessageRequest {
        tenant: agent.to_owned(),
        message: Some(message),
        ..SendMessageRequest::default()
    }
}

/// A send that begins a task.
pub fn send(agent: &str, id: &str, said: &str) -> SendMessageRequest {
    send_of(agent, message(id, said))
}

/// A send that continues a task.
pub fn reply(agent: &str, task: &Task, id: &str, said: &str) -> SendMessageRequest {
    send_of(
        agent,
        Message {
            task_id: task.id.clone(),
            ..message(id, said)
        },
    )
}

/// The same send, answered before the task has settled.
pub fn at_once(request: SendMessageRequest) -> SendMessageRequest {
    configured(request, |configuration| configuration.return_immediately = true)
}

/// The same send with other configuration.
pub fn configured(
    mut request: SendMessageRequest,
    change: impl FnOnce(&mut SendMessageConfiguration),
) -> SendMessageRequest {
    change(request.configuration.get_or_insert_default());
    request
}

pub fn get(agent: &str, id: &str) -> GetTaskRequest {
    GetTaskRequest {
        tenant: agent.to_owned(),
        id: id.to_owned(),
        history_length: None,
    }
}

pub fn subscribe(agent: &str, id: &str) -> SubscribeToTaskRequest {
    SubscribeToTaskRequest {
        tenant: agent.to_owned(),
        id: id.to_owned(),
    }
}

/// A configuration as answers show it: that it has secrets, and not which.
pub fn masked(mut config: TaskPushNotificationConfig) -> TaskPushNotificationConfig {
    let authentication = config.authentication.as_mut();
    let credentials = authentication.map(|authentication| &mut authentication.credentials);
    for secret in [Some(&mut config.token), credentials].into_iter().flatten() {
        if !secret.is_empty() {
            *secret = "***".to_owned();
        }
    }
    config
}

/// The task of an answer.
#[track_caller]
pub fn task(response: SendMessageResponse) -> Task {
    match response.payload {
        Some(Payload::Task(task)) => task,
        other => panic!("not a task: {other:?}"),
    }
}

pub fn state(task: &Task) -> TaskState {
    task.status.as_ref().expect("a task has a status").state()
}

/// What an event is about, in one word.
pub fn label(event: &Event) -> String {
    match event {
        Event::Task(task) => format!("Task:{}", short(state(task))),
        Event::Message(_) => "Message".to_owned(),
        Event::StatusUpdate(update) => short(update.status.as_ref().expect("a status").state()),
        Event::ArtifactUpdate(update) => {
            let artifact = update.artifact.as_ref().expect("an artifact");
            format!("Artifact:{}", artifact.artifact_id)
        }
    }
}

fn short(state: TaskState) -> String {
    state.as_str_name().trim_start_matches("TASK_STATE_").to_owned()
}

/// The generations and labels of events.
pub fn labels(events: &[(u64, Event)]) -> Vec<String> {
    events
        .iter()
        .map(|(generation, event)| format!("{generation} {}", label(event)))
        .collect()
}

/// The ids of the messages in a task's history.
pub fn history(task: &Task) -> Vec<&str> {
    task.history
        .iter()
        .map(|message| message.message_id.as_str())
        .collect()
}

/// JSON with ids of our making numbered in the order of their appearance, and times of today as `T`.
pub fn normalised(message: &impl serde::Serialize) -> String {
    let text = String::from_utf8(json::to_vec(message).unwrap()).unwrap();
    let mut out = String::new();
    let mut known = HashMap::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find('"') {
        let (before, quoted) = rest.split_at(start + 1);
        let end = quoted.find('"').unwrap_or(quoted.len());
        let word = &quoted[..end];
        out.push_str(before);
        if is_id(word) {
            let next = known.len();
            out.push_str(&format!("id-{}", known.entry(word.to_owned()).or_insert(next)));
        } else if is_time(word) {
            out.push('T');
        } else {
            out.push_str(word);
        }
        rest = &quoted[end..];
        if let Some(after) = rest.strip_prefix('"') {
            out.push('"');
            rest = after;
        }
    }
    out + rest
}

fn is_id(word: &str) -> bool {
    word.len() == 36
        && word
            .char_indices()
            .all(|(at, c)| [8, 13, 18, 23].contains(&at) == (c == '-'))
}

fn is_time(word: &str) -> bool {
    word.len() == 24 && word.starts_with("20") && word.ends_with('Z') && word.as_bytes()[10] == b'T'
}
