//! One task with its callers and its writer, an actor in small.
//!
//! It moves the real [`Writer`], commits to a real repository, which refuses a second writer, and treats its mailbox as
//! the real one does.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use shuttle::future::{JoinHandle, block_on, spawn};
use tokio::sync::oneshot;

use super::super::{assert_sound, now, status};
use super::ExecutionSettings;
use super::command::{Answer, Command, Incoming, Permits, Reply, Wait};
use super::registry::{Mailbox, Registry};
use super::sync::step;
use crate::audit::Author;
use crate::clock::Clock;
use crate::context::{CallContext, Scope};
use crate::error::{Error, Kind};
use crate::execution::writer::Writer;
use crate::pb::{Task, TaskState};
use crate::repository::conformance::{NOW_MS, message};
use crate::repository::memory::MemoryRepository;
use crate::repository::{self, TaskRepository as _, TaskWrite};
use crate::task::is_terminal;

/// How a writer ends that has nothing to do any more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ending {
    /// As an actor does it: it retires unless something waits, and forwards what was on its way.
    Retire,
    /// The first one is stopped in the middle, as by a panic.
    Stop,
    /// A mistake: it gives its mailbox up without a look into it.
    Unchecked,
    /// A mistake: it retires, and forgets what was on its way.
    Forgetful,
    /// A mistake: it serves what was on its way itself.
    Overtime,
}

/// What a world is like at its beginning.
#[derive(Clone, Copy)]
pub(super) struct Staging {
    /// `t` is stored.
    pub(super) task_id: &'static str,
    pub(super) ending: Ending,
    /// Another process may write, too.
    pub(super) shared: bool,
}

/// One process and its stored task.
pub(super) const ALONE: Staging = Staging {
    task_id: "t",
    ending: Ending::Retire,
    shared: false,
};

/// One task, its callers and its writers.
pub(super) struct World {
    registry: Registry,
    pub(super) repository: Arc<MemoryRepository>,
    scope: Scope,
    task_id: Arc<str>,
    call: CallContext,
    staging: Staging,
    stopped: AtomicBool,
    running: Mutex<Vec<JoinHandle<()>>>,
}

impl World {
    pub(super) fn begin(staging: Staging, create: TaskWrite) -> Arc<Self> {
        let (scope, repository) = (create.scope.clone(), Arc::new(MemoryRepository::new()));
        assert_eq!(now(repository.commit(create)), Ok(()));
        let call = CallContext::detached(scope.owner.clone(), Arc::from("r"));
        Arc::new(Self {
            registry: Registry::default(),
            repository,
            scope,
            task_id: Arc::from(staging.task_id),
            call,
            staging,
            stopped: AtomicBool::new(false),
            running: Mutex::default(),
        })
    }

    /// Waits until no writer runs any more.
    pub(super) fn end(&self) {
        block_on(self.registry.idle());
        loop {
            let Some(running) = self.running.lock().unwrap().pop() else {
                break;
            };
            block_on(running).expect("it runs to its end");
        }
        assert_eq!(self.registry.len(), 0, "no place is left behind");
        assert_sound(&self.repository, &self.scope);
    }

    fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        // Spawning lets others run, so the lock comes after it.
        let running = spawn(work);
        self.running.lock().unwrap().push(running);
    }

    pub(super) fn look(&self) -> Option<repository::StoredTask> {
        step();
        now(self.repository.get(&self.scope, &self.task_id)).expect("memory answers")
    }

    pub(super) fn load(&self) -> Option<Writer> {
        let (clock, settings) = (Clock::manual(NOW_MS), ExecutionSettings::default());
        Some(Writer::load(self.scope.clone(), self.look()?, clock, &settings))
    }

    /// As `Executions::forward` does.
    fn forward<'a>(self: &'a Arc<Self>, command: Command) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let brought = self.registry.bring(&self.scope, &self.task_id, command).await;
            if let Some(mailbox) = brought {
                self.run(open(self.clone(), mailbox));
            }
        })
    }

    /// What a command is answered with; `None` if its writer is gone without an answer.
    fn ask(self: &Arc<Self>, command: impl FnOnce(Reply) -> Command) -> Option<Result<Task, Error>> {
        let (reply, answer) = oneshot::channel();
        let answer = block_on(async {
            self.forward(command(reply)).await;
            answer.await
        });
        Some(answer.ok()?.map(|answer| match answer {
            Answer::Task(task, _) => *task,
            other => panic!("{other:?}"),
        }))
    }

    pub(super) fn tell(self: &Arc<Self>, text: &str, wait: Wait) -> Option<Result<Task, Error>> {
        let incoming = Box::new(Incoming {
            message: message(text),
            configuration: None,
            metadata: None,
            call: self.call.clone(),
            key: None,
            push_configs: Vec::new(),
            permits: Permits::default(),
        });
        self.ask(|reply| Command::Message {
            incoming,
            wait,
            reply,
        })
    }

    pub(super) fn cancel(self: &Arc<Self>) -> Option<Result<Task, Error>> {
        let call = Box::new(self.call.clone());
        self.ask(|reply| Command::Cancel { call, reply })
    }

    /// How often a message is in the task.
    pub(super) fn heard(&self, text: &str) -> usize {
        let task = self.look().expect("the task is there").task;
        let id = message(text).message_id;
        task.history
            .iter()
            .filter(|message| message.message_id == id)
            .count()
    }
}

/// Serves a task until nothing happens to it any more.
async fn open(world: Arc<World>, mut mailbox: Mailbox) {
    let Some(writer) = world.load() else {
        let refusal = Error::task_not_found(&world.task_id);
        return world.registry.refuse(mailbox, &refusal).await;
    };
    if world.staging.ending == Ending::Stop && !world.stopped.swap(true, Ordering::Relaxed) {
        return;
    }
    let mut actor = Small {
        writer,
        turn: None,
        accepted: Vec::new(),
        settlers: Vec::new(),
        cancelers: Vec::new(),
    };
    loop {
        if !actor.commit(&world) {
            world.registry.abandon(&mut mailbox);
            break;
        }
        if actor.turn.is_none() {
            if world.staging.ending == Ending::Unchecked {
                return world.registry.abandon(&mut mailbox);
            }
            if world.registry.retire(&mut mailbox) {
                break;
            }
        }
        tokio::select! {
            biased;
            command = mailbox.next() => actor.take(&world, command.expect("its place holds a sender")),
            () = ended(&mut actor.turn) => actor.complete(),
        }
    }
    while let Some(command) = mailbox.next().await {
        match world.staging.ending {
            Ending::Forgetful => drop(command),
            Ending::Overtime => {
                actor.take(&world, command);
                actor.commit(&world);
            }
            _ => world.forward(command).await,
        }
    }
}

async fn ended(turn: &mut Option<oneshot::Receiver<()>>) {
    match turn {
        Some(turn) => turn.await.expect("the agent returns"),
        None => std::future::pending().await,
    }
}

/// An actor in small.
struct Small {
    writer: Writer,
    turn: Option<oneshot::Receiver<()>>,
    accepted: Vec<Reply>,
    settlers: Vec<Reply>,
    cancelers: Vec<Reply>,
}

impl Small {
    fn take(&mut self, world: &World, command: Command) {
        match command {
            Command::Message {
                incoming,
                wait,
                reply,
            } => {
                if self.writer.receive(incoming.message, &Author::Runtime).is_err() {
                    let _ = reply.send(Err(Error::new(Kind::UnsupportedOperation, "the task has ended")));
                    return;
                }
                if wait == Wait::Accepted {
                    return self.accepted.push(reply);
                }
                self.settlers.push(reply);
                let (done, turn) = oneshot::channel();
                self.turn = Some(turn);
                world.run(async move {
                    step();
                    // A canceled turn is dropped, and nobody hears of its end.
                    let _ = done.send(());
                });
            }
            Command::Cancel { reply, .. } => {
                self.cancelers.push(reply);
                if self
                    .writer
                    .update(status(TaskState::Canceled), &Author::Runtime)
                    .is_ok()
                {
                    self.turn = None;
                }
            }
            other => panic!("nobody sends {other:?}"),
        }
    }

    fn complete(&mut self) {
        self.turn = None;
        self.writer
            .update(status(TaskState::Completed), &Author::Runtime)
            .expect("a turn has not ended before its end");
    }

    /// Commits what is pending and answers; false if another process has taken the task over.
    fn commit(&mut self, world: &World) -> bool {
        if let Some(write) = self.writer.take_write(None) {
            step();
            match now(world.repository.commit(write)) {
                Ok(()) => {}
                Err(repository::Error::Stale) if world.staging.shared => {
                    let waiting = self.accepted.drain(..).chain(self.settlers.drain(..));
                    for reply in waiting.chain(self.cancelers.drain(..)) {
                        let _ = reply.send(Err(repository::Error::Stale.into()));
                    }
                    return false;
                }
                Err(error) => panic!("two writers at once: {error}"),
            }
        }
        let state = self.writer.state();
        for reply in self.accepted.drain(..) {
            let _ = reply.send(Ok(answer(&self.writer)));
        }
        if is_terminal(state) {
            for reply in self.settlers.drain(..) {
                let _ = reply.send(Ok(answer(&self.writer)));
            }
            for reply in self.cancelers.drain(..) {
                let _ = reply.send(match state {
                    TaskState::Canceled => Ok(answer(&self.writer)),
                    _ => Err(Error::new(Kind::TaskNotCancelable, "the task has ended")),
                });
            }
        }
        true
    }
}

fn answer(writer: &Writer) -> Answer {
    Answer::Task(Box::new(writer.cell().lock().clone()), writer.written())
}
