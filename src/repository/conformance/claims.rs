//! Deliveries that wait: who claims them, and what becomes of claims.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::outbox::{Both, HOUR, failure, numbers, query, settlement, to};
use super::{NOW_MS, ok, scope};
use crate::pb::TaskState;
use crate::repository::{
    ClaimQuery, Claimed, DeliveryFilter, DeliveryState, Error, Except, Next, PushStream, TaskWrite, Waiting,
};

/// Every event waits for each configuration that its task has by then, those that come with it among them, in order.
pub async fn events_wait_for_the_configurations_of_their_task(both: Both) {
    let mut sketch = both.task("ada", "t", &[("a", "one.org")]).await;
    both.task("ada", "plain", &[]).await;
    let ada = sketch.scope.clone();
    ok(both
        .tasks
        .put_push_config(&ada, &to("t", "b", "two.org:8443"), 9)
        .await);
    let mut chunks = sketch.chunks(&["x", "y"]);
    chunks.at_ms = NOW_MS + 5;
    ok(both.tasks.commit(chunks).await);
    let heard = TaskWrite {
        push_configs: vec![to("t", "c", "three.org")],
        ..sketch.hear("more")
    };
    ok(both.tasks.commit(heard).await);

    let mut claimed = both.claim().await;
    claimed.sort_by(|a, b| a.stream.cmp(&b.stream));
    let streams: Vec<(&str, Vec<u64>)> = claimed
        .iter()
        .map(|claimed| (&*claimed.stream.config_id, numbers(claimed)))
        .collect();
    assert_eq!(
        streams,
        [("a", vec![1, 2, 3, 4]), ("b", vec![2, 3, 4]), ("c", vec![4])]
    );
    let first = Waiting {
        generation: 2,
        since_ms: NOW_MS + 5,
        attempts: 0,
    };
    assert_eq!(claimed[1].deliveries[0], first);
    assert_eq!(claimed[1].scope, ada);
    assert_eq!(claimed[1].config, to("t", "b", "two.org:8443"));
    let deliveries = both.deliveries(&DeliveryFilter::default()).await;
    let hosts: Vec<&str> = deliveries.iter().map(|delivery| &*delivery.host).collect();
    let [one, two, three] = ["one.org:443", "two.org:8443", "three.org:443"];
    assert_eq!(hosts, [one, one, one, one, two, two, two, three]);
}

/// A write that is refused gives nobody anything to send.
pub async fn a_refused_write_leaves_no_deliveries(both: Both) {
    let sketch = both.waiting("t", 1).await;
    let stale = TaskWrite {
        expected_generation: 7,
        push_configs: vec![to("t", "late", "example.org")],
        ..sketch.clone().chunks(&["x"])
    };
    assert_eq!(both.tasks.commit(stale).await, Err(Error::Stale));
    let again = sketch.clone().chunks(&["y"]);
    let created_again = TaskWrite {
        expected_generation: 0,
        ..again
    };
    assert_eq!(both.tasks.commit(created_again).await, Err(Error::Stale));
    assert_eq!(both.generations(DeliveryState::Waiting).await, [1]);
    assert_eq!(numbers(&both.claim_one().await), [1]);
}

/// What is claimed is nobody else's; what comes later waits until the claim is over.
pub async fn a_stream_is_claimed_by_one(both: Both) {
    assert_eq!(both.next_due().await, Ok(None));
    let mut sketch = both.waiting("t", 2).await;
    assert_eq!(both.next_due().await, Ok(Some(Duration::ZERO)));
    let claimed = both.claim_one().await;
    assert_eq!(numbers(&claimed), [1, 2]);
    ok(both.tasks.commit(sketch.chunks(&["x"])).await);
    assert_eq!(both.claim().await, []);
    let until = ok(both.next_due().await).unwrap_or_default();
    assert!(until > HOUR / 2 && until <= HOUR, "{until:?}");
    assert!(both.settle(&claimed, &[1, 2], Next::Release).await);
    let next = both.claim_one().await;
    assert_eq!(numbers(&next), [3]);
    assert!(next.claim > claimed.claim);
    assert!(both.settle(&next, &[3], Next::Release).await);
    assert_eq!(both.next_due().await, Ok(None));
    assert_eq!(both.deliveries(&DeliveryFilter::default()).await, []);
}

/// Many who claim at once get every stream once.
pub async fn claimers_at_once_get_different_streams(both: Both) {
    const STREAMS: usize = 60;
    for n in 0..STREAMS {
        both.waiting(&format!("t{n:02}"), 1).await;
    }
    let few = ClaimQuery {
        limit: 2,
        ..query(HOUR)
    };
    let claimer = async || {
        let mut claimed: Vec<Claimed> = Vec::new();
        loop {
            let more = ok(both.push.claim(&few).await).claimed;
            assert!(more.len() <= 2);
            // Others may have had their hands on all that is due at this moment.
            if more.is_empty() && ok(both.next_due().await) != Some(Duration::ZERO) {
                return claimed;
            }
            claimed.extend(more);
        }
    };
    let claimed = join_all((0..8).map(|_| claimer())).await.concat();
    let mut streams: Vec<&PushStream> = claimed.iter().map(|claimed| &claimed.stream).collect();
    streams.sort_unstable();
    streams.dedup();
    assert_eq!((claimed.len(), streams.len()), (STREAMS, STREAMS));
}

/// A claim that ran out is anybody's, and settles nothing, whether anybody took it or not.
pub async fn a_claim_that_ran_out_settles_nothing(both: Both) {
    both.waiting("t", 2).await;
    let late = ok(both.push.claim(&query(Duration::ZERO)).await)
        .claimed
        .remove(0);
    assert!(!both.settle(&late, &[1, 2], Next::Release).await);
    let claimed = both.claim_one().await;
    assert_eq!(numbers(&claimed), [1, 2]);
    assert!(claimed.claim > late.claim);
    for next in [Next::Release, Next::GiveUp(failure("no")), Next::End] {
        assert!(!both.settle(&late, &[1], next).await);
    }
    assert_eq!(both.generations(DeliveryState::Waiting).await, [1, 2]);
    assert!(both.settle(&claimed, &[1], Next::Release).await);
    assert!(
        !both.settle(&claimed, &[2], Next::Release).await,
        "it was released"
    );
    assert_eq!(both.generations(DeliveryState::Waiting).await, [2]);
}

/// A failed attempt is counted on the first delivery that waits, with what an operator wants to know.
pub async fn a_failed_attempt_is_counted(both: Both) {
    both.waiting("t", 3).await;
    let claimed = both.claim_one().await;
    let long = format!("{}ä", "x".repeat(255));
    assert!(
        both.settle(&claimed, &[1], Next::Retry(Duration::ZERO, failure(&long)))
            .await
    );
    let claimed = both.claim_one().await;
    let attempts: Vec<(u64, u32)> = claimed
        .deliveries
        .iter()
        .map(|waiting| (waiting.generation, waiting.attempts))
        .collect();
    assert_eq!(attempts, [(2, 1), (3, 0)]);
    let seen = both.deliveries(&DeliveryFilter::default()).await.remove(0);
    assert_eq!(
        seen.failure,
        Some(failure(&"x".repeat(255))),
        "whole characters only"
    );
    let mut unheard = failure("no answer");
    unheard.status = None;
    assert!(
        both.settle(&claimed, &[], Next::Retry(HOUR, unheard.clone()))
            .await
    );
    let seen = both.deliveries(&DeliveryFilter::default()).await.remove(0);
    assert_eq!((seen.attempts, seen.failure), (2, Some(unheard)));
    assert_eq!(both.claim().await, []);
    let until = ok(both.next_due().await).unwrap_or_default();
    assert!(until > HOUR / 2 && until <= HOUR, "{until:?}");
}

/// A claim can be prolonged while it is at work, and what was sent is over by then.
pub async fn a_claim_is_kept(both: Both) {
    let mut sketch = both.waiting("t", 2).await;
    let claimed = both.claim_one().await;
    assert!(both.settle(&claimed, &[1], Next::Keep(HOUR)).await);
    assert_eq!(both.claim().await, []);
    assert!(both.settle(&claimed, &[2], Next::Keep(HOUR)).await);
    assert_eq!(both.next_due().await, Ok(None), "nothing waits");
    ok(both.tasks.commit(sketch.chunks(&["x"])).await);
    assert_eq!(both.claim().await, [], "it is claimed still");
    assert!(both.settle(&claimed, &[], Next::Release).await);
    assert_eq!(numbers(&both.claim_one().await), [3]);
}

/// Streams rest one by one, or all of an owner to one host.
pub async fn what_is_postponed_is_not_due(both: Both) {
    let ada = scope("ada").owner;
    for (id, owner, host) in [
        ("a", "ada", "one.org"),
        ("b", "ada", "one.org"),
        ("c", "ada", "two.org"),
        ("d", "bob", "one.org"),
    ] {
        both.task(owner, id, &[("p", host)]).await;
    }
    ok(both.push.postpone_host(&ada, "one.org:443", HOUR).await);
    let mut claimed = both.claim().await;
    claimed.sort_by(|a, b| a.stream.cmp(&b.stream));
    let other = claimed.remove(1);
    assert_eq!(
        other.scope.owner,
        scope("bob").owner,
        "a host is away for one owner"
    );
    assert!(both.settle(&other, &[1], Next::Release).await);
    let claimed = claimed.remove(0);
    assert_eq!(&*claimed.stream.task_id, "c");
    assert!(both.settle(&claimed, &[], Next::Postpone(2 * HOUR)).await);
    // Never sooner than it was.
    ok(both.push.postpone_host(&ada, "two.org:443", Duration::ZERO).await);
    assert_eq!(both.claim().await, []);
    let until = ok(both.next_due().await).unwrap_or_default();
    assert!(until > HOUR / 2 && until <= HOUR, "{until:?}");
    let attempts = both.deliveries(&DeliveryFilter::default()).await;
    assert!(attempts.iter().all(|delivery| delivery.attempts == 0));
}

/// Claims are as many and as long as was asked for, and leave out whom they should.
pub async fn claims_are_bounded_and_leave_out(both: Both) {
    let tasks = [
        ("a", "ada", "one.org"),
        ("b", "bob", "one.org"),
        ("c", "bob", "two.org"),
        ("d", "cy", "one.org"),
    ];
    for (id, owner, host) in tasks {
        let mut sketch = both.task(owner, id, &[("p", host)]).await;
        ok(both.tasks.commit(sketch.chunks(&["x", "y"])).await);
    }
    let (one, two, three) = ("one.org:443", "two.org:443", "three.org:443");
    let except = ClaimQuery {
        deliveries_max: 2,
        except: Except {
            owners: vec![scope("ada").owner],
            hosts: vec![Arc::from(two), Arc::from(three)],
            pairs: vec![
                (scope("cy").owner, Arc::from(one)),
                (scope("bob").owner, Arc::from(three)),
            ],
        },
        ..query(HOUR)
    };
    assert_eq!(both.next_due_but(&except.except).await, Ok(Some(Duration::ZERO)));
    let claimed = ok(both.push.claim(&except).await).claimed;
    assert_eq!(claimed.len(), 1);
    assert_eq!(
        (&*claimed[0].stream.task_id, numbers(&claimed[0])),
        ("b", vec![1, 2])
    );
    // Nothing is due but what is left alone; what is claimed is there again later.
    let until = ok(both.next_due_but(&except.except).await).unwrap_or_default();
    assert!(until > HOUR / 2 && until <= HOUR, "{until:?}");
    let mut nobody = except.except.clone();
    nobody.owners.push(scope("bob").owner);
    assert_eq!(both.next_due_but(&nobody).await, Ok(None));
    let one = ClaimQuery {
        limit: 1,
        ..query(HOUR)
    };
    for _ in 0..3 {
        assert_eq!(ok(both.push.claim(&one).await).claimed.len(), 1);
    }
    assert_eq!(both.claim().await, []);
}

/// However much is left alone in front of it, what is due is claimed, by one of those who want it; the rest is there still.
pub async fn a_backlog_that_is_left_alone_is_passed(both: Both) {
    const TASKS: usize = 50;
    let ids: Vec<String> = (0..100).map(|n| format!("p{n:02}")).collect();
    let configs: Vec<(&str, &str)> = ids.iter().map(|id| (&**id, "full.org")).collect();
    for n in 0..TASKS {
        both.task("busy", &format!("b{n:02}"), &configs).await;
    }
    both.waiting("t", 1).await;
    let (busy, full) = (scope("busy").owner, Arc::<str>::from("full.org:443"));
    for (owners, hosts, pairs) in [
        (vec![busy.clone()], vec![], vec![]),
        (vec![], vec![full.clone()], vec![]),
        (vec![], vec![], vec![(busy.clone(), full.clone())]),
    ] {
        let except = Except { owners, hosts, pairs };
        assert_eq!(both.next_due_but(&except).await, Ok(Some(Duration::ZERO)));
        let query = ClaimQuery {
            except,
            ..query(HOUR)
        };
        let (one, two) = tokio::join!(both.push.claim(&query), both.push.claim(&query));
        let claimed = [ok(one).claimed, ok(two).claimed].concat();
        let tasks: Vec<&str> = claimed.iter().map(|claimed| &*claimed.stream.task_id).collect();
        assert_eq!(tasks, ["t"], "{:?}", query.except);
        assert_eq!(ok(both.push.claim(&query).await).claimed, []);
        assert!(both.settle(&claimed[0], &[], Next::Release).await);
    }
    let claimed = both.claim().await;
    assert_eq!(claimed.len(), 100);
    assert!(claimed.iter().all(|claimed| claimed.scope.owner == busy));
}

/// Who wants no more is asked no more, and the configuration is gone.
pub async fn a_stream_ends(both: Both) {
    let mut sketch = both.waiting("t", 3).await;
    both.give_up().await;
    let claimed = both.claim_one().await;
    assert!(both.settle(&claimed, &[2], Next::End).await);
    assert_eq!(
        both.tasks.push_configs(&sketch.scope, "t").await,
        Ok(Some(Vec::new()))
    );
    ok(both.tasks.commit(sketch.go(TaskState::Completed)).await);
    assert_eq!(both.deliveries(&DeliveryFilter::default()).await, []);
    assert_eq!(both.next_due().await, Ok(None));
    assert!(!both.settle(&claimed, &[], Next::Release).await);
}

/// While tasks go on, configurations are replaced and several send: every event is sent in order at least once, and
/// nothing is left that waits in a stream that nobody would ever look at.
pub async fn nothing_is_forgotten_while_all_are_at_work(both: Both) {
    const TASKS: usize = 12;
    const WRITES: usize = 15;
    let write = async |n: usize| {
        let id = format!("t{n:02}");
        let mut sketch = both.task("ada", &id, &[("p", "one.org"), ("q", "two.org")]).await;
        for round in 1..WRITES {
            ok(both.tasks.commit(sketch.chunks(&["x"])).await);
            if round % 5 == n % 5 {
                let replaced = to(&id, "q", "three.org");
                ok(both.tasks.put_push_config(&sketch.scope, &replaced, 9).await);
            }
        }
    };
    let send = async |until_all: bool| {
        let mut sent: Vec<(PushStream, u64, bool)> = Vec::new();
        let few = ClaimQuery {
            limit: 5,
            deliveries_max: 3,
            ..query(HOUR)
        };
        while sent.iter().filter(|(_, _, held)| *held).count() < WRITES * TASKS / 2 || until_all {
            let claimed = ok(both.push.claim(&few).await).claimed;
            if claimed.is_empty() && until_all {
                break;
            }
            let settlements: Vec<_> = claimed
                .iter()
                .map(|claimed| settlement(claimed, &numbers(claimed), Next::Release))
                .collect();
            let held = ok(both.push.settle(&settlements).await);
            for (claimed, held) in claimed.iter().zip(held) {
                let of_claim = numbers(claimed).into_iter();
                sent.extend(of_claim.map(|generation| (claimed.stream.clone(), generation, held)));
            }
            tokio::task::yield_now().await;
        }
        sent
    };
    let (_, one, two) = tokio::join!(join_all((0..TASKS).map(write)), send(false), send(false));
    let rest = send(true).await;
    assert_eq!(both.deliveries(&DeliveryFilter::default()).await, []);
    let mut settled: BTreeMap<PushStream, Vec<u64>> = BTreeMap::new();
    for (stream, generation, _) in one
        .into_iter()
        .chain(two)
        .chain(rest)
        .filter(|(_, _, held)| *held)
    {
        settled.entry(stream).or_default().push(generation);
    }
    assert_eq!(settled.len(), 2 * TASKS);
    for (stream, mut generations) in settled {
        generations.sort_unstable();
        let all: Vec<u64> = (1..=WRITES as u64).collect();
        assert_eq!(generations, all, "{stream:?}: each was settled once");
    }
}
