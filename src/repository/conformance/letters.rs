//! Configurations that change while something waits for them, dead letters, and what retention leaves alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::outbox::{Both, HOUR, failure, numbers, to};
use super::{NOW_MS, Sketch, ok, scope};
use crate::pb::TaskState;
use crate::repository::{
    Backlog, CompactQuery, Delivery, DeliveryFilter, DeliveryKey, DeliveryState, Error, Next, PruneQuery,
    Turn,
};

const ALL: DeliveryFilter = DeliveryFilter {
    state: None,
    agent: None,
    owner: None,
    owners: None,
    task_id: None,
    config_id: None,
    generation: None,
    host: None,
};

const DEAD: DeliveryFilter = DeliveryFilter {
    state: Some(DeliveryState::Dead),
    ..ALL
};

fn count(turn: Turn) -> u64 {
    turn.count
}

/// What waits goes to the new address at once, and who was about to send it to the old one settles nothing.
pub async fn what_waits_goes_where_its_configuration_says(both: Both) {
    let mut sketch = both.waiting("t", 2).await;
    let claimed = both.claim_one().await;
    assert!(both.settle(&claimed, &[], Next::Retry(HOUR, failure("no"))).await);
    let elsewhere = to("t", "p", "elsewhere.org");
    ok(both.tasks.put_push_config(&sketch.scope, &elsewhere, 9).await);
    let claimed = both.claim_one().await;
    assert_eq!((&claimed.config, numbers(&claimed)), (&elsewhere, vec![1, 2]));
    assert_eq!(claimed.deliveries[0].attempts, 1);
    assert_eq!(&*both.deliveries(&ALL).await[0].host, "elsewhere.org:443");

    let back = to("t", "p", "example.org");
    ok(both.tasks.put_push_config(&sketch.scope, &back, 9).await);
    assert!(!both.settle(&claimed, &[1, 2], Next::Release).await);
    let claimed = both.claim_one().await;
    assert_eq!(numbers(&claimed), [1, 2]);
    // The same by a message.
    let mut heard = sketch.hear("more");
    heard.push_configs = vec![elsewhere.clone()];
    ok(both.tasks.commit(heard).await);
    assert!(!both.settle(&claimed, &[1, 2], Next::Release).await);
    let claimed = both.claim_one().await;
    assert_eq!((claimed.config, claimed.deliveries.len()), (elsewhere, 3));
    // Nothing waits for one that is replaced when all is sent.
    ok(both.push.discard(&ALL, None, 9).await);
    ok(both.tasks.put_push_config(&sketch.scope, &back, 9).await);
    assert_eq!(both.next_due().await, Ok(None));
}

/// With its configuration goes what waits for it, dead or not; one of the same name begins anew.
pub async fn what_waits_goes_with_its_configuration(both: Both) {
    let mut sketch = both.waiting("t", 3).await;
    both.give_up().await;
    let claimed = both.claim_one().await;
    assert_eq!(
        both.tasks.delete_push_config(&scope("bob"), "t", "p").await,
        Ok(false)
    );
    assert_eq!(both.deliveries(&ALL).await.len(), 3);
    assert_eq!(
        both.tasks.delete_push_config(&sketch.scope, "t", "p").await,
        Ok(true)
    );
    assert_eq!(both.deliveries(&ALL).await, []);
    assert_eq!(both.push.backlog(9).await, Ok(Backlog::default()));
    assert!(!both.settle(&claimed, &[2], Next::GiveUp(failure("no"))).await);

    ok(both
        .tasks
        .put_push_config(&sketch.scope, &to("t", "p", "example.org"), 9)
        .await);
    ok(both.tasks.commit(sketch.chunks(&["x"])).await);
    let anew = both.claim_one().await;
    assert!(anew.claim > claimed.claim);
    assert_eq!(numbers(&anew), [4]);
    assert!(!both.settle(&claimed, &[4], Next::Release).await);
    assert_eq!(both.deliveries(&ALL).await.len(), 1);
}

/// What is given up holds up nobody, and is seen until its time is over.
pub async fn a_dead_letter_holds_up_nobody(both: Both) {
    both.waiting("t", 3).await;
    both.give_up().await;
    let claimed = both.claim_one().await;
    assert_eq!(numbers(&claimed), [2, 3]);
    assert!(
        both.settle(&claimed, &[1, 2], Next::Release).await,
        "a dead letter is not done"
    );
    let [dead, waiting] = &both.deliveries(&ALL).await[..] else {
        panic!("one is dead, and one waits");
    };
    assert_eq!(
        (dead.key.generation, dead.state, dead.due_ms),
        (1, DeliveryState::Dead, None)
    );
    assert_eq!((dead.attempts, &dead.failure), (1, &Some(failure("it is gone"))));
    assert_eq!((dead.since_ms, dead.scope.clone()), (NOW_MS, scope("ada")));
    assert_eq!(
        (waiting.key.generation, waiting.state),
        (3, DeliveryState::Waiting)
    );
    assert!(waiting.due_ms.is_some() && waiting.dead_ms.is_none() && waiting.failure.is_none());
    let backlog = ok(both.push.backlog(9).await);
    assert_eq!((backlog.waiting, backlog.dead), (1, 1));

    let dead_ms = dead.dead_ms.unwrap_or_default();
    assert_eq!(both.push.forget_dead(dead_ms, 9).await, Ok(0));
    assert_eq!(both.push.forget_dead(dead_ms + 1, 0).await, Ok(0));
    assert_eq!(both.push.forget_dead(dead_ms + 1, 9).await, Ok(1));
    assert_eq!(both.generations(DeliveryState::Dead).await, [] as [u64; 0]);
    assert_eq!(numbers(&both.claim_one().await), [3]);
}

/// An operator has dead letters sent anew, before what came after them and with all attempts.
pub async fn a_dead_letter_is_sent_anew(both: Both) {
    both.waiting("t", 3).await;
    both.give_up().await;
    both.give_up().await;
    let claimed = both.claim_one().await;
    let turn = ok(both.push.redeliver(&DEAD, None, 1).await);
    assert_eq!(
        (turn.count, turn.revoked),
        (1, BTreeSet::from([claimed.stream.clone()]))
    );
    assert!(
        !both.settle(&claimed, &[], Next::GiveUp(failure("no"))).await,
        "it was not the first any more"
    );
    let claimed = both.claim_one().await;
    assert_eq!(numbers(&claimed), [1, 3]);
    assert_eq!(claimed.deliveries[0].attempts, 0);
    assert_ne!(
        claimed.deliveries[0].since_ms, NOW_MS,
        "its time is counted from now"
    );
    assert!(both.settle(&claimed, &[1, 3], Next::Release).await);
    assert_eq!(both.next_due().await, Ok(None));
    // A stream that is idle is woken.
    assert_eq!(both.push.redeliver(&DEAD, None, 9).await.map(count), Ok(1));
    let claimed = both.claim_one().await;
    assert_eq!(numbers(&claimed), [2]);
    // What waits for its time is due at once.
    assert!(both.settle(&claimed, &[], Next::Retry(HOUR, failure("no"))).await);
    assert_eq!(both.push.redeliver(&ALL, None, 9).await.map(count), Ok(1));
    assert_eq!(both.claim_one().await.deliveries[0].attempts, 0);
    assert_eq!(both.push.redeliver(&DEAD, None, 9).await.map(count), Ok(0));
}

/// Many are changed in turns, each of them once.
pub async fn many_are_changed_in_turns(both: Both) {
    for id in ["a", "b"] {
        let mut sketch = both.task("ada", id, &[("p", "one.org")]).await;
        ok(both.tasks.commit(sketch.chunks(&["x", "y"])).await);
    }
    let first = ok(both.push.redeliver(&ALL, None, 4).await);
    let last = ok(both.push.redeliver(&ALL, first.next.as_ref(), 4).await);
    assert_eq!((first.count, last.count, last.next), (4, 2, None));
    let first = ok(both.push.discard(&ALL, None, 4).await);
    let last = ok(both.push.discard(&ALL, first.next.as_ref(), 4).await);
    assert_eq!((first.count, last.count, last.next), (4, 2, None));
    assert!(both.deliveries(&ALL).await.is_empty());
}

/// An operator removes what nobody will take.
pub async fn deliveries_are_discarded(both: Both) {
    both.waiting("t", 4).await;
    both.give_up().await;
    let claimed = both.claim_one().await;
    let turn = ok(both.push.discard(&DEAD, None, 9).await);
    assert_eq!((turn.count, turn.revoked), (1, BTreeSet::new()));
    assert!(
        both.settle(&claimed, &[2], Next::Keep(HOUR)).await,
        "nothing of the claim went"
    );
    let first = DeliveryFilter {
        generation: Some(3),
        ..ALL
    };
    let turn = ok(both.push.discard(&first, None, 9).await);
    assert_eq!(
        (turn.count, turn.revoked),
        (1, BTreeSet::from([claimed.stream.clone()]))
    );
    assert!(
        !both.settle(&claimed, &[], Next::GiveUp(failure("no"))).await,
        "it was not this one"
    );
    assert_eq!(numbers(&both.claim_one().await), [4]);
    assert_eq!(both.push.discard(&ALL, None, 0).await.map(count), Ok(0));
    assert_eq!(both.push.discard(&ALL, None, 9).await.map(count), Ok(1));
    assert_eq!(both.next_due().await, Ok(None));
}

/// Deliveries are found by all that is known of them, a page at a time.
pub async fn deliveries_are_found_page_by_page(both: Both) {
    for (id, owner, host) in [
        ("a", "ada", "one.org"),
        ("b", "bob", "two.org"),
        ("c", "ada", "two.org"),
    ] {
        let mut sketch = both.task(owner, id, &[("p", host), ("q", "three.org")]).await;
        ok(both.tasks.commit(sketch.chunks(&["x", "y"])).await);
    }
    let all = both.deliveries(&ALL).await;
    assert_eq!(all.len(), 18);
    for limit in [1, 4, 18] {
        let mut pages: Vec<Delivery> = Vec::new();
        loop {
            let after: Option<DeliveryKey> = pages.last().map(|delivery| delivery.key.clone());
            let page = ok(both.push.deliveries(&ALL, after.as_ref(), limit).await);
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            pages.extend(page);
        }
        assert_eq!(pages, all, "pages of {limit}");
    }
    let counted = async |filter: DeliveryFilter| both.deliveries(&filter).await.len();
    let text = |text: &str| Some(Arc::from(text));
    assert_eq!(
        counted(DeliveryFilter {
            agent: text("echo"),
            ..ALL
        })
        .await,
        18
    );
    assert_eq!(
        counted(DeliveryFilter {
            agent: text("other"),
            ..ALL
        })
        .await,
        0
    );
    assert_eq!(
        counted(DeliveryFilter {
            owner: Some(scope("ada").owner),
            ..ALL
        })
        .await,
        12
    );
    assert_eq!(
        counted(DeliveryFilter {
            task_id: text("a"),
            ..ALL
        })
        .await,
        6
    );
    assert_eq!(
        counted(DeliveryFilter {
            config_id: text("q"),
            ..ALL
        })
        .await,
        9
    );
    assert_eq!(
        counted(DeliveryFilter {
            generation: Some(2),
            ..ALL
        })
        .await,
        6
    );
    assert_eq!(
        counted(DeliveryFilter {
            host: text("two.org:443"),
            ..ALL
        })
        .await,
        6
    );
    for (beginning, expected) in [
        ("ad", 12),
        ("ada", 12),
        ("adam", 0),
        ("", 18),
        ("a%", 0),
        ("_da", 0),
    ] {
        let filter = DeliveryFilter {
            owners: text(beginning),
            ..ALL
        };
        assert_eq!(counted(filter).await, expected, "{beginning:?}");
    }
    assert_eq!(counted(DEAD).await, 0);
    let one = DeliveryFilter {
        state: Some(DeliveryState::Waiting),
        agent: text("echo"),
        owner: Some(scope("bob").owner),
        owners: text("bo"),
        task_id: text("b"),
        config_id: text("p"),
        generation: Some(3),
        host: text("two.org:443"),
    };
    assert_eq!(counted(one).await, 1);
    let backlog = |limit| both.push.backlog(limit);
    assert_eq!(ok(backlog(5).await).waiting, 5);
    assert_eq!(ok(backlog(100).await).waiting, 18);
}

/// What waits keeps its task; dead letters go with it.
pub async fn what_waits_keeps_its_task(both: Both) {
    let mut sketch = both.waiting("t", 1).await;
    ok(both.tasks.commit(sketch.go(TaskState::Completed)).await);
    // Younger, and in nobody's way.
    let mut plain = Sketch::at(&scope("ada"), "plain", "c", NOW_MS + 10);
    ok(both.tasks.commit(plain.create()).await);
    ok(both.tasks.commit(plain.go(TaskState::Completed)).await);
    let prune = PruneQuery {
        agent: Arc::from("echo"),
        state: TaskState::Completed,
        before_ms: i64::MAX,
        limit: 1,
    };
    let pruned = ok(both.tasks.prune(&prune).await);
    assert_eq!((pruned.tasks, pruned.more), (1, false));
    assert_eq!(both.tasks.get(&plain.scope, "plain").await, Ok(None));
    assert_eq!(both.generations(DeliveryState::Waiting).await, [1, 2]);
    let claimed = both.claim_one().await;
    assert!(both.settle(&claimed, &[1], Next::GiveUp(failure("no"))).await);
    assert_eq!(both.generations(DeliveryState::Dead).await, [2]);
    assert_eq!(ok(both.tasks.prune(&prune).await).tasks, 1);
    assert_eq!(both.tasks.get(&sketch.scope, "t").await, Ok(None));
    assert_eq!(both.deliveries(&ALL).await, []);
    assert_eq!(both.push.backlog(9).await, Ok(Backlog::default()));
}

/// The log keeps every event that is still to be sent, or might be sent anew.
pub async fn the_log_keeps_what_a_delivery_names(both: Both) {
    let mut sketch = both.waiting("t", 4).await;
    let last = sketch.chunks(&["y"]);
    ok(both.tasks.commit(sketch.with_snapshot(last)).await);
    let compact = CompactQuery {
        after: String::new(),
        before_ms: i64::MAX,
        limit: 100,
    };
    let removed = async || ok(both.tasks.compact(&compact).await).events;
    assert_eq!(removed().await, 0);
    let claimed = both.claim_one().await;
    assert!(both.settle(&claimed, &[1], Next::GiveUp(failure("no"))).await);
    assert_eq!(removed().await, 1, "the second is dead");
    assert_eq!(ok(both.tasks.events(&sketch.scope, "t", 1, 9).await).len(), 4);
    let claimed = both.claim_one().await;
    assert!(both.settle(&claimed, &[3, 4, 5], Next::Release).await);
    assert_eq!(removed().await, 0);
    assert_eq!(both.push.discard(&DEAD, None, 9).await.map(count), Ok(1));
    assert_eq!(removed().await, 3);
    let gone = both.tasks.events(&sketch.scope, "t", 1, 9).await;
    assert_eq!(gone, Err(Error::Expired { first: 5 }));
}

/// A long task that ended goes in several turns, and its dead letters with the events that they name.
pub async fn a_long_task_goes_with_its_dead_letters(both: Both) {
    let mut sketch = both.waiting("t", 6).await;
    let last = sketch.go(TaskState::Completed);
    ok(both.tasks.commit(sketch.with_snapshot(last)).await);
    let prune = PruneQuery {
        agent: Arc::from("echo"),
        state: TaskState::Completed,
        before_ms: i64::MAX,
        limit: 2,
    };
    assert_eq!(ok(both.tasks.prune(&prune).await).events, 0);
    both.give_up().await;
    let claimed = both.claim_one().await;
    let gives_up = Next::GiveUp(failure("no"));
    assert!(both.settle(&claimed, &[2, 3, 4, 5, 6], gives_up).await);
    assert_eq!(both.generations(DeliveryState::Dead).await, [1, 7]);
    let turn = ok(both.tasks.prune(&prune).await);
    assert_eq!((turn.tasks, turn.events, turn.more), (0, 2, true));
    assert_eq!(both.generations(DeliveryState::Dead).await, [7]);
    assert_eq!(both.push.redeliver(&DEAD, None, 9).await.map(count), Ok(1));
    assert_eq!(ok(both.tasks.prune(&prune).await).events, 0, "it waits again");
    assert_eq!(both.push.discard(&ALL, None, 9).await.map(count), Ok(1));
    while ok(both.tasks.prune(&prune).await).more {}
    assert_eq!(both.tasks.get(&sketch.scope, "t").await, Ok(None));
}
