//! Whether an agent holds threads that others need, judged by how long it keeps them.
//!
//! One long poll proves nothing: a process that is stopped, or whose machine is moved, sees one in whatever happened to
//! run. So it takes several, one behind the other. Those of different threads that overlap may be one and the same
//! pause, and count once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Long polls that show that an agent blocks.
const LONG_POLLS: u32 = 3;
/// Long polls that lie further apart have nothing to do with each other.
const MEMORY: Duration = Duration::from_secs(600);

/// What is known about the polls of one agent.
#[derive(Debug, Default)]
pub(super) struct Polls {
    blocks: AtomicBool,
    long: Mutex<Long>,
}

#[derive(Debug, Default)]
struct Long {
    count: u32,
    last_ended: Option<Instant>,
}

impl Polls {
    /// Whether the agent was seen to block.
    pub(super) fn shows_blocking(&self) -> bool {
        self.blocks.load(Ordering::Relaxed)
    }

    /// Notes a poll that took too long; true if this is the one by which the agent is known to block.
    pub(super) fn took_long(&self, began: Instant, ended: Instant) -> bool {
        let mut long = self.long.lock().unwrap_or_else(PoisonError::into_inner);
        match long.last_ended {
            Some(last) if began < last => return false,
            Some(last) if began.duration_since(last) > MEMORY => long.count = 0,
            _ => {}
        }
        long.count += 1;
        long.last_ended = Some(ended);
        long.count >= LONG_POLLS && !self.blocks.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls by the seconds at which they begin and end; whether the agent is known to block behind each.
    fn seen(polls: &[(u64, u64)]) -> Vec<bool> {
        let (start, known) = (Instant::now(), Polls::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        let look = |(began, ended): &(u64, u64)| {
            known.took_long(at(*began), at(*ended));
            known.shows_blocking()
        };
        polls.iter().map(look).collect()
    }

    /// A fault once: a single pause of the process took an agent off the async threads for ever.
    #[test]
    fn a_pause_of_the_process_shows_nothing() {
        assert_eq!(seen(&[(0, 60)]), [false]);
        // Four threads were in the middle of a poll when the machine stopped.
        assert_eq!(seen(&[(1, 60), (0, 60), (2, 60), (1, 61)]), [false; 4]);
        // It stops every day.
        let days: Vec<_> = (0..9).map(|day| (day * 86_400, day * 86_400 + 60)).collect();
        assert_eq!(seen(&days), [false; 9]);
    }

    #[test]
    fn an_agent_that_does_it_again_and_again_blocks() {
        assert_eq!(
            seen(&[(0, 2), (3, 5), (300, 302), (400, 402)]),
            [false, false, true, true]
        );
    }

    #[test]
    fn only_the_poll_that_shows_it_is_told() {
        let (start, polls) = (Instant::now(), Polls::default());
        let told = (0..5).map(|number| {
            let began = start + Duration::from_secs(number * 2);
            polls.took_long(began, began + Duration::from_secs(1))
        });
        assert_eq!(told.collect::<Vec<_>>(), [false, false, true, false, false]);
    }
}
