//! The actor and its agent: turns begin, write, and end.

use std::sync::Arc;

use tokio::time::Instant;

use super::Actor;
use super::messages::name;
use crate::agent::{Delegation, RequestContext, Slot, TaskUpdate};
use crate::audit::Author;
use crate::execution::chain::recall;
use crate::execution::command::{Answer, Incoming};
use crate::execution::outcome::{conclude, fail};
use crate::execution::reader::ScopedReader;
use crate::execution::turn::{Ended, Progress, Turn};
use crate::execution::writer::Fault;
use crate::pb::{Message, TaskState};
use crate::task::{is_settled, is_terminal};

impl Actor {
    pub(super) fn request(&self, incoming: Incoming, follow_up: bool) -> RequestContext {
        let reader = ScopedReader {
            cell: self.writer.cell().clone(),
            scope: self.scope.clone(),
            repository: self.shared().repository.clone(),
        };
        let ids = (self.writer.task_id().clone(), self.writer.context_id().clone());
        let call = &incoming.call;
        let chain = call.chain.or_else(|| recall(&incoming.message));
        let limits = self.shared().settings.delegation;
        let delegation = Delegation::new(chain.unwrap_or_default(), limits, call.trace.clone());
        let message = Arc::new(incoming.message);
        RequestContext {
            configuration: incoming.configuration.map(Arc::new),
            metadata: incoming.metadata.map(Arc::new),
            follow_up,
            delegation,
            permit: incoming.permits.execution.map(Arc::new),
            ..RequestContext::new(&incoming.call, ids.0, ids.1, message, Arc::new(reader))
        }
    }

    pub(super) fn begin_turn(&mut self, mut request: RequestContext, slot: Slot) {
        request.attempt = self.writer.fence().attempt();
        let settings = &self.executions.0.settings;
        self.work.turn = Some(Turn::new(&self.agent, request, slot, settings));
        self.work.deadline = self
            .agent
            .options
            .task_timeout
            .map(|limit| Instant::now() + limit);
    }

    pub(super) fn progress(&mut self, progress: Progress) {
        match progress {
            Progress::Updates(updates) => {
                for update in updates {
                    if let Err(fault) = self.update(*update) {
                        return self.broken(fault);
                    }
                }
                if is_terminal(self.writer.state()) {
                    self.wind_up();
                }
            }
            Progress::Ended(ended) => self.turn_ended(&ended),
        }
    }

    pub(super) fn update(&mut self, update: TaskUpdate) -> Result<(), Fault> {
        if is_terminal(self.writer.state()) {
            tracing::warn!(agent = %self.agent.name, task.id = %self.writer.task_id(), "update of an ended task dropped");
            return Ok(());
        }
        match update {
            TaskUpdate::Reply(message) => self.reply_directly(message),
            update => {
                let state = match &update {
                    TaskUpdate::Status { state, .. } => Some(*state),
                    _ => None,
                };
                let author = self.agent_at_work();
                self.writer.update(update, &author)?;
                if let Some(turn) = &mut self.work.turn {
                    turn.spoken = true;
                    turn.settled = state.map_or(turn.settled, is_settled);
                }
                Ok(())
            }
        }
    }

    /// The agent, as the author of what its turn does.
    fn agent_at_work(&self) -> Author {
        match &self.work.turn {
            Some(turn) => Author::agent(&self.agent.name, &turn.request.request_id, &turn.request.trace),
            None => Author::Runtime,
        }
    }

    /// A direct message instead of a task: only as the agent's first word to a new task. A task that had to be stored
    /// before the agent ran, for its idempotency key or because it waited, is completed with the message.
    pub(super) fn reply_directly(&mut self, mut message: Message) -> Result<(), Fault> {
        let untouched = |turn: &Turn| !turn.spoken && !turn.request.follow_up;
        if !self.work.turn.as_ref().is_some_and(untouched) || !self.agent.executor.may_reply() {
            return Err(Fault::Reply);
        }
        if !self.writer.is_unstored() || self.commit.is_some() {
            name(&mut message, self.writer.task_id(), self.writer.context_id());
            let update = TaskUpdate::Status {
                state: TaskState::Completed,
                message: Some(message),
                metadata: None,
            };
            let author = self.agent_at_work();
            return self.writer.update(update, &author);
        }
        message.task_id.clear();
        message.context_id = self.writer.context_id().to_string();
        for reply in self
            .callers
            .accepted
            .drain(..)
            .chain(self.callers.settlers.drain(..))
        {
            let _ = reply.send(Ok(Answer::Message(Box::new(message.clone()))));
        }
        self.direct = Some(message);
        self.work.turn = None;
        Ok(())
    }

    pub(super) fn broken(&mut self, fault: Fault) {
        tracing::warn!(agent = %self.agent.name, task.id = %self.writer.task_id(), %fault, "the agent broke the protocol");
        fail(
            &mut self.writer,
            &format!("the agent broke the protocol: {fault}"),
        );
        self.fault = Some(fault);
        self.work.end();
    }

    /// The task has ended while its execution runs on: it gets some time to clean up, and writes nothing more.
    pub(super) fn wind_up(&mut self) {
        self.work.inbox.clear();
        if let Some(turn) = &mut self.work.turn {
            turn.mute();
            self.work.deadline = None;
            let limit = self.executions.0.settings.cancel_timeout;
            self.work.grace.get_or_insert_with(|| Instant::now() + limit);
        }
    }

    pub(super) fn turn_ended(&mut self, ended: &Ended) {
        let unsettled = self.fault.take();
        let settled = self.work.turn.as_ref().is_some_and(|turn| turn.settled);
        self.fault = conclude(&mut self.writer, &self.agent.name, ended, settled).or(unsettled);
        // The next message stands in line again.
        self.work.end_turn();
        if is_terminal(self.writer.state()) {
            self.work.inbox.clear();
        }
        if let Some(request) = self.work.inbox.pop_front() {
            if let Err(fault) = self.writer.update(working(None), &Author::Runtime) {
                return self.broken(fault);
            }
            let place = self.agent.slots.enter_anyway(&self.scope.owner);
            self.take_place(request, place);
        }
    }
}

/// WORKING, with a message if there is something to say.
pub(super) fn working(message: Option<Message>) -> TaskUpdate {
    TaskUpdate::Status {
        state: TaskState::Working,
        message,
        metadata: None,
    }
}
