//! Runs the clients of a simulation: who is awake is polled, in an order that the seed says and nothing else.
//!
//! Tokio wakes the readers of a task in an order of its own; here that makes no difference.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use crate::support::random::Random;

pub type Client = Pin<Box<dyn Future<Output = ()>>>;

/// Polls of one client that no seed comes near: more of them are an endless loop.
const POLLS_MAX: usize = 2_000_000;

#[derive(Default)]
struct Awake {
    clients: Mutex<Vec<bool>>,
    scheduler: Mutex<Option<Waker>>,
}

struct Alarm {
    client: usize,
    awake: Arc<Awake>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.awake.clients.lock().unwrap()[self.client] = true;
        if let Some(scheduler) = self.awake.scheduler.lock().unwrap().take() {
            scheduler.wake();
        }
    }
}

/// Ends when all clients have ended.
pub struct Scheduler {
    clients: Vec<Option<Client>>,
    alarms: Vec<Waker>,
    awake: Arc<Awake>,
    random: Random,
    polls: usize,
}

impl Scheduler {
    pub fn new(clients: Vec<Client>, random: Random) -> Self {
        let awake = Arc::new(Awake {
            clients: Mutex::new(vec![true; clients.len()]),
            scheduler: Mutex::default(),
        });
        let alarm = |client| {
            Waker::from(Arc::new(Alarm {
                client,
                awake: awake.clone(),
            }))
        };
        Self {
            alarms: (0..clients.len()).map(alarm).collect(),
            clients: clients.into_iter().map(Some).collect(),
            awake,
            random,
            polls: 0,
        }
    }
}

impl Future for Scheduler {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        *this.awake.scheduler.lock().unwrap() = Some(cx.waker().clone());
        let flags: Vec<bool> = this
            .awake
            .clients
            .lock()
            .unwrap()
            .iter_mut()
            .map(std::mem::take)
            .collect();
        let mut turn: Vec<usize> = (0..flags.len()).filter(|client| flags[*client]).collect();
        this.random.shuffle(&mut turn);
        for client in turn {
            this.polls += 1;
            assert!(this.polls < POLLS_MAX, "client {client} never sleeps");
            let place = &mut this.clients[client];
            let Some(running) = place else { continue };
            let mut cx = Context::from_waker(&this.alarms[client]);
            if running.as_mut().poll(&mut cx).is_ready() {
                *place = None;
            }
        }
        if this.clients.iter().all(Option::is_none) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
