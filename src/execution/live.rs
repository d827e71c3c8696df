//! What subscribers of a task read first: a bounded ring of its newest events, shared and already encoded.
//!
//! A task is live while somebody writes it or reads its stream. A reader that falls behind the ring goes back to the
//! log; nobody ever waits for a reader.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use dashmap::DashMap;
use tokio::sync::watch;

use super::ExecutionSettings;
use crate::bus::{Doorbell, Listener};
use crate::task::TaskEvent;

/// All live tasks of this process.
#[derive(Debug)]
pub(super) struct Hub {
    lives: DashMap<Arc<str>, Weak<Live>>,
    events_max: usize,
    bytes_max: usize,
}

impl Hub {
    pub(super) fn new(settings: &ExecutionSettings) -> Arc<Self> {
        Arc::new(Self {
            lives: DashMap::new(),
            events_max: settings.ring_events_max,
            bytes_max: settings.ring_bytes_max,
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
            ring: Mutex::default(),
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

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Kept>,
    bytes: usize,
}

/// An event with the size that it was counted with: events grow when they are rendered.
#[derive(Debug)]
struct Kept {
    event: Arc<TaskEvent>,
    bytes: usize,
}

/// What the ring has for a reader.
#[derive(Debug, PartialEq)]
pub(super) enum Tail {
    /// The events behind the reader's cursor, in order.
    Events(Vec<Arc<TaskEvent>>),
    /// The ring begins later than the cursor: the log has what is missing.
    Behind,
    /// Nothing is newer than the cursor.
    UpToDate,
}

impl Live {
    /// Keeps committed events for readers; [`Live::wake`] tells them.
    pub(super) fn keep(&self, events: &[Arc<TaskEvent>]) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let next = ring.events.back().map(|newest| newest.event.generation + 1);
        if next.is_some() && next != events.first().map(|first| first.generation) {
            // Somebody else wrote in between; the ring has no holes, so it begins anew.
            *ring = Ring::default();
        }
        for event in events {
            let bytes = event.size();
            ring.bytes += bytes;
            ring.events.push_back(Kept {
                event: event.clone(),
                bytes,
            });
        }
        while ring.events.len() > self.hub.events_max || ring.bytes > self.hub.bytes_max {
            let Some(oldest) = ring.events.pop_front() else {
                break;
            };
            ring.bytes -= oldest.bytes;
        }
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
        let first = ring
            .events
            .front()
            .map_or(u64::MAX, |oldest| oldest.event.generation);
        if first > cursor + 1 {
            return if *self.generation.borrow() > cursor {
                Tail::Behind
            } else {
                Tail::UpToDate
            };
        }
        let skip = usize::try_from(cursor + 1 - first).unwrap_or(usize::MAX);
        let events: Vec<_> = ring
            .events
            .iter()
            .skip(skip)
            .take(limit)
            .map(|kept| kept.event.clone())
            .collect();
        if events.is_empty() {
            return if *self.generation.borrow() > cursor {
                Tail::Behind
            } else {
                Tail::UpToDate
            };
        }
        Tail::Events(events)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.hub
            .lives
            .remove_if(&self.task_id, |_, place| place.strong_count() == 0);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn event(generation: u64) -> Arc<TaskEvent> {
        Arc::new(TaskEvent::new(
            generation,
            Bytes::from_static(b"payload"),
            None,
            None,
        ))
    }

    fn live(events_max: usize) -> Arc<Live> {
        let settings = ExecutionSettings {
            ring_events_max: events_max,
            ..ExecutionSettings::default()
        };
        Hub::new(&settings).live(&Arc::from("t"))
    }

    #[test]
    fn a_reader_within_the_ring_gets_every_later_event() {
        let live = live(10);
        live.keep(&[event(1), event(2), event(3)]);
        live.wake(3);
        assert_eq!(live.after(1, 9), Tail::Events(vec![event(2), event(3)]));
        assert_eq!(live.after(1, 1), Tail::Events(vec![event(2)]));
        assert_eq!(live.after(3, 9), Tail::UpToDate);
    }

    #[test]
    fn a_reader_behind_the_ring_is_sent_to_the_log() {
        let live = live(2);
        live.keep(&[event(1), event(2), event(3)]);
        live.wake(3);
        assert_eq!(live.after(0, 9), Tail::Behind);
        assert_eq!(live.after(1, 9), Tail::Events(vec![event(2), event(3)]));
    }

    /// A bug once: readers were handed the events behind a hole, and the hole never.
    #[test]
    fn a_ring_with_a_hole_begins_anew() {
        let live = live(10);
        live.keep(&[event(1), event(2)]);
        live.keep(&[event(5)]);
        live.wake(5);
        assert_eq!(live.after(2, 9), Tail::Behind);
        assert_eq!(live.after(4, 9), Tail::Events(vec![event(5)]));
    }

    /// A bug once: rendered events were given back with more bytes than they were counted with.
    #[test]
    fn rendering_events_does_not_widen_the_ring() {
        let settings = ExecutionSettings {
            ring_bytes_max: 3 * event(1).size(),
            ..ExecutionSettings::default()
        };
        let live = Hub::new(&settings).live(&Arc::from("t"));
        for generation in 1..=100 {
            let event = event(generation);
            live.keep(std::slice::from_ref(&event));
            event.json(|_| Bytes::from(vec![0; 1_000]));
            assert!(live.ring.lock().unwrap().events.len() <= 3);
        }
    }

    #[test]
    fn a_doorbell_from_elsewhere_sends_readers_to_the_log() {
        let live = live(2);
        live.hub.hear(&Doorbell {
            task_id: Arc::from("t"),
            generation: 7,
        });
        assert_eq!(live.after(3, 9), Tail::Behind);
        live.wake(5);
        assert_eq!(*live.watch().borrow(), 7, "generations never go back");
    }

    #[test]
    fn the_ring_is_bounded_in_bytes_and_forgotten_with_its_last_user() {
        let settings = ExecutionSettings {
            ring_bytes_max: 3 * event(1).size(),
            ..ExecutionSettings::default()
        };
        let hub = Hub::new(&settings);
        let live = hub.live(&Arc::from("t"));
        live.keep(&(1..=100).map(event).collect::<Vec<_>>());
        assert_eq!(live.ring.lock().unwrap().events.len(), 3);
        assert_eq!(hub.len(), 1);
        drop(live);
        assert_eq!(hub.len(), 0);
    }
}
