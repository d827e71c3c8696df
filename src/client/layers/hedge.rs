//! Asking a second time when the answer to a read is late, and taking the answer that comes first.
//!
//! tower's own hedge can't be cloned and changes errors into boxes; this one is a race of two futures.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::{Instant, sleep};
use tower::retry::budget::{Budget as _, TpsBudget};
use tower::{ServiceExt as _, service_fn};

use super::metrics::{ClientMetrics, Count};
use super::retry::budget;
use super::settings::HedgeSettings;
use super::{Step, is_read};
use crate::client::{Call, Error, Reply};

/// Latencies that are remembered.
const SAMPLES: usize = 256;
/// Latencies that a percentile needs.
const SAMPLES_MIN: usize = 32;

struct Hedge {
    settings: HedgeSettings,
    budget: TpsBudget,
    latencies: Mutex<VecDeque<Duration>>,
    metrics: ClientMetrics,
}

impl Hedge {
    /// How late an answer has to be for a second call.
    fn delay(&self) -> Duration {
        let HedgeSettings {
            delay, percentile, ..
        } = self.settings;
        let Some(percentile) = percentile else {
            return delay;
        };
        let latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        if latencies.len() < SAMPLES_MIN {
            return delay;
        }
        let mut sorted: Vec<Duration> = latencies.iter().copied().collect();
        drop(latencies);
        let at = (percentile.clamp(0.0, 1.0) * (sorted.len() - 1) as f64) as usize;
        (*sorted.select_nth_unstable(at).1).max(delay)
    }

    fn note(&self, latency: Duration) {
        let mut latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        if latencies.len() == SAMPLES {
            latencies.pop_front();
        }
        latencies.push_back(latency);
    }

    async fn call(&self, inner: impl Step, call: Call) -> Result<Reply, Error> {
        self.budget.deposit();
        let again = call.clone();
        let began = Instant::now();
        let first = Box::pin(inner.clone().oneshot(call));
        let late = Box::pin(sleep(self.delay()));
        let first = match select(first, late).await {
            Either::Left((answer, _)) => {
                self.note(began.elapsed());
                return answer;
            }
            Either::Right(((), first)) => first,
        };
        // The first is noted as well when it is not waited for: as late as the answer that came before it.
        let answer = if self.budget.withdraw() {
            self.metrics.count(Count::Hedged);
            race(first, Box::pin(inner.oneshot(again))).await
        } else {
            first.await
        };
        self.note(began.elapsed());
        answer
    }
}

/// The first answer; an error that may pass is not one while the other may still come.
async fn race<F: Future<Output = Result<Reply, Error>> + Unpin>(first: F, second: F) -> Result<Reply, Error> {
    let (Either::Left((answer, other)) | Either::Right((answer, other))) = select(first, second).await;
    match answer {
        Err(error) if error.is_transient() || error.is_unsent() => other.await,
        answer => answer,
    }
}

/// Makes reads twice that are late.
pub(super) fn hedged<S: Step>(
    inner: S,
    settings: &HedgeSettings,
    metrics: &ClientMetrics,
) -> impl Step + use<S> {
    let hedge = Arc::new(Hedge {
        budget: budget(settings.budget_ratio, settings.budget_per_second),
        settings: settings.clone(),
        latencies: Mutex::default(),
        metrics: metrics.clone(),
    });
    service_fn(move |call: Call| {
        let (hedge, inner) = (hedge.clone(), inner.clone());
        async move {
            if is_read(call.method()) {
                hedge.call(inner, call).await
            } else {
                inner.oneshot(call).await
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::layers::scripted::{Script, get, interrupted, refused, send};
    use crate::error::Kind;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn over(script: &Script, settings: &HedgeSettings) -> (impl Step, ClientMetrics) {
        let metrics = ClientMetrics::default();
        (hedged(script.transport(), settings, &metrics), metrics)
    }

    fn fixed() -> HedgeSettings {
        HedgeSettings {
            percentile: None,
            ..HedgeSettings::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_read_is_made_twice_and_the_loser_is_dropped() {
        for (first, second, took, dropped) in [
            (ms(99), ms(0), ms(99), 0),
            (ms(5_000), ms(20), ms(120), 1),
            (ms(150), ms(5_000), ms(150), 1),
        ] {
            let script = Script::new(move |number, _| (if number == 0 { first } else { second }, Ok(())));
            let (hedged, metrics) = over(&script, &fixed());
            let began = Instant::now();
            assert!(hedged.oneshot(get()).await.is_ok());
            assert_eq!((began.elapsed(), script.dropped()), (took, dropped));
            assert_eq!(script.calls(), 1 + dropped);
            assert_eq!(metrics.report().hedges, dropped as u64);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_send_is_made_once() {
        let script = Script::new(|_, _| (ms(5_000), Ok(())));
        let (hedged, _) = over(&script, &fixed());
        assert!(hedged.oneshot(send()).await.is_ok());
        assert_eq!(script.calls(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_is_the_answer_only_if_the_other_can_not_be_better() {
        let cases: [(fn() -> Error, bool); 2] =
            [(interrupted, true), (|| refused(Kind::TaskNotFound, None), false)];
        for (error, is_ok) in cases {
            let script = Script::new(move |number, _| match number {
                0 => (ms(300), Ok(())),
                _ => (ms(10), Err(error())),
            });
            let (hedged, _) = over(&script, &fixed());
            assert_eq!(hedged.oneshot(get()).await.is_ok(), is_ok);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn late_is_what_most_answers_are_not() {
        // Every twentieth takes ten times as long as the others.
        let script = Script::new(|number, _| (ms(if number % 20 == 19 { 4_000 } else { 400 }), Ok(())));
        let settings = HedgeSettings {
            percentile: Some(0.9),
            ..HedgeSettings::default()
        };
        let (hedged, metrics) = over(&script, &settings);
        for _ in 0..100 {
            assert!(hedged.clone().oneshot(get()).await.is_ok());
        }
        let early = metrics.report().hedges;
        let began = Instant::now();
        for _ in 0..100 {
            assert!(hedged.clone().oneshot(get()).await.is_ok());
        }
        let later = metrics.report().hedges - early;
        assert!((4..=6).contains(&later), "{later}");
        assert!(began.elapsed() < ms(100 * 400 + 6 * 500), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_bounds_second_calls() {
        let script = Script::new(|_, _| (ms(1_000), Ok(())));
        let (hedged, metrics) = over(&script, &fixed());
        let all = (0..1_000).map(|_| hedged.clone().oneshot(get()));
        futures_util::future::join_all(all).await;
        // A tenth, and one per second of the last ten.
        let hedges = metrics.report().hedges;
        assert!((100..=111).contains(&hedges), "{hedges}");
    }
}
