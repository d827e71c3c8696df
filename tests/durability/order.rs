//! What a client asks an agent for.

use a2ad::pb::part::Content;
use a2ad::pb::{Message, Part, Role, SendMessageConfiguration, SendMessageRequest};

/// A text for an agent.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    pub agent: &'a str,
    pub text: &'a str,
    /// The answer is wanted before the task has ended.
    pub immediately: bool,
    /// The task that the text continues.
    pub task: Option<&'a str>,
}

impl<'a> Order<'a> {
    /// A new task, whose end is waited for.
    pub fn new(agent: &'a str, text: &'a str) -> Self {
        Self {
            agent,
            text,
            immediately: false,
            task: None,
        }
    }

    /// The request, with this id of its message.
    pub fn request(&self, message: &str) -> SendMessageRequest {
        let part = Part {
            content: Some(Content::Text(self.text.to_owned())),
            ..Part::default()
        };
        SendMessageRequest {
            tenant: self.agent.to_owned(),
            message: Some(Message {
                message_id: message.to_owned(),
                role: Role::User.into(),
                parts: vec![part],
                task_id: self.task.unwrap_or_default().to_owned(),
                ..Message::default()
            }),
            configuration: Some(SendMessageConfiguration {
                return_immediately: self.immediately,
                ..SendMessageConfiguration::default()
            }),
            ..SendMessageRequest::default()
        }
    }
}
