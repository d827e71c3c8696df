//! Many claims that are settled by one call.

use std::time::Duration;

use super::ok;
use super::outbox::{Both, HOUR, failure, query, settlement};
use crate::repository::{DeliveryFilter, Next};

/// Several claims are settled by one call, each for itself.
pub async fn claims_are_settled_together(both: Both) {
    for id in ["a", "b", "c", "d"] {
        both.waiting(id, 2).await;
    }
    let mut claimed = both.claim().await;
    claimed.sort_by(|a, b| a.stream.cmp(&b.stream));
    let mut settlements: Vec<_> = claimed
        .iter()
        .rev()
        .map(|claimed| settlement(claimed, &[1], Next::Retry(HOUR, failure("no"))))
        .collect();
    settlements[1].claim += 1;
    settlements.push(settlement(&claimed[3], &[2], Next::Release));
    let settled = ok(both.push.settle(&settlements).await);
    assert_eq!(settled, [true, false, true, true, false]);
    let waiting = both.deliveries(&DeliveryFilter::default()).await;
    let waiting: Vec<(&str, u64, u32)> = waiting
        .iter()
        .map(|delivery| {
            (
                &*delivery.key.stream.task_id,
                delivery.key.generation,
                delivery.attempts,
            )
        })
        .collect();
    assert_eq!(
        waiting,
        [("a", 2, 1), ("b", 2, 1), ("c", 1, 0), ("c", 2, 0), ("d", 2, 1)]
    );
    assert_eq!(both.push.settle(&[]).await, Ok(Vec::new()));
}

/// Of several settlements for one stream, those of older claims are in nobody's way, whichever comes first.
pub async fn a_stale_settlement_hides_none(both: Both) {
    for (id, next) in [
        ("a", Next::Retry(HOUR, failure("no"))),
        ("b", Next::GiveUp(failure("no"))),
        ("c", Next::End),
    ] {
        both.waiting(id, 2).await;
        let old = ok(both.push.claim(&query(Duration::ZERO)).await)
            .claimed
            .remove(0);
        let new = both.claim_one().await;
        let (stale, valid) = (settlement(&old, &[], Next::Release), settlement(&new, &[1], next));
        let settled = both.push.settle(&[stale.clone(), valid, stale]).await;
        assert_eq!(settled, Ok(vec![false, true, false]), "{id}");
        assert_eq!(both.claim().await, [], "{id}");
    }
    let left = both.deliveries(&DeliveryFilter::default()).await;
    let left: Vec<(&str, u64, u32)> = left
        .iter()
        .map(|delivery| {
            let key = &delivery.key;
            (&*key.stream.task_id, key.generation, delivery.attempts)
        })
        .collect();
    assert_eq!(left, [("a", 2, 1), ("b", 2, 1)]);
}
