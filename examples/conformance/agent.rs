//! The conformance agent: public conformance kits drive a server through it, and choose what it does by the
//! message.
//!
//! `script.rs` has the table of behaviours and plays them, `card.rs` the cards that the kits ask for.

#[path = "card.rs"]
mod card;
#[path = "script.rs"]
mod script;

use std::fmt;
use std::sync::Arc;

use a2ad::agent::{AgentError, AgentExecutor, RequestContext, TaskUpdater, UpdateError};
use a2ad::pb::part::Content;
use a2ad::pb::{Message, Role};
use bytes::Bytes;

pub use card::{card, extended_card};
use script::{DEFAULT, Script};

/// Plays the script that the message asks for.
#[derive(Clone, Default)]
pub struct ConformanceAgent {
    /// Carries out the instructions of the integration test kit; without one they are rejected.
    pub instructions: Option<Arc<dyn InstructionHandler>>,
}

/// Carries out an instruction of the integration test kit: call another agent, return a text, or a series of
/// both.
#[async_trait::async_trait]
pub trait InstructionHandler: Send + Sync {
    /// Follows `instruction`, an encoded protobuf message, and returns the text for the caller, or why that
    /// failed.
    async fn handle(&self, instruction: Bytes, request: &RequestContext) -> Result<String, String>;
}

impl fmt::Debug for ConformanceAgent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ConformanceAgent")
            .field("instructions", &self.instructions.is_some())
            .finish()
    }
}

#[async_trait::async_trait]
impl AgentExecutor for ConformanceAgent {
    async fn execute(&self, request: RequestContext, updater: TaskUpdater) -> Result<(), AgentError> {
        match instruction_of(&request.message) {
            Some(instruction) => self.follow(instruction, &request, &updater).await?,
            None => script_for(&request).play(&request, &updater).await?,
        }
        Ok(())
    }

    /// `tck-message-response` answers without a task. Every script therefore begins with an update: until
    /// then the caller waits.
    fn may_reply(&self) -> bool {
        true
    }
}

impl ConformanceAgent {
    async fn follow(
        &self,
        instruction: Bytes,
        request: &RequestContext,
        updater: &TaskUpdater,
    ) -> Result<(), UpdateError> {
        let Some(handler) = &self.instructions else {
            return updater.reject("this build has no instruction handler").await;
        };
        updater.working().await?;
        match handler.handle(instruction, request).await {
            Ok(text) => updater.complete_with(&text).await,
            Err(reason) => updater.fail(&reason).await,
        }
    }
}

/// The bytes of the part that the integration test kit sends.
fn instruction_of(message: &Message) -> Option<Bytes> {
    message.parts.iter().find_map(|part| match &part.content {
        Some(Content::Raw(raw))
            if part.filename == "instruction.bin" && part.media_type == "application/x-protobuf" =>
        {
            Some(raw.clone())
        }
        _ => None,
    })
}

/// The script that the message names itself, else the one that its task began with, else the default.
fn script_for(request: &RequestContext) -> Script {
    named_by(&request.message)
        .or_else(|| begun_with(request))
        .unwrap_or(DEFAULT)
}

fn begun_with(request: &RequestContext) -> Option<Script> {
    // Reading the task copies it, and a new task holds nothing but this very message.
    if !request.follow_up {
        return None;
    }
    let task = request.task();
    named_by(task.history.iter().find(|message| message.role() == Role::User)?)
}

/// The script named by the message's id or else by the first word of its first text part.
fn named_by(message: &Message) -> Option<Script> {
    Script::find(&message.message_id).or_else(|| Script::find(first_word(message)))
}

fn first_word(message: &Message) -> &str {
    let mut texts = message.parts.iter().filter_map(|part| match &part.content {
        Some(Content::Text(text)) => Some(text.as_str()),
        _ => None,
    });
    texts
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .next()
        .unwrap_or_default()
}
