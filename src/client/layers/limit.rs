//! A bounded number of calls at once, and a bounded number that wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::{ServiceExt as _, service_fn};

use super::Step;
use super::settings::ConcurrencySettings;
use crate::client::Error;

struct Gate {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    settings: ConcurrencySettings,
}

/// One who waits, until this is dropped.
struct Waiting<'a>(&'a Gate);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Gate {
    async fn enter(&self) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        let ahead = self.waiting.fetch_add(1, Ordering::AcqRel);
        let _waiting = Waiting(self);
        if ahead >= self.settings.waiting_max {
            return Err(self.full());
        }
        // Nobody closes it.
        let place = self.places.clone().acquire_owned().await;
        place.map_err(|_| self.full())
    }

    fn full(&self) -> Error {
        let ConcurrencySettings {
            calls_max,
            waiting_max,
        } = self.settings;
        Error::HeldBack(format!(
            "{calls_max} calls to the agent are under way and {waiting_max} wait; make it again when some have ended, or \
             allow more"
        ))
    }
}

/// Lets through what the settings allow at once.
pub(super) fn limited<S: Step>(inner: S, settings: &ConcurrencySettings) -> impl Step + use<S> {
    let gate = Arc::new(Gate {
        places: Arc::new(Semaphore::new(
            settings.calls_max.clamp(1, Semaphore::MAX_PERMITS),
        )),
        waiting: AtomicUsize::new(0),
        settings: settings.clone(),
    });
    service_fn(move |call| {
        let (gate, inner) = (gate.clone(), inner.clone());
        async move {
            let _place = gate.enter().await?;
            inner.oneshot(call).await
        }
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;

    use super::*;
    use crate::client::layers::scripted::{Script, get};

    #[tokio::test(start_paused = true)]
    async fn no_more_are_under_way_or_wait_than_may() {
        let script = Script::new(|_, _| (Duration::from_secs(1), Ok(())));
        let settings = ConcurrencySettings {
            calls_max: 3,
            waiting_max: 4,
        };
        let limited = limited(script.transport(), &settings);
        let began = tokio::time::Instant::now();
        let answers = join_all((0..10).map(|_| limited.clone().oneshot(get()))).await;
        assert_eq!(began.elapsed(), Duration::from_secs(3));
        assert_eq!((script.calls(), script.most_at_once()), (7, 3));
        let held = answers
            .iter()
            .filter(|answer| matches!(answer, Err(Error::HeldBack(_))));
        assert_eq!(held.count(), 3);
        assert!(limited.oneshot(get()).await.is_ok(), "there is room again");
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_leaves_the_place_to_others() {
        let script = Script::new(|_, _| (Duration::from_secs(1), Ok(())));
        let settings = ConcurrencySettings {
            calls_max: 1,
            waiting_max: 1,
        };
        let limited = limited(script.transport(), &settings);
        for _ in 0..5 {
            // One begins, one waits, and both give up.
            let both = join_all((0..2).map(|_| limited.clone().oneshot(get())));
            let given_up = tokio::time::timeout(Duration::from_millis(10), both).await;
            assert!(given_up.is_err());
        }
        let answers = join_all((0..2).map(|_| limited.clone().oneshot(get()))).await;
        assert!(answers.iter().all(Result::is_ok));
    }
}
