//! What can be asked of a task, wherever it is at the moment.

use tokio::sync::oneshot;

use super::recover::TakenOver;
use crate::context::CallContext;
use crate::error::Error;
use crate::pb::{Message, SendMessageConfiguration, Struct, Task, TaskPushNotificationConfig};
use crate::quota::Permit;
use crate::repository::IdempotencyKey;

/// When a send is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// When the task is terminal or interrupted.
    Settled,
    /// When the message is committed.
    Accepted,
}

/// A message for a task, with what came along.
#[derive(Debug)]
pub struct Incoming {
    /// The message.
    pub message: Message,
    /// How the caller wants to be answered.
    pub configuration: Option<SendMessageConfiguration>,
    /// The request's metadata.
    pub metadata: Option<Struct>,
    /// The call that it came by.
    pub call: CallContext,
    /// The key that makes the send idempotent.
    pub key: Option<IdempotencyKey>,
    /// Push configurations to store with it.
    pub push_configs: Vec<TaskPushNotificationConfig>,
    /// What it uses of its sender's quotas.
    pub permits: Permits,
}

/// What a message uses of quotas, for as long as it does.
#[derive(Debug, Default)]
pub struct Permits {
    /// Its execution, from the time at which it is accepted to the end of the execution.
    pub execution: Option<Permit>,
    /// The task that it begins, until that is stored.
    pub opening: Option<Permit>,
}

/// Side rows that go along with the next write.
#[derive(Debug, Default)]
pub(super) struct Extras {
    pub(super) keys: Vec<IdempotencyKey>,
    pub(super) push_configs: Vec<TaskPushNotificationConfig>,
}

/// What a task answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The task as committed at this generation.
    Task(Box<Task>, u64),
    /// A direct message; there is no task.
    Message(Box<Message>),
    /// Nothing was done: the idempotency key belongs to this task already.
    Known(String),
}

/// Where an answer goes. Whoever asked may be gone; nobody minds.
pub(super) type Reply = oneshot::Sender<Result<Answer, Error>>;

/// A request to a task.
#[derive(Debug)]
pub(super) enum Command {
    /// Take this message.
    Message {
        incoming: Box<Incoming>,
        wait: Wait,
        reply: Reply,
    },
    /// Answer when the task is settled.
    Settle { reply: Reply },
    /// Cancel.
    Cancel { call: Box<CallContext>, reply: Reply },
    /// Run or fail a task that was taken over.
    Recover {
        call: Box<CallContext>,
        taken: Box<TakenOver>,
        reply: Reply,
    },
    /// Fail the task if it still waits for its caller since this time.
    Expire { since_ms: i64, reply: Reply },
}

impl Command {
    /// Answers without doing anything.
    pub(super) fn refuse(self, error: Error) {
        let (Self::Message { reply, .. }
        | Self::Settle { reply }
        | Self::Cancel { reply, .. }
        | Self::Recover { reply, .. }
        | Self::Expire { reply, .. }) = self;
        let _ = reply.send(Err(error));
    }
}
