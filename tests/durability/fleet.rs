//! Clients that work through every crash: what they did not get an answer to, they ask again.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use a2ad::pb::stream_response::Payload;
use a2ad::pb::{Task, TaskState};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::dump::state_of;
use super::history::{Binding, Call, Frame, Pen, Recorder, What, hash};
use super::order::Order;
use super::random::Random;
use super::wire::{Client, Events, Failure};

/// How long a client waits before it asks a server again that did not answer.
const PAUSE: Duration = Duration::from_millis(20);
/// Streamed tasks that others may watch.
const BOARD_MAX: usize = 32;
/// Whose tasks fail when their server dies.
const BENCH: &str = "bench";
/// Whose tasks go on when their server dies.
const COUNTER: &str = "counter";
/// Whose tasks retention may remove, and nobody else's.
pub const PASSING: &str = "echo";

/// What the clients share.
#[derive(Clone)]
struct Shared {
    address: watch::Receiver<Option<SocketAddr>>,
    stop: watch::Receiver<bool>,
    board: Arc<Mutex<Vec<(&'static str, String)>>>,
}

/// All clients.
pub struct Fleet {
    clients: JoinSet<()>,
    address: watch::Sender<Option<SocketAddr>>,
    stop: watch::Sender<bool>,
}

impl Fleet {
    /// Starts so many clients, a third on each binding. They wait for [`Fleet::point_at`].
    pub fn start(clients: u32, recorder: &Recorder, random: &mut Random) -> Self {
        let (address, address_now) = watch::channel(None);
        let (stop, stop_now) = watch::channel(false);
        let shared = Shared {
            address: address_now,
            stop: stop_now,
            board: Arc::default(),
        };
        let mut set = JoinSet::new();
        for index in 0..clients {
            let binding = Binding::ALL[index as usize % Binding::ALL.len()];
            let worker = Worker {
                pen: recorder.pen(index, binding),
                shared: shared.clone(),
                random: random.fork(),
                client: None,
            };
            set.spawn(worker.run());
        }
        Self {
            clients: set,
            address,
            stop,
        }
    }

    /// Tells the clients where the server is now.
    pub fn point_at(&self, address: SocketAddr) {
        self.address.send_replace(Some(address));
    }

    /// Lets every client finish what it has begun, which needs a server that stays.
    pub async fn finish(self) {
        self.stop.send_replace(true);
        let all = self.clients.join_all();
        tokio::time::timeout(Duration::from_secs(120), all)
            .await
            .expect("with a server that stays, every client gets its answers");
    }

    /// Drops the clients where they are.
    pub async fn abandon(mut self) {
        self.clients.shutdown().await;
    }
}

/// One client.
struct Worker {
    pen: Pen,
    shared: Shared,
    random: Random,
    client: Option<(SocketAddr, Client)>,
}

/// A reader of one task, over all its connections.
struct Reader {
    agent: &'static str,
    number: u64,
    cursor: Option<u64>,
    task: Option<String>,
}

impl Worker {
    async fn run(mut self) {
        while !*self.shared.stop.borrow() {
            match self.random.below(9) {
                0 => drop(self.task("hello", false).await),
                1 => {
                    let text = format!("hold:0.{:03}", self.random.below(300));
                    self.task(&text, true).await;
                }
                2 => self.cancel().await,
                3 => self.turns().await,
                4 => self.once(BENCH, false).await,
                5 => self.once(PASSING, true).await,
                6 => self.ticks().await,
                7 => self.count().await,
                _ => self.watch().await,
            }
        }
    }

    /// A task of this text, asked for under one idempotency key until it is there.
    async fn task(&mut self, text: &str, immediately: bool) -> Option<(String, i32)> {
        let order = Order::new(BENCH, text);
        self.send_until_known(Order { immediately, ..order }).await
    }

    async fn turns(&mut self) {
        let Some((task, state)) = self.task("turn:first", false).await else {
            return;
        };
        // A kill in the first turn has ended the task; there is nothing to continue then.
        if state != i32::from(TaskState::InputRequired) {
            return;
        }
        let order = Order::new(BENCH, "turn:second");
        let task = Some(task.as_str());
        self.send_until_known(Order { task, ..order }).await;
    }

    async fn send_until_known(&mut self, order: Order<'_>) -> Option<(String, i32)> {
        let message = uuid::Uuid::new_v4().to_string();
        let request = order.request(&message);
        loop {
            let op = self.invoke(Call::Send {
                message: message.clone(),
                keyed: true,
                task: order.task.map(str::to_owned),
                reader: None,
            });
            let answer = match self.client().await {
                Ok(client) => client.send(&request, Some(&message)).await,
                Err(failure) => Err(failure),
            };
            match self.note(op, answer) {
                Ok(task) => return task,
                Err(()) => self.pause().await,
            }
        }
    }

    /// A send that is not repeated: whatever its outcome, the task is there once or not at all.
    async fn once(&mut self, agent: &str, keyed: bool) {
        let message = uuid::Uuid::new_v4().to_string();
        let request = Order::new(agent, "hello").request(&message);
        let key = keyed.then(|| message.clone());
        let op = self.invoke(Call::Send {
            message,
            keyed,
            task: None,
            reader: None,
        });
        let answer = match self.client().await {
            Ok(client) => client.send(&request, key.as_deref()).await,
            Err(failure) => Err(failure),
        };
        if self.note(op, answer).is_err() {
            self.pause().await;
        }
    }

    async fn cancel(&mut self) {
        let Some((task, _)) = self.task("hold:600", true).await else {
            return;
        };
        loop {
            let op = self.invoke(Call::Cancel { task: task.clone() });
            let answer = match self.client().await {
                Ok(client) => client.cancel(&task).await,
                Err(failure) => Err(failure),
            };
            match self.note(op, answer) {
                Ok(_) => return,
                Err(()) => self.pause().await,
            }
        }
    }

    async fn ticks(&mut self) {
        let (count, pad) = (3 + self.random.below(30), self.random.below(9_000));
        self.follow(BENCH, &format!("ticks:{count}:3000:0:{pad}")).await;
    }

    /// Long enough that most kills meet some of these.
    async fn count(&mut self) {
        let (count, pause_ms) = (5 + self.random.below(20), 10 + self.random.below(50));
        self.follow(COUNTER, &format!("{count}:{pause_ms}")).await;
    }

    /// Starts a streamed task and follows it to its end.
    async fn follow(&mut self, agent: &'static str, text: &str) {
        let message = uuid::Uuid::new_v4().to_string();
        let request = Order::new(agent, text).request(&message);
        let mut reader = Reader {
            agent,
            number: self.pen.number(),
            cursor: None,
            task: None,
        };
        while reader.cursor.is_none() {
            let op = self.invoke(Call::Send {
                message: message.clone(),
                keyed: true,
                task: None,
                reader: Some(reader.number),
            });
            let events = match self.client().await {
                Ok(client) => client.send_streaming(&request, Some(&message)).await,
                Err(failure) => Err(failure),
            };
            if self.read(op, events, &mut reader).await {
                return;
            }
            self.pause().await;
        }
        self.resume(reader).await;
    }

    /// Follows somebody else's task from where it is.
    async fn watch(&mut self) {
        let (agent, task) = {
            let board = self.shared.board.lock().expect("no client panics with the board");
            match board.len() {
                0 => return,
                some => board[self.random.below(some as u64) as usize].clone(),
            }
        };
        let reader = Reader {
            agent,
            number: self.pen.number(),
            cursor: None,
            task: Some(task),
        };
        self.resume(reader).await;
    }

    /// Subscribes until the stream has come to its end.
    async fn resume(&mut self, mut reader: Reader) {
        let Some(task) = reader.task.clone() else { return };
        loop {
            let op = self.invoke(Call::Subscribe {
                task: task.clone(),
                reader: reader.number,
                cursor: reader.cursor,
            });
            let events = match self.client().await {
                Ok(client) => client.subscribe(reader.agent, &task, reader.cursor).await,
                Err(failure) => Err(failure),
            };
            if self.read(op, events, &mut reader).await {
                return;
            }
            self.pause().await;
        }
    }

    /// Reads a stream; true when there is nothing more to ask for.
    async fn read(&mut self, op: u64, events: Result<Events, Failure>, reader: &mut Reader) -> bool {
        let mut events = match events {
            Ok(events) => events,
            Err(failure) => return self.note(op, Err(failure)).is_ok(),
        };
        loop {
            let seen = match events.next().await {
                Some(Ok(seen)) => seen,
                Some(Err(failure)) => return self.note(op, Err(failure)).is_ok(),
                None => {
                    self.pen.write(What::Ended {
                        op,
                        reader: reader.number,
                    });
                    return true;
                }
            };
            let task = task_of(&seen.payload);
            if reader.task.is_none() {
                self.show(reader.agent, &task);
            }
            let is_task = matches!(seen.payload, Payload::Task(_));
            self.pen.write(What::Frame(Frame {
                op,
                reader: reader.number,
                task: task.clone(),
                generation: seen.generation,
                snapshot: is_task && seen.generation > 1,
                state: state_of(&seen.payload),
                bytes: hash(&seen.bytes),
                event: hash(&seen.event),
            }));
            reader.task = Some(task);
            reader.cursor = Some(seen.generation);
        }
    }

    /// Lets others watch a task.
    fn show(&mut self, agent: &'static str, task: &str) {
        let mut board = self.shared.board.lock().expect("no client panics with the board");
        if board.len() >= BOARD_MAX {
            board.remove(0);
        }
        board.push((agent, task.to_owned()));
    }

    fn invoke(&self, call: Call) -> u64 {
        let op = self.pen.number();
        self.pen.write(What::Invoke { op, call });
        op
    }

    /// Writes an outcome down: a task with its state, nothing because of a refusal, or `Err` for the unknown.
    fn note(&mut self, op: u64, answer: Result<Task, Failure>) -> Result<Option<(String, i32)>, ()> {
        match answer {
            Ok(task) => {
                let state = task.status.map_or(0, |status| status.state);
                self.pen.write(What::Ok {
                    op,
                    task: task.id.clone(),
                    state,
                });
                Ok(Some((task.id, state)))
            }
            Err(Failure::Refused(reason)) => {
                self.pen.write(What::Fail { op, reason });
                Ok(None)
            }
            Err(Failure::Unknown(cause)) => {
                self.client = None;
                self.pen.write(What::Unknown { op, cause });
                Err(())
            }
        }
    }

    /// The connection to the server of this moment.
    async fn client(&mut self) -> Result<&Client, Failure> {
        let address = match *self.shared.address.borrow() {
            Some(address) => address,
            None => return Err(Failure::Unknown("there is no server yet".to_owned())),
        };
        if self.client.as_ref().is_none_or(|(of, _)| *of != address) {
            self.client = Some((address, Client::connect(address, self.pen.binding).await?));
        }
        match &self.client {
            Some((_, client)) => Ok(client),
            None => Err(Failure::Unknown("not connected".to_owned())),
        }
    }

    async fn pause(&mut self) {
        // A new address cuts the pause short; that there may be none is the point of a limit.
        let _ = tokio::time::timeout(PAUSE, self.shared.address.changed()).await;
    }
}

fn task_of(payload: &Payload) -> String {
    match payload {
        Payload::Task(task) => task.id.clone(),
        Payload::StatusUpdate(update) => update.task_id.clone(),
        Payload::ArtifactUpdate(update) => update.task_id.clone(),
        Payload::Message(_) => String::new(),
    }
}
