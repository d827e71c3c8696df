//! One request, from its beginning to its end.

use std::borrow::Cow;
use std::time::Duration;

use a2ad::client::{Client, Error};
use a2ad::pb::send_message_response::Payload;
use a2ad::pb::{GetTaskRequest, Message, Part, Role, SendMessageRequest, Task};
use a2ad::task::new_id;
use tokio::time::Instant;

use crate::cli::agent::failure::{Code, Failure};
use crate::cli::agent::render::{Shown, state_name};

/// What is asked for.
pub enum Work {
    Send(Vec<Part>),
    Stream(Vec<Part>),
    Get(String),
}

/// How a request ended.
pub struct Done {
    pub took: Duration,
    /// Until the first event of a stream.
    pub first_event: Option<Duration>,
    /// The state of the task, or what came in its place; why it failed as an error.
    pub outcome: Result<String, Cow<'static, str>>,
}

impl Done {
    /// It did not end in time.
    pub fn timeout(took: Duration) -> Self {
        Self {
            took,
            first_event: None,
            outcome: Err(Code::Timeout.name()),
        }
    }
}

impl Work {
    pub fn send(parts: Vec<Part>, is_stream: bool) -> Self {
        if is_stream {
            Self::Stream(parts)
        } else {
            Self::Send(parts)
        }
    }

    pub fn get(id: &str) -> Self {
        Self::Get(id.to_owned())
    }

    /// Makes the request once; its time counts from `began`.
    pub async fn once(&self, client: &Client, began: Instant) -> Done {
        let mut first_event = None;
        let outcome = match self {
            Self::Send(parts) => client.send(request(parts)).await.map(|sent| match sent.payload {
                Some(Payload::Task(task)) => state_of(&task),
                Some(Payload::Message(_)) => "message".to_owned(),
                None => "empty".to_owned(),
            }),
            Self::Stream(parts) => follow(client, parts, began, &mut first_event).await,
            Self::Get(id) => {
                let request = GetTaskRequest {
                    id: id.clone(),
                    history_length: Some(0),
                    ..GetTaskRequest::default()
                };
                client.task(request).await.map(|task| state_of(&task))
            }
        };
        Done {
            took: began.elapsed(),
            first_event,
            outcome: outcome.map_err(|error| Failure::from(error).code.name()),
        }
    }
}

async fn follow(
    client: &Client,
    parts: &[Part],
    began: Instant,
    first_event: &mut Option<Duration>,
) -> Result<String, Error> {
    let mut events = client.send_streaming(request(parts)).await?;
    let mut shown = Shown::default();
    let mut is_about_task = false;
    while let Some(event) = events.message().await? {
        first_event.get_or_insert_with(|| began.elapsed());
        is_about_task |= shown.see(&event);
    }
    Ok(match (is_about_task, *first_event) {
        (true, _) => state_name(shown.state),
        (false, Some(_)) => "message".to_owned(),
        (false, None) => "empty".to_owned(),
    })
}

fn state_of(task: &Task) -> String {
    state_name(
        task.status
            .as_ref()
            .map(|status| status.state)
            .unwrap_or_default(),
    )
}

fn request(parts: &[Part]) -> SendMessageRequest {
    SendMessageRequest {
        message: Some(Message {
            message_id: new_id(),
            role: Role::User.into(),
            parts: parts.to_vec(),
            ..Message::default()
        }),
        ..SendMessageRequest::default()
    }
}
