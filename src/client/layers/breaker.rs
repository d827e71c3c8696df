//! The breaker of one instance: closed while it answers, open after it failed too often, and half-open when one call may
//! try it again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::is_read;
use super::metrics::{ClientMetrics, Count};
use super::settings::BreakerSettings;
use crate::access::Method;
use crate::client::Error;
use crate::error::Kind;

/// Whether the instance is to blame, and not the call; `None` if the error says nothing of the instance: it was not asked,
/// or has a long task to do. One that says it has had enough of this caller is well.
pub(super) fn is_failure(method: Method, error: &Error) -> Option<bool> {
    match error {
        Error::Unreachable { .. } => Some(true),
        Error::Timeout(_) if !is_read(method) => None,
        error if error.is_unsent() => None,
        error => Some(error.is_transient() && error.kind() != Some(Kind::ResourceExhausted)),
    }
}

/// The breaker of one instance.
pub(super) struct Breaker {
    state: Mutex<State>,
    settings: BreakerSettings,
    metrics: ClientMetrics,
}

enum State {
    Closed(Counted),
    /// Nobody calls until then.
    Open(Instant),
    /// One call tries the instance: since when, while it is under way. One that takes longer than the pause keeps no other
    /// from trying.
    HalfOpen(Option<Instant>),
}

/// What happened while the breaker was closed.
struct Counted {
    failures_in_row: u32,
    window: Instant,
    calls: u32,
    failures: u32,
}

/// The right to one call. Dropped without a word it changes nothing.
pub(super) struct Pass {
    breaker: Arc<Breaker>,
    /// When it began to try the instance, if it does.
    probe: Option<Instant>,
}

impl Breaker {
    pub(super) fn new(settings: &BreakerSettings, metrics: &ClientMetrics) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::Closed(Counted::new())),
            settings: settings.clone(),
            metrics: metrics.clone(),
        })
    }

    /// Whether a call would be let through now.
    ///
    /// # Errors
    /// How long the instance is left alone.
    pub(super) fn check(&self) -> Result<(), Duration> {
        self.left(&self.lock())
    }

    fn left(&self, state: &State) -> Result<(), Duration> {
        let left = match state {
            State::Open(until) => until.saturating_duration_since(Instant::now()),
            State::HalfOpen(Some(since)) => self.settings.pause.saturating_sub(since.elapsed()),
            State::HalfOpen(None) | State::Closed(_) => return Ok(()),
        };
        if left.is_zero() { Ok(()) } else { Err(left) }
    }

    /// The right to call the instance now.
    ///
    /// # Errors
    /// How long the instance is left alone.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Pass, Duration> {
        let mut state = self.lock();
        self.left(&state)?;
        let probe = match *state {
            State::Closed(_) => None,
            State::Open(_) | State::HalfOpen(_) => {
                let now = Instant::now();
                *state = State::HalfOpen(Some(now));
                Some(now)
            }
        };
        Ok(Pass {
            breaker: self.clone(),
            probe,
        })
    }

    fn open(&self, state: &mut State) {
        *state = State::Open(Instant::now() + self.settings.pause);
        self.metrics.count(Count::Opened);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn new() -> Self {
        Self {
            failures_in_row: 0,
            window: Instant::now(),
            calls: 0,
            failures: 0,
        }
    }

    /// Counts a call; true if that was one failure too many.
    fn add(&mut self, is_failure: bool, settings: &BreakerSettings) -> bool {
        if self.window.elapsed() >= settings.window {
            *self = Self {
                failures_in_row: self.failures_in_row,
                ..Self::new()
            };
        }
        self.calls = self.calls.saturating_add(1);
        if !is_failure {
            self.failures_in_row = 0;
            return false;
        }
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        self.failures = self.failures.saturating_add(1);
        let may_fail = f64::from(self.calls) * settings.failure_ratio;
        self.failures_in_row >= settings.failures_max.max(1)
            || (self.calls >= settings.calls_min && f64::from(self.failures) > may_fail)
    }
}

impl Pass {
    /// What became of the call.
    pub(super) fn settle(mut self, is_failure: bool) {
        let breaker = self.breaker.clone();
        let mut state = breaker.lock();
        match &mut *state {
            State::Closed(counted) => {
                if counted.add(is_failure, &breaker.settings) {
                    breaker.open(&mut state);
                }
            }
            State::HalfOpen(_) if self.probe.is_some() => match is_failure {
                true => breaker.open(&mut state),
                false => *state = State::Closed(Counted::new()),
            },
            // A call from before the breaker opened says nothing new.
            State::Open(_) | State::HalfOpen(_) => {}
        }
        self.probe = None;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.probe.is_some()
            && let State::HalfOpen(probe) = &mut *self.breaker.lock()
            && *probe == self.probe
        {
            *probe = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    fn breaker(settings: &BreakerSettings) -> (Arc<Breaker>, ClientMetrics) {
        let metrics = ClientMetrics::default();
        (Breaker::new(settings, &metrics), metrics)
    }

    fn call(breaker: &Arc<Breaker>, fails: bool) {
        breaker.enter().ok().unwrap().settle(fails);
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_and_one_call_tries() {
        let (breaker, metrics) = breaker(&BreakerSettings::default());
        for fails in [true, true, true, true, false, true, true, true, true] {
            call(&breaker, fails);
        }
        let early = breaker.enter().ok().unwrap();
        call(&breaker, true);
        assert_eq!(breaker.enter().err(), Some(PAUSE));
        // It was sent before, and says nothing about now.
        early.settle(false);
        assert!(breaker.enter().is_err());
        tokio::time::advance(PAUSE - Duration::from_millis(1)).await;
        assert_eq!(breaker.check(), Err(Duration::from_millis(1)));

        tokio::time::advance(Duration::from_millis(1)).await;
        let probe = breaker.enter().ok().unwrap();
        assert!(
            breaker.enter().is_err() && breaker.check().is_err(),
            "one at a time"
        );
        // A probe that came to nothing leaves its place to another one.
        drop(probe);
        breaker.enter().ok().unwrap().settle(true);
        assert_eq!(breaker.enter().err(), Some(PAUSE), "one failure opens it again");
        assert_eq!(metrics.report().breaker_openings, 2);

        tokio::time::advance(PAUSE).await;
        call(&breaker, false);
        for _ in 0..4 {
            call(&breaker, true);
        }
        assert_eq!(breaker.check(), Ok(()), "closed, and counting anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_tries_for_long_keeps_no_other_from_trying() {
        let (breaker, _) = breaker(&BreakerSettings::default());
        for _ in 0..5 {
            call(&breaker, true);
        }
        tokio::time::advance(PAUSE).await;
        let slow = breaker.enter().ok().unwrap();
        tokio::time::advance(PAUSE - Duration::from_millis(1)).await;
        assert_eq!(breaker.enter().err(), Some(Duration::from_millis(1)));
        tokio::time::advance(Duration::from_millis(1)).await;
        let other = breaker.enter().ok().unwrap();
        drop(slow);
        assert!(breaker.enter().is_err(), "the place is the other one's now");
        other.settle(false);
        assert_eq!(breaker.check(), Ok(()));
    }

    #[test]
    fn what_says_nothing_of_the_instance_does_not_count() {
        use crate::client::layers::scripted::{interrupted, refused, unreachable};
        let late = || Error::Timeout(PAUSE);
        for (method, error, counts) in [
            (Method::GetTask, late(), Some(true)),
            (Method::SendMessage, late(), None),
            (Method::SendMessage, interrupted(), Some(true)),
            (Method::SendMessage, unreachable(), Some(true)),
            (Method::GetTask, Error::TokenUnavailable(String::new()), None),
            (Method::GetTask, Error::HeldBack(String::new()), None),
            (Method::GetTask, refused(Kind::Unavailable, None), Some(true)),
            (
                Method::GetTask,
                refused(Kind::ResourceExhausted, None),
                Some(false),
            ),
            (Method::GetTask, refused(Kind::TaskNotFound, None), Some(false)),
        ] {
            assert_eq!(is_failure(method, &error), counts, "{method:?} {error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_when_too_large_a_part_fails_within_one_window() {
        let settings = BreakerSettings::default();
        // Never more than two in a row, and two of three in all.
        let calls = [true, true, false].into_iter().cycle();
        let (sick, _) = breaker(&settings);
        for fails in calls.clone().take(19) {
            call(&sick, fails);
        }
        assert_eq!(sick.check(), Ok(()), "too few to judge");
        call(&sick, true);
        assert!(sick.check().is_err());

        let (slow, _) = breaker(&settings);
        for fails in calls.take(100) {
            call(&slow, fails);
            tokio::time::advance(settings.window / 10).await;
        }
        assert_eq!(slow.check(), Ok(()), "no window has enough calls");
        let (well, _) = breaker(&settings);
        for fails in [false, true].into_iter().cycle().take(100) {
            call(&well, fails);
        }
        assert_eq!(well.check(), Ok(()), "half of them may fail");
    }

    proptest! {
        /// However calls go: it never opens below its limits, is open for exactly its pause, and lets one call try.
        #[test]
        fn it_is_open_for_its_pause_and_no_longer(calls in proptest::collection::vec((any::<bool>(), 0_u64..4_000), 1..200)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let settings = BreakerSettings { calls_min: u32::MAX, failures_max: 3, ..BreakerSettings::default() };
                let (breaker, _) = breaker(&settings);
                let (mut in_row, mut opened, mut is_probe) = (0, None::<Instant>, false);
                for (fails, ms) in calls {
                    tokio::time::advance(Duration::from_millis(ms)).await;
                    match breaker.enter() {
                        Err(left) => {
                            let until = opened.expect("it opened") + PAUSE;
                            assert_eq!(Instant::now() + left, until);
                        }
                        Ok(pass) => {
                            if let Some(at) = opened.take() {
                                assert!(at.elapsed() >= PAUSE);
                                is_probe = true;
                            }
                            pass.settle(fails);
                            in_row = if fails { in_row + 1 } else { 0 };
                            if in_row >= 3 || (fails && is_probe) {
                                opened = Some(Instant::now());
                            }
                            assert_eq!(breaker.check().is_err(), opened.is_some());
                            is_probe = false;
                        }
                    }
                }
            });
        }
    }
}
