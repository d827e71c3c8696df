//! Many agents at once: bounded concurrency, one result for each, and nobody minds what became of the others.

use futures_util::{StreamExt as _, stream};

use super::{Client, Error};
use crate::pb::{SendMessageRequest, SendMessageResponse};

/// Does the work for each of the items, `limit` at once and one at least; the results are in the order of the items.
pub async fn at_once<I, T, W, F>(items: I, limit: usize, work: W) -> Vec<T>
where
    I: IntoIterator,
    W: Fn(I::Item) -> F,
    F: Future<Output = T>,
{
    let numbered = items.into_iter().enumerate().map(|(number, item)| {
        let working = work(item);
        async move { (number, working.await) }
    });
    // Unordered, so that a slow one at the head does not keep the others waiting.
    let mut done: Vec<(usize, T)> = stream::iter(numbered)
        .buffer_unordered(limit.max(1))
        .collect()
        .await;
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Discovers agents in many places, `limit` at once: `discover` is what finds the one at a place.
pub async fn discover_many<P, A, D, F>(
    places: impl IntoIterator<Item = P>,
    limit: usize,
    discover: D,
) -> Vec<Result<A, Error>>
where
    D: Fn(P) -> F,
    F: Future<Output = Result<A, Error>>,
{
    at_once(places, limit, discover).await
}

/// Sends each agent its message, `limit` at once.
pub async fn send_many(
    sends: impl IntoIterator<Item = (Client, SendMessageRequest)>,
    limit: usize,
) -> Vec<Result<SendMessageResponse, Error>> {
    at_once(sends, limit, |(client, request)| async move {
        client.send(request).await
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;
    use crate::client::layers::scripted::{Script, interrupted, target};

    #[tokio::test(start_paused = true)]
    async fn each_agent_has_its_result_in_order() {
        let script = Script::new(|number, _| {
            let result = if number == 3 { Err(interrupted()) } else { Ok(()) };
            (Duration::from_secs(1 + 9 * u64::from(number == 0)), result)
        });
        let client = Client::new(target("t"), script.transport());
        let began = Instant::now();
        let sends = (0..12).map(|_| (client.clone(), SendMessageRequest::default()));
        let answers = send_many(sends, 3).await;
        let failed: Vec<usize> = (0..12).filter(|number| answers[*number].is_err()).collect();
        assert_eq!((answers.len(), failed), (12, vec![3]));
        assert_eq!(script.most_at_once(), 3);
        // One takes ten seconds, the others go by it on the two places that are left.
        assert_eq!(began.elapsed(), Duration::from_secs(10));
    }

    proptest! {
        #[test]
        fn the_order_is_kept_and_the_limit_too(waits in proptest::collection::vec(0_u64..50, 0..40), limit in 0_usize..8) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let (now, most) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
            let (under_way, peak) = (&now, &most);
            let work = |wait: u64| async move {
                under_way.set(under_way.get() + 1);
                peak.set(peak.get().max(under_way.get()));
                tokio::time::sleep(Duration::from_millis(wait)).await;
                under_way.set(under_way.get() - 1);
                if wait % 3 == 0 { Err(Error::HeldBack(String::new())) } else { Ok(wait) }
            };
            let found = runtime.block_on(discover_many(waits.clone(), limit, work));
            let found: Vec<Option<u64>> = found.into_iter().map(Result::ok).collect();
            let expected: Vec<Option<u64>> = waits.iter().map(|wait| (wait % 3 != 0).then_some(*wait)).collect();
            prop_assert_eq!(found, expected);
            prop_assert!(most.get() <= limit.max(1));
        }
    }
}
