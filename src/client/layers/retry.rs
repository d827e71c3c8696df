//! Repeating what failed and can't do harm twice: by tower's retry, with a budget that all calls to an agent share.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};
use tower::retry::budget::{Budget as _, TpsBudget};
use tower::retry::{Policy, Retry};

use super::backoff::{pause, random};
use super::metrics::{ClientMetrics, Count};
use super::settings::RetrySettings;
use super::{Step, is_read};
use crate::access::Method;
use crate::client::call::IDEMPOTENCY_KEY;
use crate::client::{AgentError, Call, Error, Reply};
use crate::error::Kind;

/// How long calls count for a budget.
const BUDGET_SPAN: Duration = Duration::from_secs(10);

/// A budget of so many more calls per call, and so many per second in any case.
pub(super) fn budget(ratio: f32, per_second: u32) -> TpsBudget {
    let ratio = if ratio.is_nan() {
        0.0
    } else {
        ratio.clamp(0.0, 1.0)
    };
    TpsBudget::new(BUDGET_SPAN, per_second.min(1_000_000), ratio)
}

/// Repeats calls; sends as well if the agent is known to run each of them once.
pub(super) fn retried<S: Step>(
    inner: S,
    settings: &RetrySettings,
    sends_once: bool,
    metrics: &ClientMetrics,
) -> impl Step + use<S> {
    let shared = Shared {
        budget: budget(settings.budget_ratio, settings.budget_per_second),
        settings: settings.clone(),
        sends_once,
        metrics: metrics.clone(),
    };
    Retry::new(Attempts::new(shared), inner)
}

struct Shared {
    settings: RetrySettings,
    budget: TpsBudget,
    sends_once: bool,
    metrics: ClientMetrics,
}

/// The attempts of one call.
#[derive(Clone)]
struct Attempts {
    shared: Arc<Shared>,
    made: u32,
    /// The first error behind which the agent may have got the call: no later one makes that undone.
    doubt: Option<Arc<Error>>,
}

impl Attempts {
    fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
            made: 0,
            doubt: None,
        }
    }

    /// The pause before the call is made again; `None` if it is not.
    fn again(&self, call: &Call, error: &Error) -> Option<Duration> {
        let Shared { settings, budget, .. } = &*self.shared;
        let asked = match error {
            Error::Agent(error) => error.retry_after,
            _ => None,
        };
        let is_over = self.made >= settings.attempts_max
            || !error.is_transient()
            || !(error.is_unsent() || self.is_harmless_twice(call))
            || asked.is_some_and(|asked| asked > settings.retry_after_max)
            || is_too_much(call, error);
        if is_over {
            return None;
        }
        let limits = (settings.backoff_min, settings.backoff_max);
        let pause = pause(limits, self.made, asked, random());
        let is_late = call
            .deadline
            .is_some_and(|deadline| Instant::now() + pause >= deadline);
        (!is_late && budget.withdraw()).then_some(pause)
    }

    /// Puts an error aside that was not the last word, if it is the first behind which the agent may have got the call.
    fn set_aside(&mut self, result: &mut Result<Reply, Error>) {
        if self.doubt.is_none()
            && let Err(error) = result
            && !error.is_unsent()
        {
            let nobody_sees = Error::HeldBack(String::new());
            self.doubt = Some(Arc::new(std::mem::replace(error, nobody_sees)));
        }
    }

    /// Whoever reads that nothing was sent sends it again: that must be true of all attempts.
    fn tell_doubt(&mut self, result: &mut Result<Reply, Error>) {
        if let Err(error) = result
            && error.is_unsent()
            && let Some(doubt) = self.doubt.take().and_then(Arc::into_inner)
        {
            tracing::debug!(%error, "the last attempt was not sent, an earlier one may have been");
            *error = doubt;
        }
    }

    fn is_harmless_twice(&self, call: &Call) -> bool {
        match call.method() {
            Method::SendMessage | Method::SendStreamingMessage => {
                self.shared.sends_once && call.parameters.contains_key(IDEMPOTENCY_KEY)
            }
            Method::SubscribeToTask | Method::CancelTask | Method::DeleteTaskPushNotificationConfig => true,
            method => is_read(method),
        }
    }
}

/// Whether it is an upload that the agent has no room for, and it names no time at which it has: by gRPC what is too large
/// looks like that, and is large again.
fn is_too_much(call: &Call, error: &Error) -> bool {
    let is_full = |error: &AgentError| error.kind == Kind::ResourceExhausted && error.retry_after.is_none();
    !call.uploads.is_empty() && matches!(error, Error::Agent(error) if is_full(error))
}

impl Policy<Call, Reply, Error> for Attempts {
    type Future = Sleep;

    fn retry(&mut self, call: &mut Call, result: &mut Result<Reply, Error>) -> Option<Sleep> {
        self.made += 1;
        let again = match result {
            Ok(_) => None,
            Err(error) => self.again(call, error),
        };
        match again {
            Some(pause) => {
                self.set_aside(result);
                self.shared.metrics.count(Count::Retried);
                Some(sleep(pause))
            }
            None => {
                tracing::Span::current().record("attempts", self.made);
                self.tell_doubt(result);
                None
            }
        }
    }

    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        if self.made == 0 {
            self.shared.budget.deposit();
        }
        Some(call.clone())
    }
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt as _;

    use super::*;
    use crate::client::Request;
    use crate::client::layers::deadline::timed;
    use crate::client::layers::scripted::{Script, get, interrupted, refused, send, unreachable, uploading};
    use crate::pb::{CancelTaskRequest, SubscribeToTaskRequest, TaskPushNotificationConfig};

    fn failing(error: impl Fn() -> Error + Send + Sync + 'static) -> Script {
        Script::new(move |_, _| (Duration::ZERO, Err(error())))
    }

    fn over(script: &Script, sends_once: bool) -> (impl Step, ClientMetrics) {
        let metrics = ClientMetrics::default();
        let step = retried(
            script.transport(),
            &RetrySettings::default(),
            sends_once,
            &metrics,
        );
        (step, metrics)
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_is_made_again_after_pauses_that_grow() {
        let script = Script::new(|number, _| {
            let result = if number < 3 { Err(interrupted()) } else { Ok(()) };
            (Duration::ZERO, result)
        });
        let (retried, metrics) = over(&script, false);
        let began = Instant::now();
        assert!(retried.oneshot(get()).await.is_ok());
        assert_eq!((script.calls(), metrics.report().retries), (4, 3));
        // 100, 200 and 400 ms at most, and a millisecond each at least.
        let took = began.elapsed();
        assert!(
            took >= Duration::from_millis(3) && took <= Duration::from_millis(702),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn it_gives_up_after_the_last_attempt() {
        let script = failing(unreachable);
        let (retried, metrics) = over(&script, false);
        assert!(matches!(
            retried.oneshot(send()).await,
            Err(Error::Unreachable { .. })
        ));
        assert_eq!((script.calls(), metrics.report().retries), (4, 3));
    }

    /// What is made again: (call, error, agent runs each send once) and how often it is made in all.
    #[tokio::test(start_paused = true)]
    async fn only_what_is_harmless_twice_is_made_again() {
        let create = || {
            Call::new(Request::CreateTaskPushNotificationConfig(
                TaskPushNotificationConfig::default(),
            ))
        };
        let cancel = || Call::new(Request::CancelTask(CancelTaskRequest::default()));
        let subscribe = || {
            Call::new(Request::SubscribeToTask(
                SubscribeToTaskRequest::default(),
                Some(3),
            ))
        };
        let unavailable = || refused(Kind::Unavailable, None);
        let nameless = || {
            let mut call = send();
            call.parameters.clear();
            call
        };
        type Case = (Call, fn() -> Error, bool, usize);
        let cases: [Case; 13] = [
            (send(), interrupted, true, 4),
            (send(), interrupted, false, 1),
            (nameless(), interrupted, true, 1),
            (nameless(), unreachable, false, 4),
            (send(), unavailable, false, 1),
            (send(), unavailable, true, 4),
            (get(), unavailable, false, 4),
            (create(), interrupted, true, 1),
            (create(), unreachable, true, 4),
            (cancel(), interrupted, false, 4),
            (subscribe(), interrupted, false, 4),
            (get(), || refused(Kind::TaskNotFound, None), false, 1),
            (get(), || Error::HeldBack(String::new()), false, 1),
        ];
        for (number, (call, error, sends_once, calls)) in cases.into_iter().enumerate() {
            let script = failing(error);
            let (retried, _) = over(&script, sends_once);
            assert!(retried.oneshot(call).await.is_err());
            assert_eq!(script.calls(), calls, "case {number}");
        }
    }

    /// (errors of the attempts, the label of the error that is told)
    #[tokio::test(start_paused = true)]
    async fn what_may_have_been_sent_is_not_told_as_unsent() {
        let changed = || Error::Content {
            name: "f".to_owned(),
            cause: "it has changed".to_owned(),
        };
        let held_back = || Error::HeldBack(String::new());
        type Case = (Vec<fn() -> Error>, &'static str);
        let cases: [Case; 6] = [
            (vec![interrupted, changed], "INTERRUPTED"),
            (vec![interrupted, held_back], "INTERRUPTED"),
            (vec![interrupted, unreachable], "INTERRUPTED"),
            (
                vec![unreachable, || Error::Timeout(Duration::ZERO), changed],
                "TIMEOUT",
            ),
            (
                vec![interrupted, || refused(Kind::TaskNotFound, None)],
                "TASK_NOT_FOUND",
            ),
            (vec![unreachable, changed], "CONTENT"),
        ];
        for (errors, label) in cases {
            let last = errors.len() - 1;
            let script = Script::new(move |number, _| (Duration::ZERO, Err(errors[number.min(last)]())));
            let error = over(&script, true).0.oneshot(send()).await.unwrap_err();
            assert_eq!(error.label(), label);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_large_is_so_the_next_time() {
        let too_large = |retry_after| {
            let Error::Agent(mut error) = refused(Kind::ResourceExhausted, retry_after) else {
                panic!("an agent refuses");
            };
            error.code = "413".to_owned();
            Error::Agent(error)
        };
        let full = |retry_after| refused(Kind::ResourceExhausted, retry_after);
        let soon = Some(Duration::from_secs(1));
        for (error, is_upload, calls) in [
            (too_large(None), false, 1),
            (too_large(soon), false, 4),
            (full(None), false, 4),
            (too_large(None), true, 1),
            (full(None), true, 1),
            (full(soon), true, 4),
        ] {
            let Error::Agent(error) = error else {
                panic!("an agent refuses");
            };
            let script = failing(move || Error::Agent(error.clone()));
            let call = if is_upload { uploading() } else { send() };
            assert!(over(&script, true).0.oneshot(call).await.is_err());
            assert_eq!(script.calls(), calls, "an upload: {is_upload}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_attempt_names_the_same_key() {
        let script = failing(interrupted);
        let (retried, _) = over(&script, true);
        let call = send();
        let key = call.parameters[IDEMPOTENCY_KEY].clone();
        assert!(retried.oneshot(call).await.is_err());
        let received = script.received();
        assert_eq!(received.len(), 4);
        assert!(
            received
                .iter()
                .all(|call| call.parameters[IDEMPOTENCY_KEY] == key)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_agent_asks_for_is_the_least_and_has_a_limit() {
        let script = failing(|| refused(Kind::ResourceExhausted, Some(Duration::from_secs(20))));
        let began = Instant::now();
        assert!(over(&script, false).0.oneshot(get()).await.is_err());
        assert_eq!((script.calls(), began.elapsed().as_secs()), (4, 60));
        let script = failing(|| refused(Kind::ResourceExhausted, Some(Duration::from_secs(61))));
        assert!(over(&script, false).0.oneshot(get()).await.is_err());
        assert_eq!(script.calls(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_tried_that_does_not_fit_in() {
        let script = failing(|| refused(Kind::Unavailable, Some(Duration::from_secs(20))));
        let (retried, metrics) = over(&script, false);
        let began = Instant::now();
        let answer = timed(retried, Duration::from_secs(30)).oneshot(get()).await;
        assert!(
            matches!(answer, Err(Error::Agent(_))),
            "the agent's own error, not that of the clock"
        );
        assert_eq!((script.calls(), metrics.report().retries), (2, 1));
        assert_eq!(began.elapsed(), Duration::from_secs(20));
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_bounds_what_an_agent_that_is_away_gets() {
        let script = failing(unreachable);
        let settings = RetrySettings {
            budget_per_second: 1,
            ..RetrySettings::default()
        };
        let retried = retried(script.transport(), &settings, false, &ClientMetrics::default());
        for _ in 0..1_000 {
            assert!(retried.clone().oneshot(get()).await.is_err());
        }
        // A fifth of a thousand, one per second, and what a window carries over.
        let calls = script.calls();
        assert!((1_100..=1_250).contains(&calls), "{calls}");
    }
}
