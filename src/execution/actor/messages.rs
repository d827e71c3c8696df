//! The actor and its callers: commands, and messages above all.

use std::sync::Arc;

use super::Actor;
use crate::audit::Author;
use crate::error::{Error, Kind};
use crate::execution::chain::remember;
use crate::execution::command::{Answer, Command, Extras, Incoming};
use crate::execution::executions::Shared;
use crate::execution::writer::Fault;
use crate::pb::{Message, Role, TaskPushNotificationConfig};
use crate::task::is_terminal;

impl Actor {
    pub(super) fn command(&mut self, command: Option<Command>) {
        let Some(command) = command else { return };
        if self.degraded {
            return command.refuse(Error::unavailable("the database is not available; try again"));
        }
        if matches!(command, Command::Message { .. })
            && self.is_foreign()
            && !is_terminal(self.writer.state())
        {
            return match self.cancel {
                None => self.begin_claim(command),
                Some(_) => command.refuse(Error::unavailable("the task is being canceled; try again")),
            };
        }
        match command {
            Command::Message { incoming, reply, .. } if self.callers.know_of(&incoming) => {
                self.callers.repeated.push(reply)
            }
            Command::Message {
                incoming,
                wait,
                reply,
            } => match self.message(*incoming) {
                Ok(()) => self.answer_to(wait, reply),
                Err(error) if is_terminal(self.writer.state()) && self.is_writing() => {
                    self.callers.too_late.push((reply, error));
                }
                Err(error) => {
                    let _ = reply.send(Err(error));
                }
            },
            Command::Settle { reply } => self.callers.settlers.push(reply),
            Command::Cancel { call, reply } => self.begin_cancel(&call, reply),
            Command::Recover { call, taken, reply } => match self.recover(&call, *taken) {
                Ok(()) => self.callers.accepted.push(reply),
                Err(error) => {
                    let _ = reply.send(Err(error));
                }
            },
            Command::Expire { since_ms, reply } => {
                self.expire(since_ms);
                self.callers.accepted.push(reply);
            }
        }
    }

    pub(super) fn attach(&mut self, extras: Extras) {
        self.callers.know(&extras.keys);
        self.writer.attach(extras);
    }

    /// A request that changed nothing has no commit to wait for, but for the one that is on its way.
    pub(super) fn answer_untouched(&mut self) {
        if self.commit.is_none() && self.writer.pending().is_empty() {
            for reply in std::mem::take(&mut self.callers.accepted) {
                let _ = reply.send(Ok(self.answer()));
            }
            for reply in std::mem::take(&mut self.callers.repeated) {
                let _ = reply.send(Ok(Answer::Known(self.writer.task_id().to_string())));
            }
        }
    }

    pub(super) fn message(&mut self, mut incoming: Incoming) -> Result<(), Error> {
        let (task_id, context_id) = (self.writer.task_id().clone(), self.writer.context_id().clone());
        let state = self.writer.state();
        let named = &incoming.message.context_id;
        if !named.is_empty() && **named != *context_id {
            return Err(Error::invalid(
                "message.contextId",
                "the task belongs to another context; leave it out",
            ));
        }
        if is_terminal(state) {
            let text = format!(
                "the task is {} and takes no more messages; start a new one",
                state.as_str_name()
            );
            return Err(Error::new(Kind::UnsupportedOperation, text).with("taskId", &*task_id));
        }
        let limit = self.shared().settings.inbox_messages_max;
        let is_busy = self.work.is_busy();
        if is_busy && self.work.inbox.len() >= limit {
            return Err(Error::new(
                Kind::ResourceExhausted,
                format!(
                    "{limit} messages wait for this task, the limit (inbox_messages_max); wait for its answer"
                ),
            ));
        }
        let place = if is_busy {
            None
        } else {
            Some(Shared::place(&self.agent, &self.scope.owner)?)
        };
        receive_for(&mut incoming, &task_id, &context_id);
        let extras = extras(&mut incoming, &task_id);
        self.writer
            .receive(incoming.message.clone(), &Author::caller(&incoming.call))
            .map_err(|fault| too_long(&fault))?;
        self.work.gated |= place.is_some() && !extras.keys.is_empty();
        self.attach(extras);
        let request = self.request(incoming, true);
        match place {
            Some(place) => self.take_place(request, place),
            None => self.work.inbox.push_back(request),
        }
        Ok(())
    }
}

/// Puts the ids of the task into a caller's message. Whoever sends one is the user, whatever it says of itself: recovery
/// tells by the role what the agent has to be handed, and by the metadata where it stands in its chain.
pub(super) fn receive_for(incoming: &mut Incoming, task_id: &Arc<str>, context_id: &Arc<str>) {
    let message = &mut incoming.message;
    remember(message, incoming.call.chain);
    message.role = Role::User.into();
    name(message, task_id, context_id);
}

/// Puts the ids of the task into a message.
pub(super) fn name(message: &mut Message, task_id: &Arc<str>, context_id: &Arc<str>) {
    message.task_id = task_id.to_string();
    message.context_id = context_id.to_string();
}

pub(super) fn extras(incoming: &mut Incoming, task_id: &Arc<str>) -> Extras {
    let configs = std::mem::take(&mut incoming.push_configs).into_iter();
    let push_configs = configs
        .map(|config| TaskPushNotificationConfig {
            task_id: task_id.to_string(),
            ..config
        })
        .collect();
    Extras {
        keys: incoming.key.take().into_iter().collect(),
        push_configs,
    }
}

fn too_long(fault: &Fault) -> Error {
    Error::too_large(format!("{fault}; start a new task in the same context"))
}
