//! The newest events of one task, bounded in number and bytes and without holes.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ExecutionSettings;
use crate::task::TaskEvent;

/// How much a ring keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct RingLimits {
    events_max: usize,
    bytes_max: usize,
}

impl RingLimits {
    pub(super) fn new(settings: &ExecutionSettings) -> Self {
        Self {
            events_max: settings.ring_events_max,
            bytes_max: settings.ring_bytes_max,
        }
    }
}

/// The ring of one task.
#[derive(Debug)]
pub(super) struct Ring {
    limits: RingLimits,
    events: VecDeque<Kept>,
    bytes: usize,
}

/// An event with the size that it was counted with: events grow when they are rendered.
#[derive(Debug)]
struct Kept {
    event: Arc<TaskEvent>,
    bytes: usize,
}

impl Ring {
    pub(super) fn new(limits: RingLimits) -> Self {
        Self {
            limits,
            events: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Keeps events that follow one another; the oldest ones make room.
    pub(super) fn keep(&mut self, events: &[Arc<TaskEvent>]) {
        let next = self.events.back().map(|newest| newest.event.generation + 1);
        if next.is_some() && next != events.first().map(|first| first.generation) {
            // Somebody else wrote in between; the ring has no holes, so it begins anew.
            *self = Self::new(self.limits);
        }
        for event in events {
            let bytes = event.size();
            self.bytes += bytes;
            self.events.push_back(Kept {
                event: event.clone(),
                bytes,
            });
        }
        while self.events.len() > self.limits.events_max || self.bytes > self.limits.bytes_max {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes;
        }
    }

    /// At most `limit` events behind `cursor`, in order; none if the ring ends there or begins later.
    pub(super) fn after(&self, cursor: u64, limit: usize) -> Vec<Arc<TaskEvent>> {
        let first = self.events.front().map(|oldest| oldest.event.generation);
        let Some(skip) = first.and_then(|first| (cursor + 1).checked_sub(first)) else {
            return Vec::new();
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let behind = self.events.iter().skip(skip).take(limit);
        behind.map(|kept| kept.event.clone()).collect()
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

    fn ring(events_max: usize, bytes_max: usize) -> Ring {
        Ring::new(RingLimits {
            events_max,
            bytes_max,
        })
    }

    #[test]
    fn a_reader_within_the_ring_gets_every_later_event() {
        let mut ring = ring(10, usize::MAX);
        assert_eq!(ring.after(0, 9), []);
        ring.keep(&[event(1), event(2), event(3)]);
        assert_eq!(ring.after(1, 9), [event(2), event(3)]);
        assert_eq!(ring.after(1, 1), [event(2)]);
        assert_eq!(ring.after(3, 9), []);
        assert_eq!(ring.after(7, 9), []);
    }

    #[test]
    fn a_reader_behind_the_ring_gets_nothing() {
        let mut ring = ring(2, usize::MAX);
        ring.keep(&[event(1), event(2), event(3)]);
        assert_eq!(ring.after(0, 9), []);
        assert_eq!(ring.after(1, 9), [event(2), event(3)]);
    }

    /// A bug once: readers were handed the events behind a hole, and the hole never.
    #[test]
    fn a_ring_with_a_hole_begins_anew() {
        let mut ring = ring(10, usize::MAX);
        ring.keep(&[event(1), event(2)]);
        ring.keep(&[event(5)]);
        assert_eq!(ring.after(2, 9), []);
        assert_eq!(ring.after(4, 9), [event(5)]);
    }

    /// A bug once: rendered events were given back with more bytes than they were counted with.
    #[test]
    fn rendering_events_does_not_widen_the_ring() {
        let mut ring = ring(usize::MAX, 3 * event(1).size());
        for generation in 1..=100 {
            let event = event(generation);
            ring.keep(std::slice::from_ref(&event));
            event.json(|_| Bytes::from(vec![0; 1_000]));
            assert!(ring.events.len() <= 3);
        }
    }

    #[test]
    fn a_ring_is_bounded_in_bytes() {
        let mut ring = ring(usize::MAX, 3 * event(1).size());
        ring.keep(&(1..=100).map(event).collect::<Vec<_>>());
        assert_eq!(ring.after(97, 9), [event(98), event(99), event(100)]);
        assert_eq!(ring.events.len(), 3);
    }
}
