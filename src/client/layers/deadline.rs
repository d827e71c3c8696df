//! The time that a call has, with everything that belongs to it.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tower::{ServiceExt as _, service_fn};

use super::Step;
use crate::client::{Call, Error, Reply};

/// Ends a call after `limit`, and says so to the layers below: what is still to be tried has to fit in.
pub(super) fn timed(inner: impl Step, limit: Duration) -> impl Step {
    service_fn(move |mut call: Call| {
        let inner = inner.clone();
        async move {
            if !call.uploads.is_empty() {
                return uploading(inner, call, limit).await;
            }
            let began = Instant::now();
            // A limit beyond all time is none.
            call.deadline = [call.deadline, began.checked_add(limit)]
                .into_iter()
                .flatten()
                .min();
            let Some(deadline) = call.deadline else {
                return inner.oneshot(call).await;
            };
            let answer = timeout_at(deadline, inner.oneshot(call)).await;
            answer.unwrap_or_else(|_| Err(Error::Timeout(deadline - began)))
        }
    })
}

/// A large upload takes as long as it takes: the limit is for the time in which nothing goes out. An end that the caller has
/// set counts all the same.
async fn uploading(inner: impl Step, call: Call, limit: Duration) -> Result<Reply, Error> {
    let (began, end) = (Instant::now(), call.deadline);
    let pace = call.uploads.pace().clone();
    let answer = async { pace.within(limit, inner.oneshot(call)).await };
    match end {
        Some(end) => match timeout_at(end, answer).await {
            Ok(answer) => answer.unwrap_or(Err(Error::Timeout(limit))),
            Err(_) => Err(Error::Timeout(end.saturating_duration_since(began))),
        },
        None => answer.await.unwrap_or(Err(Error::Timeout(limit))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::layers::scripted::{Script, get};

    #[tokio::test(start_paused = true)]
    async fn a_call_has_its_time_and_no_more() {
        let limit = Duration::from_secs(5);
        for (takes, is_answered) in [(4_999, true), (5_001, false), (u64::MAX, false)] {
            let script = Script::new(move |_, _| (Duration::from_millis(takes), Ok(())));
            let began = Instant::now();
            let answer = timed(script.transport(), limit).oneshot(get()).await;
            assert_eq!(answer.is_ok(), is_answered, "{takes}");
            assert!(began.elapsed() <= limit);
            if let Err(error) = answer {
                assert!(
                    matches!(error, Error::Timeout(after) if after == limit),
                    "{error}"
                );
                assert_eq!(script.dropped(), 1, "nobody waits for it any more");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_deadline_of_the_caller_counts() {
        let script = Script::new(|_, _| (Duration::from_secs(60), Ok(())));
        let soon = Duration::from_secs(1);
        for limit in [Duration::from_secs(5), Duration::MAX] {
            let mut call = get();
            call.deadline = Some(Instant::now() + soon);
            let answer = timed(script.transport(), limit).oneshot(call).await;
            assert!(matches!(answer, Err(Error::Timeout(after)) if after == soon));
        }
        assert!(
            timed(script.transport(), Duration::MAX)
                .oneshot(get())
                .await
                .is_ok()
        );
    }
}
