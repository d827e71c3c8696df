//! Callers that make requests until a phase is over.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use a2ad::client::Client;
use a2ad::shutdown::Shutdown;
use tokio::time::{Instant, sleep_until, timeout};

use super::figures::Recorder;
use super::work::{Done, Work};

/// How long requests may still take when somebody has pressed Ctrl-C.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// When no further request is begun.
#[derive(Clone, Copy, Debug)]
pub struct Phase {
    duration: Option<Duration>,
    requests: u64,
}

impl Phase {
    pub fn lasting(duration: Duration) -> Self {
        Self {
            duration: Some(duration),
            requests: u64::MAX,
        }
    }

    pub fn of(requests: u64) -> Self {
        Self {
            duration: None,
            requests,
        }
    }
}

/// How a phase went.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub elapsed: Duration,
    pub is_interrupted: bool,
}

/// The load.
pub struct Load {
    pub clients: Vec<Client>,
    pub work: Arc<Work>,
    pub concurrency: u32,
    pub rate: Option<u32>,
    /// How long one request may take.
    pub limit: Duration,
}

/// What all callers of a phase share.
struct Shared {
    work: Arc<Work>,
    schedule: Schedule,
    limit: Duration,
    recorder: Arc<Recorder>,
    shutdown: Shutdown,
}

impl Load {
    /// Makes requests until the phase is over and all have ended, or `interrupted` resolves.
    pub async fn run<F: Future>(
        &self,
        phase: Phase,
        recorder: &Arc<Recorder>,
        interrupted: &mut Pin<&mut F>,
    ) -> Outcome {
        let shutdown = Shutdown::new();
        let start = Instant::now();
        let shared = Arc::new(Shared {
            work: self.work.clone(),
            schedule: Schedule::new(start, phase, self.rate),
            limit: self.limit,
            recorder: recorder.clone(),
            shutdown: shutdown.clone(),
        });
        for (number, client) in (0..self.concurrency as usize).zip(self.clients.iter().cycle()) {
            shutdown.spawn("bench", shared.clone().call_on(client.clone(), number));
        }
        // Every request has its own limit, so this ends.
        let is_interrupted = tokio::select! {
            _ = shutdown.finished(Duration::MAX) => false,
            _ = interrupted.as_mut() => true,
        };
        if is_interrupted {
            shutdown.drain();
            shutdown.finished(LAST_MOMENT).await;
            shutdown.abort();
        }
        Outcome {
            elapsed: start.elapsed(),
            is_interrupted,
        }
    }
}

impl Shared {
    /// One caller: a request after the other.
    async fn call_on(self: Arc<Self>, client: Client, number: usize) {
        while let Some(due) = self.schedule.next() {
            // From the time when it was due, however late somebody was free for it.
            let began = match due {
                Some(due) => {
                    tokio::select! {
                        () = sleep_until(due) => due,
                        () = self.shutdown.draining() => return,
                    }
                }
                None => Instant::now(),
            };
            if self.shutdown.is_draining() {
                return;
            }
            self.recorder.begin();
            let done = timeout(self.limit, self.work.once(&client, began)).await;
            let done = done.unwrap_or_else(|_| Done::timeout(began.elapsed()));
            self.recorder.end(number, done);
        }
    }
}

/// When requests are due.
#[derive(Debug)]
struct Schedule {
    start: Instant,
    end: Option<Instant>,
    requests: u64,
    rate: Option<u32>,
    taken: AtomicU64,
}

impl Schedule {
    fn new(start: Instant, phase: Phase, rate: Option<u32>) -> Self {
        Self {
            start,
            // A phase without an end that can be told has none.
            end: phase.duration.and_then(|duration| start.checked_add(duration)),
            requests: phase.requests,
            rate,
            taken: AtomicU64::new(0),
        }
    }

    /// When the next request is due: at once without a rate. `None` when the phase is over.
    fn next(&self) -> Option<Option<Instant>> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        if number >= self.requests {
            return None;
        }
        let due = self.rate.map(|rate| self.start + due(number, rate));
        let begins = due.unwrap_or_else(Instant::now);
        let is_over = self.end.is_some_and(|end| begins >= end);
        (!is_over).then_some(due)
    }
}

/// How long after the start a request is due.
fn due(number: u64, rate: u32) -> Duration {
    let rate = u64::from(rate);
    // Whole seconds and the rest of one, so that nothing is rounded away over hours.
    Duration::from_secs(number / rate) + Duration::from_nanos((number % rate) * 1_000_000_000 / rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_even_times() {
        assert_eq!(due(0, 10), Duration::ZERO);
        assert_eq!(due(1, 10), Duration::from_millis(100));
        assert_eq!(due(25, 10), Duration::from_millis(2_500));
        assert_eq!(due(3_600 * 3, 3), Duration::from_secs(3_600));
    }

    #[tokio::test(start_paused = true)]
    async fn a_phase_ends_by_its_time_or_its_number() {
        let start = Instant::now();
        let counted = Schedule::new(start, Phase::of(3), None);
        assert_eq!(std::iter::from_fn(|| counted.next()).take(9).count(), 3);
        // Due times decide and not the clock: half a second at ten a second are five requests.
        let timed = Schedule::new(start, Phase::lasting(Duration::from_millis(500)), Some(10));
        assert_eq!(std::iter::from_fn(|| timed.next()).take(9).count(), 5);
        let closed = Schedule::new(start, Phase::lasting(Duration::from_millis(500)), None);
        assert_eq!(closed.next(), Some(None));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(closed.next(), None);
    }
}
