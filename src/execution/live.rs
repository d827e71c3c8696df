//! What subscribers of a task read first: a bounded ring of its newest events, shared and already encoded.
//!
//! A task is live while somebody writes it or reads its stream. A reader that falls behind the ring goes back to the
//! log; nobody ever waits for a reader.

use std::sync::{Arc, PoisonError, Weak};

use super::ExecutionSettings;
use super::ring::{Ring, RingLimits};
use super::sync::{DashMap, Mutex, watch};
use crate::bus::{Doorbell, Listener};
use crate::task::TaskEvent;

/// All live tasks of this process.
#[derive(Debug)]
pub(super) struct Hub {
    lives: DashMap<Arc<str>, Weak<Live>>,
    limits: RingLimits,
}

impl Hub {
    pub(super) fn new(settings: &ExecutionSettings) -> Arc<Self> {
        Arc::new(Self {
            lives: DashMap::new(),
            limits: RingLimits::new(settings),
        })
    }

    /// The live side of a task, made if nobody has it yet.
    pub(super) fn live(self: &Arc<Self>, task_id: &Arc<str>) -> Arc<Live> {
        let mut place = self.lives.entry(task_id.clone()).or_default();
        if let Some(live) = place.upgrade() {
            return live;
        }
        let live = Arc::new(Live {
            task_id: task_id.clone(),
            ring: Mutex::new(Ring::new(self.limits)),
            generation: watch::Sender::new(0),
            hub: self.clone(),
        });
        *place = Arc::downgrade(&live);
        live
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lives.len()
    }
}

impl Listener for Hub {
    fn hear(&self, doorbell: &Doorbell) {
        let live = self
            .lives
            .get(&doorbell.task_id)
            .and_then(|place| place.upgrade());
        if let Some(live) = live {
            live.wake(doorbell.generation);
        }
    }
}

/// One live task.
#[derive(Debug)]
pub(super) struct Live {
    task_id: Arc<str>,
    ring: Mutex<Ring>,
    generation: watch::Sender<u64>,
    hub: Arc<Hub>,
}

/// What the ring has for a reader.
#[derive(Debug, PartialEq)]
pub(super) enum Tail {
    /// The events behind the reader's cursor, in order.
    Events(Vec<Arc<TaskEvent>>),
    /// The ring does not have what is behind the cursor, but the log does.
    Behind,
    /// Nothing is newer than the cursor.
    UpToDate,
}

impl Live {
    /// Keeps committed events for readers; [`Live::wake`] tells them.
    pub(super) fn keep(&self, events: &[Arc<TaskEvent>]) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.keep(events);
    }

    /// Tells readers that `generation` is committed. Generations never go back.
    pub(super) fn wake(&self, generation: u64) {
        self.generation.send_if_modified(|known| {
            let newer = generation > *known;
            *known = generation.max(*known);
            newer
        });
    }

    /// Registers for wake-ups. Register first and read afterwards, so that no event falls between.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// At most `limit` events behind `cursor`.
    pub(super) fn after(&self, cursor: u64, limit: usize) -> Tail {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let events = ring.after(cursor, limit);
        if !events.is_empty() {
            return Tail::Events(events);
        }
        // Within the lock: what is kept and told from here on wakes the reader and needs no look into the log.
        if *self.generation.borrow() > cursor {
            Tail::Behind
        } else {
            Tail::UpToDate
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.hub
            .lives
            .remove_if(&self.task_id, |_, place| place.strong_count() == 0);
    }
}
