//! The way into the engine.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::ExecutionSettings;
use super::actor::Actor;
use super::command::{Answer, Command, Incoming, Reply, Wait};
use super::leases::Leases;
use super::live::Hub;
use super::registry::Registry;
use super::subscription::{EventStream, Subscription};
use crate::agent::{Agent, Place};
use crate::audit::Audit;
use crate::bus::Bus;
use crate::clock::Clock;
use crate::context::{CallContext, Principal, Scope};
use crate::error::{Error, Kind};
use crate::repository::TaskRepository;
use crate::shutdown::Shutdown;
use crate::slots::Full;

/// Runs agents and keeps their tasks. Cheap to clone.
#[derive(Clone)]
pub struct Executions(pub(super) Arc<Shared>);

/// What all tasks of a process share.
pub(super) struct Shared {
    pub(super) repository: Arc<dyn TaskRepository>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) clock: Clock,
    pub(super) shutdown: Shutdown,
    pub(super) settings: ExecutionSettings,
    pub(super) hub: Arc<Hub>,
    pub(super) registry: Registry,
    pub(super) leases: Arc<Leases>,
    pub(super) audit: Audit,
}

impl Executions {
    /// An engine over a repository. Every change of a task's state is recorded in `audit`, if that is on.
    pub fn new(
        repository: Arc<dyn TaskRepository>,
        bus: Arc<dyn Bus>,
        clock: Clock,
        shutdown: Shutdown,
        settings: ExecutionSettings,
        audit: Audit,
    ) -> Self {
        let hub = Hub::new(&settings);
        bus.listen(hub.clone());
        Self(Arc::new(Shared {
            repository,
            bus,
            clock,
            shutdown,
            settings,
            hub,
            registry: Registry::default(),
            leases: Arc::default(),
            audit,
        }))
    }

    /// Where changes of tasks are recorded.
    pub fn audit(&self) -> &Audit {
        &self.0.audit
    }

    /// Sends a message to an existing task.
    ///
    /// A task that another process holds is taken over first if that process is dead, which the database decides by the
    /// end of its lease: the task is run again or failed as [`Executions::recover`] would do it, and the message finds
    /// it so. While the other process lives, the message is refused.
    ///
    /// # Errors
    /// TaskNotFound, UnsupportedOperation when the task is terminal, InvalidParams when it belongs to another context,
    /// RESOURCE_EXHAUSTED when its inbox or the line of its agent is full, UNAVAILABLE with a time to try again after
    /// while another process works on the task.
    pub async fn send(
        &self,
        agent: &Arc<Agent>,
        scope: &Scope,
        task_id: &str,
        incoming: Incoming,
        wait: Wait,
    ) -> Result<Answer, Error> {
        let incoming = Box::new(incoming);
        self.ask(agent, scope, &Arc::from(task_id), |reply| Command::Message {
            incoming,
            wait,
            reply,
        })
        .await
    }

    /// Sends a message to an existing task and streams what happens: the task first.
    ///
    /// # Errors
    /// As for [`Executions::send`]; `Err(Ok(task_id))` when the idempotency key is known.
    pub async fn send_streaming(
        &self,
        agent: &Arc<Agent>,
        scope: &Scope,
        task_id: &str,
        incoming: Incoming,
    ) -> Result<EventStream, Result<String, Error>> {
        let task_id: Arc<str> = Arc::from(task_id);
        // Registered before the message goes out, so that no event falls between.
        let subscription = self.subscription(agent, scope, &task_id);
        let incoming = Box::new(incoming);
        let wait = Wait::Accepted;
        let ask = self.ask(agent, scope, &task_id, |reply| Command::Message {
            incoming,
            wait,
            reply,
        });
        match ask.await.map_err(Err)? {
            Answer::Task(task, generation) => Ok(subscription.begin_with(generation, *task)),
            Answer::Message(message) => Ok(EventStream::message(*message)),
            Answer::Known(task_id) => Err(Ok(task_id)),
        }
    }

    /// Waits until a task is terminal or interrupted.
    ///
    /// # Errors
    /// TaskNotFound.
    pub async fn settled(&self, agent: &Arc<Agent>, scope: &Scope, task_id: &str) -> Result<Answer, Error> {
        self.ask(agent, scope, &Arc::from(task_id), |reply| Command::Settle {
            reply,
        })
        .await
    }

    /// Cancels a task: exactly one terminal state wins, and every caller sees the same one.
    ///
    /// It does not matter which process works on the task: the cancel is a write on the condition that nobody has written
    /// meanwhile, and it raises the epoch. A process that holds the task is fenced off by it; its next write or heartbeat
    /// is refused, and its execution is dropped. If the other process was quicker, the caller is told to ask again, and
    /// a repeated cancel finds what the task is now.
    ///
    /// # Errors
    /// TaskNotFound; TaskNotCancelable when the task ended otherwise, or its agent refused.
    pub async fn cancel(
        &self,
        agent: &Arc<Agent>,
        scope: &Scope,
        task_id: &str,
        call: &CallContext,
    ) -> Result<Answer, Error> {
        let call = Box::new(call.clone());
        self.ask(agent, scope, &Arc::from(task_id), |reply| Command::Cancel {
            call,
            reply,
        })
        .await
    }

    /// How many tasks have a writer in this process now.
    pub fn running(&self) -> usize {
        self.0.registry.len()
    }

    /// Waits until no task has a writer in this process.
    pub async fn idle(&self) {
        self.0.registry.idle().await;
    }

    pub(super) fn subscription(&self, agent: &Arc<Agent>, scope: &Scope, task_id: &Arc<str>) -> Subscription {
        let shared = &self.0;
        Subscription::register(
            shared.hub.live(task_id),
            shared.repository.clone(),
            shared.shutdown.clone(),
            scope.clone(),
            task_id.clone(),
            agent.options.close_on_interrupt,
        )
    }

    /// Brings a command to the task's writer, which is started if it does not run, and waits for the answer.
    pub(super) async fn ask(
        &self,
        agent: &Arc<Agent>,
        scope: &Scope,
        task_id: &Arc<str>,
        command: impl FnOnce(Reply) -> Command,
    ) -> Result<Answer, Error> {
        let (reply, answer) = oneshot::channel();
        self.forward(agent, scope, task_id, command(reply)).await;
        answered(answer).await
    }

    /// Brings a command to the task's writer. Boxed, because a writer that retires forwards what came too late.
    pub(super) fn forward<'a>(
        &'a self,
        agent: &'a Arc<Agent>,
        scope: &'a Scope,
        task_id: &'a Arc<str>,
        command: Command,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let Some(mailbox) = self.0.registry.bring(scope, task_id, command).await else {
                return;
            };
            let work = Actor::open(
                self.clone(),
                agent.clone(),
                scope.clone(),
                task_id.clone(),
                mailbox,
            );
            self.0.shutdown.spawn("task", work);
        })
    }
}

impl Shared {
    /// The right to run the agent once, now or when the owner's turn comes.
    pub(super) fn place(agent: &Agent, owner: &Principal) -> Result<Place, Error> {
        agent.slots.enter(owner).map_err(|full| {
            let options = &agent.options;
            let waiting = match full {
                Full::Queue => format!("{} tasks wait, its limit (queue_max)", options.queue_max),
                Full::Owner => format!(
                    "{} tasks of yours wait, the limit of an owner (queue_per_owner_max)",
                    options.queue_per_owner_max
                ),
            };
            Error {
                retry_after: Some(std::time::Duration::from_secs(1)),
                ..Error::new(
                    Kind::ResourceExhausted,
                    format!(
                        "agent {} runs as many executions as it may (executions_max: {}, of one owner \
                         executions_per_owner_max: {}), and {waiting}; try again",
                        agent.name,
                        options.executions_max,
                        options.executions_per_owner_max()
                    ),
                )
            }
        })
    }
}

/// Waits for an answer. A writer that is gone without one was stopped in the middle.
pub(super) async fn answered(answer: oneshot::Receiver<Result<Answer, Error>>) -> Result<Answer, Error> {
    answer.await.unwrap_or_else(|_| {
        Err(Error::unavailable(
            "the server stopped before the task answered; ask for the task again",
        ))
    })
}

/// The error of a write: other than a read, it may have taken place all the same.
pub(crate) fn of_write(error: crate::repository::Error) -> Error {
    let error = Error::from(error);
    match error.kind {
        Kind::Unavailable => Error {
            message: "the database is not available; it is unknown whether the change took place".into(),
            ..error
        },
        _ => error,
    }
}

/// What to do is the operator's; the caller is told as much as it takes to ask for it.
fn of_secrets(error: &crate::secrets::Error) -> Error {
    match error {
        crate::secrets::Error::NoKey => Error::new(
            Kind::UnsupportedOperation,
            "this server has no key to keep tokens and credentials of webhooks safe with; an operator has to set \
             secrets.key, made by `openssl rand -hex 32`; a configuration without both can be stored",
        ),
        crate::secrets::Error::UnknownKey(id) => Error {
            cause: Some(error.to_string().into()),
            ..Error::new(
                Kind::Internal,
                format!(
                    "the push configuration is sealed with the key {id}, which this server does not have; an operator \
                     has to add it to secrets.previous_keys"
                ),
            )
        },
        other => Error::internal(other),
    }
}

impl From<crate::repository::Error> for Error {
    fn from(error: crate::repository::Error) -> Self {
        use crate::repository::Error as Repository;
        match error {
            Repository::Stale => Self::new(
                Kind::Conflict,
                "another writer changed the task at the same time; try again",
            ),
            Repository::KeyTaken(task_id) => {
                Self::new(Kind::Conflict, "the idempotency key belongs to another task")
                    .with("taskId", task_id)
            }
            Repository::TooMany(limit) => Self::new(
                Kind::ResourceExhausted,
                format!("at most {limit} are allowed; delete some first"),
            ),
            Repository::Unavailable(cause) => Self {
                cause: Some(cause.into()),
                ..Self::unavailable("the database is not available; try again")
            },
            Repository::Unstorable(cause) => Self {
                cause: Some(cause.into()),
                ..Self::new(Kind::Internal, "the database can't store this; the task ends")
            },
            Repository::Secrets(error) => of_secrets(&error),
            Repository::Expired { first } => Self::new(
                Kind::NotFound,
                format!("the events before {first} are past their retention; begin with the task"),
            )
            .with("firstGeneration", first.to_string()),
            Repository::Corrupt {
                task_id,
                generation,
                cause,
            } => Self::data_loss(&task_id, generation, cause),
        }
    }
}
