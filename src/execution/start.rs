//! Starting a task: within the request if the agent is quick, in the background if it is not.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::actor::Actor;
use super::command::{Answer, Incoming, Wait};
use super::executions::{Executions, Shared, answered};
use super::registry::Route;
use super::subscription::EventStream;
use crate::agent::Agent;
use crate::context::Scope;
use crate::error::Error;
use crate::task::new_id;

/// A message that begins a task.
#[derive(Debug)]
pub struct NewTask {
    /// The agent.
    pub agent: Arc<Agent>,
    /// Whose task it will be.
    pub scope: Scope,
    /// The context; `None` makes a new one.
    pub context_id: Option<String>,
    /// The message.
    pub incoming: Incoming,
}

impl Executions {
    /// Starts a task and answers as `wait` says.
    ///
    /// The agent runs within the request as far as it gets without waiting. One that only computes is done by then,
    /// and its whole task costs a single commit and no background task. Any other goes on in the background, and its
    /// beginning is committed at once. A send with an idempotency key is always committed before the agent runs: the
    /// same key must not run it twice. When the agent runs as many executions as it may, the task is stored as SUBMITTED
    /// and waits for its owner's turn.
    ///
    /// An agent that breaks the protocol fails its task. Whoever waits for the outcome ([`Wait::Settled`]) is told by an
    /// error; whoever asked for an answer at once ([`Wait::Accepted`]) gets the task, whenever the agent did it.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when as many tasks wait for the agent as may, UNAVAILABLE when the outcome of the commit is
    /// unknown, InvalidAgentResponse when the agent broke the protocol.
    pub async fn start(&self, new: NewTask, wait: Wait) -> Result<Answer, Error> {
        let mut actor = self.actor(new)?;
        if actor.attempt().await {
            return actor.finish(wait).await?.0;
        }
        self.detach(actor, wait).await
    }

    /// Starts a task and streams its events from the first one on.
    ///
    /// # Errors
    /// As for [`Executions::start`], nothing has been streamed then, but an agent that breaks the protocol ends its
    /// stream with FAILED; `Err(Ok(task_id))` when the idempotency key is known.
    pub async fn start_streaming(&self, new: NewTask) -> Result<EventStream, Result<String, Error>> {
        let (agent, scope) = (new.agent.clone(), new.scope.clone());
        let mut actor = self.actor(new).map_err(Err)?;
        if actor.attempt().await && actor.is_over() {
            let task_id = actor.task_id().clone();
            return match actor.finish(Wait::Accepted).await.map_err(Err)? {
                (Ok(Answer::Message(message)), _) => Ok(EventStream::message(*message)),
                (_, events) => Ok(EventStream::whole(events).of(&task_id)),
            };
        }
        let subscription = self.subscription(&agent, &scope, actor.task_id());
        match self.detach(actor, Wait::Accepted).await.map_err(Err)? {
            Answer::Message(message) => Ok(EventStream::message(*message)),
            Answer::Known(task_id) => Err(Ok(task_id)),
            Answer::Task(..) => Ok(subscription.go_on()),
        }
    }

    /// Boxed, because a request's future moves more than once on its way and should be light.
    fn actor(&self, new: NewTask) -> Result<Box<Actor>, Error> {
        let place = Shared::place(&new.agent, &new.scope.owner)?;
        let task_id: Arc<str> = Arc::from(new_id());
        let context_id: Arc<str> = Arc::from(new.context_id.unwrap_or_else(new_id));
        Ok(Box::new(Actor::new_task(
            self.clone(),
            new.agent,
            new.scope,
            (task_id, context_id),
            new.incoming,
            place,
        )))
    }

    async fn detach(&self, mut actor: Box<Actor>, wait: Wait) -> Result<Answer, Error> {
        let (reply, answer) = oneshot::channel();
        actor.answer_to(wait, reply);
        // The id is new, so the route is always a fresh one.
        if let Route::Start(mailbox) = self.0.registry.route(actor.scope(), actor.task_id()) {
            self.0.shutdown.spawn("task", actor.run(mailbox));
        }
        answered(answer).await
    }
}
