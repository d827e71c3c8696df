//! What lives beside a task: idempotency keys and push configurations.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{NOW_MS, Sketch, key, ok, push_config, scope};
use crate::pb::TaskState;
use crate::repository::{Error, IdempotencyKey, KnownKey, TaskRepository, TaskWrite};

type Repository = Arc<dyn TaskRepository>;

const LATER_MS: i64 = NOW_MS + 60_000;

fn keyed(write: TaskWrite, name: &str) -> TaskWrite {
    TaskWrite {
        keys: vec![key(name)],
        ..write
    }
}

fn known(task_id: &str) -> KnownKey {
    KnownKey {
        task_id: task_id.to_owned(),
        fingerprint: [7; 16],
    }
}

/// A bound key leads to its task, and to nothing from the millisecond in which it expires.
pub async fn a_key_is_known_until_it_expires(repository: Repository) {
    let scope = scope("ada");
    let mut sketch = Sketch::new(&scope, "t");
    ok(repository.commit(keyed(sketch.create(), "k")).await);
    assert_eq!(
        repository.known_key(&scope, "k", NOW_MS).await,
        Ok(Some(known("t")))
    );
    assert_eq!(
        repository.known_key(&scope, "k", LATER_MS - 1).await,
        Ok(Some(known("t")))
    );
    assert_eq!(repository.known_key(&scope, "k", LATER_MS).await, Ok(None));
    assert_eq!(repository.known_key(&scope, "K", NOW_MS).await, Ok(None));
    ok(repository
        .commit(keyed(sketch.go(TaskState::Working), "later"))
        .await);
    assert_eq!(
        repository.known_key(&scope, "later", NOW_MS).await,
        Ok(Some(known("t")))
    );
}

/// The write names the task that has the key, and leaves nothing: neither a task nor an event.
pub async fn a_key_of_another_task_refuses_the_write(repository: Repository) {
    let scope = scope("ada");
    ok(repository
        .commit(keyed(Sketch::new(&scope, "t").create(), "k"))
        .await);
    let refused = Err(Error::KeyTaken("t".to_owned()));
    assert_eq!(
        repository
            .commit(keyed(Sketch::new(&scope, "u").create(), "k"))
            .await,
        refused
    );
    assert_eq!(repository.get(&scope, "u").await, Ok(None));

    let mut other = Sketch::new(&scope, "v");
    ok(repository.commit(other.create()).await);
    let before = other.stored();
    assert_eq!(
        repository.commit(keyed(other.go(TaskState::Working), "k")).await,
        refused
    );
    assert_eq!(repository.get(&scope, "v").await, Ok(Some(before)));
    assert_eq!(
        repository.known_key(&scope, "k", NOW_MS).await,
        Ok(Some(known("t")))
    );
}

/// Even its own task does not bind a living key again: a second write under it is a repetition.
pub async fn a_key_is_never_bound_twice(repository: Repository) {
    let scope = scope("ada");
    let mut sketch = Sketch::new(&scope, "t");
    ok(repository.commit(keyed(sketch.create(), "k")).await);
    let before = sketch.stored();
    let repeated = keyed(sketch.go(TaskState::Working), "k");
    assert_eq!(
        repository.commit(repeated).await,
        Err(Error::KeyTaken("t".to_owned()))
    );
    assert_eq!(repository.get(&scope, "t").await, Ok(Some(before)));
}

/// A write may carry the keys of several messages; one that is taken refuses all of it.
pub async fn several_keys_are_bound_by_one_write(repository: Repository) {
    let scope = scope("ada");
    let mut sketch = Sketch::new(&scope, "t");
    ok(repository
        .commit(TaskWrite {
            keys: vec![key("a"), key("b")],
            ..sketch.create()
        })
        .await);
    for name in ["a", "b"] {
        assert_eq!(
            repository.known_key(&scope, name, NOW_MS).await,
            Ok(Some(known("t"))),
            "{name}"
        );
    }
    let mixed = TaskWrite {
        keys: vec![key("c"), key("b")],
        ..Sketch::new(&scope, "u").create()
    };
    assert_eq!(
        repository.commit(mixed).await,
        Err(Error::KeyTaken("t".to_owned()))
    );
    assert_eq!(repository.known_key(&scope, "c", NOW_MS).await, Ok(None));
}

/// Once its time is over, a key is free, whether anybody has swept or not.
pub async fn an_expired_key_is_bound_anew(repository: Repository) {
    let scope = scope("ada");
    ok(repository
        .commit(keyed(Sketch::new(&scope, "t").create(), "k"))
        .await);
    let early = keyed(Sketch::at(&scope, "early", "context", LATER_MS - 1).create(), "k");
    assert_eq!(
        repository.commit(early).await,
        Err(Error::KeyTaken("t".to_owned()))
    );
    let renewed = IdempotencyKey {
        expires_ms: LATER_MS + 60_000,
        fingerprint: [8; 16],
        ..key("k")
    };
    let create = Sketch::at(&scope, "late", "context", LATER_MS).create();
    ok(repository
        .commit(TaskWrite {
            keys: vec![renewed],
            ..create
        })
        .await);
    let bound = KnownKey {
        task_id: "late".to_owned(),
        fingerprint: [8; 16],
    };
    assert_eq!(repository.known_key(&scope, "k", LATER_MS).await, Ok(Some(bound)));
}

/// The same key of somebody else, or at another agent, is another key.
pub async fn a_key_belongs_to_its_owner(repository: Repository) {
    let (ada, bob) = (scope("ada"), scope("bob"));
    let elsewhere = crate::context::Scope {
        agent: Arc::from("bench"),
        ..scope("ada")
    };
    for (scope, id) in [(&ada, "a"), (&bob, "b"), (&elsewhere, "e")] {
        ok(repository
            .commit(keyed(Sketch::new(scope, id).create(), "k"))
            .await);
    }
    for (scope, id) in [(&ada, "a"), (&bob, "b"), (&elsewhere, "e")] {
        assert_eq!(
            repository.known_key(scope, "k", NOW_MS).await,
            Ok(Some(known(id)))
        );
    }
}

/// Many sends with one key at the same moment: one task, and all are told which.
pub async fn one_key_at_once_makes_one_task(repository: Repository) {
    let scope = scope("ada");
    let create = |n: usize| keyed(Sketch::new(&scope, &format!("t{n}")).create(), "k");
    let results = join_all((0..20).map(|n| repository.commit(create(n)))).await;
    let winners: Vec<usize> = (0..20).filter(|n| results[*n].is_ok()).collect();
    let [winner] = winners[..] else {
        panic!("exactly one must win: {results:?}")
    };
    let winner = format!("t{winner}");
    for (n, result) in results.iter().enumerate().filter(|(_, result)| result.is_err()) {
        assert_eq!(*result, Err(Error::KeyTaken(winner.clone())), "write {n}");
        assert_eq!(repository.get(&scope, &format!("t{n}")).await, Ok(None));
    }
    assert_eq!(
        repository.known_key(&scope, "k", NOW_MS).await,
        Ok(Some(known(&winner)))
    );
}

/// The same race for a key that was bound and has expired: its row is there already.
pub async fn one_expired_key_at_once_makes_one_task(repository: Repository) {
    let scope = scope("ada");
    ok(repository
        .commit(keyed(Sketch::new(&scope, "old").create(), "k"))
        .await);
    let renewed = IdempotencyKey {
        expires_ms: LATER_MS + 60_000,
        ..key("k")
    };
    let create = |n: usize| TaskWrite {
        keys: vec![renewed.clone()],
        ..Sketch::at(&scope, &format!("t{n}"), "context", LATER_MS).create()
    };
    let results = join_all((0..20).map(|n| repository.commit(create(n)))).await;
    let winners: Vec<usize> = (0..20).filter(|n| results[*n].is_ok()).collect();
    let [winner] = winners[..] else {
        panic!("exactly one must win: {results:?}")
    };
    let taken = Err(Error::KeyTaken(format!("t{winner}")));
    assert_eq!(results.iter().filter(|result| **result == taken).count(), 19);
}

/// What one write says twice counts once, as it was said last.
pub async fn repetitions_within_a_write_count_once(repository: Repository) {
    let scope = scope("ada");
    let last = IdempotencyKey {
        fingerprint: [9; 16],
        ..key("k")
    };
    let create = TaskWrite {
        keys: vec![key("k"), last],
        push_configs: vec![push_config("t", "p", "one"), push_config("t", "p", "two")],
        ..Sketch::new(&scope, "t").create()
    };
    ok(repository.commit(create).await);
    let bound = ok(repository.known_key(&scope, "k", NOW_MS).await);
    assert_eq!(bound.map(|known| known.fingerprint), Some([9; 16]));
    let configs = ok(repository.push_configs(&scope, "t").await);
    assert_eq!(configs, Some(vec![push_config("t", "p", "two")]));
}

async fn task(repository: &Repository) -> Sketch {
    let mut sketch = Sketch::new(&scope("ada"), "t");
    ok(repository.commit(sketch.create()).await);
    sketch
}

/// Configurations are kept by id and listed by id.
pub async fn push_configs_are_put_replaced_and_listed(repository: Repository) {
    let scope = task(&repository).await.scope;
    assert_eq!(repository.push_configs(&scope, "t").await, Ok(Some(Vec::new())));
    for id in ["b", "a", "B", "10", "9"] {
        assert_eq!(
            repository
                .put_push_config(&scope, &push_config("t", id, "one"), 10)
                .await,
            Ok(true)
        );
    }
    assert_eq!(
        repository
            .put_push_config(&scope, &push_config("t", "a", "two"), 10)
            .await,
        Ok(true)
    );
    let configs = ok(repository.push_configs(&scope, "t").await).unwrap_or_default();
    let listed: Vec<(&str, &str)> = configs.iter().map(|config| (&*config.id, &*config.url)).collect();
    assert_eq!(
        listed,
        [
            ("10", "one"),
            ("9", "one"),
            ("B", "one"),
            ("a", "two"),
            ("b", "one")
        ]
    );
}

/// A full task takes no further configuration, but replaces those that it has.
pub async fn push_configs_are_bounded(repository: Repository) {
    let scope = task(&repository).await.scope;
    for id in ["a", "b"] {
        assert_eq!(
            repository
                .put_push_config(&scope, &push_config("t", id, "one"), 2)
                .await,
            Ok(true)
        );
    }
    let more = push_config("t", "c", "one");
    assert_eq!(
        repository.put_push_config(&scope, &more, 2).await,
        Err(Error::TooMany(2))
    );
    assert_eq!(
        repository
            .put_push_config(&scope, &push_config("t", "a", "two"), 2)
            .await,
        Ok(true)
    );
    // With a limit that was lowered since, others count as they do for a new one.
    assert_eq!(
        repository
            .put_push_config(&scope, &push_config("t", "a", "three"), 1)
            .await,
        Err(Error::TooMany(1))
    );
    assert_eq!(repository.delete_push_config(&scope, "t", "b").await, Ok(true));
    assert_eq!(repository.put_push_config(&scope, &more, 2).await, Ok(true));
    let configs = ok(repository.push_configs(&scope, "t").await);
    assert_eq!(configs, Some(vec![push_config("t", "a", "two"), more]));
}

/// A message brings its configuration along in the same transaction.
pub async fn push_configs_come_with_a_write(repository: Repository) {
    let scope = scope("ada");
    let mut sketch = Sketch::new(&scope, "t");
    let config = |id: &str, url: &str| push_config("t", id, url);
    let create = TaskWrite {
        push_configs: vec![config("a", "one"), config("b", "one")],
        ..sketch.create()
    };
    ok(repository.commit(create).await);
    let replaced = TaskWrite {
        push_configs: vec![config("b", "two")],
        ..sketch.hear("more")
    };
    ok(repository.commit(replaced).await);
    let configs = ok(repository.push_configs(&scope, "t").await);
    assert_eq!(configs, Some(vec![config("a", "one"), config("b", "two")]));
}

/// Removing is idempotent.
pub async fn a_push_config_is_removed_as_often_as_one_likes(repository: Repository) {
    let scope = task(&repository).await.scope;
    assert_eq!(
        repository
            .put_push_config(&scope, &push_config("t", "a", "one"), 2)
            .await,
        Ok(true)
    );
    for _ in 0..3 {
        assert_eq!(repository.delete_push_config(&scope, "t", "a").await, Ok(true));
        assert_eq!(repository.push_configs(&scope, "t").await, Ok(Some(Vec::new())));
    }
}

/// Without a task there is nothing to configure.
pub async fn push_configs_need_a_task(repository: Repository) {
    let scope = scope("ada");
    assert_eq!(
        repository
            .put_push_config(&scope, &push_config("t", "a", "one"), 2)
            .await,
        Ok(false)
    );
    assert_eq!(repository.push_configs(&scope, "t").await, Ok(None));
    assert_eq!(repository.delete_push_config(&scope, "t", "a").await, Ok(false));
    // Nothing was kept for the task that comes later.
    task(&repository).await;
    assert_eq!(repository.push_configs(&scope, "t").await, Ok(Some(Vec::new())));
}
