//! Reading one task: by whom, from where, and with which snapshot.

use std::sync::Arc;

use bytes::Bytes;

use super::{NOW_MS, Sketch, key, ok, push_config, scope};
use crate::context::Scope;
use crate::pb::TaskState;
use crate::repository::{Error, Lease, ListPage, ListQuery, TaskRepository, TaskWrite};
use crate::task::TaskEvent;

type Repository = Arc<dyn TaskRepository>;

/// What is somebody else's reads exactly as what does not exist, in every method.
pub async fn a_stranger_sees_nothing(repository: Repository) {
    let ada = scope("ada");
    let mut sketch = Sketch::new(&ada, "t");
    let mut create = sketch.create();
    create.keys = vec![key("k")];
    create.push_configs = vec![push_config("t", "p", "https://example.org")];
    ok(repository.commit(create).await);
    let other_agent = Scope {
        agent: Arc::from("bench"),
        ..ada.clone()
    };
    let query = ListQuery {
        limit: 10,
        count_limit: 10,
        ..ListQuery::default()
    };
    for stranger in [scope("bob"), scope("ad"), scope("Ada"), scope(""), other_agent] {
        for id in ["t", "missing"] {
            let config = push_config(id, "p", "https://evil.example");
            assert_eq!(repository.get(&stranger, id).await, Ok(None), "{stranger:?}");
            assert_eq!(repository.events(&stranger, id, 0, 10).await, Ok(Vec::new()));
            assert_eq!(repository.push_configs(&stranger, id).await, Ok(None));
            assert_eq!(
                repository.put_push_config(&stranger, &config, 10).await,
                Ok(false)
            );
            assert_eq!(repository.put_push_config(&stranger, &config, 0).await, Ok(false));
            assert_eq!(repository.delete_push_config(&stranger, id, "p").await, Ok(false));
        }
        assert_eq!(repository.known_key(&stranger, "k", NOW_MS).await, Ok(None));
        let page = ok(repository.list(&stranger, &query).await);
        assert_eq!(
            page,
            ListPage {
                tasks: Vec::new(),
                total: 0,
                next: None
            }
        );
    }
    let own = ok(repository.push_configs(&ada, "t").await);
    assert_eq!(own, Some(vec![push_config("t", "p", "https://example.org")]));
}

fn numbers(events: &[Arc<TaskEvent>]) -> Vec<u64> {
    events.iter().map(|event| event.generation).collect()
}

/// A cursor and a limit may fall anywhere, also into the middle of a commit.
pub async fn events_are_read_by_cursor_and_limit(repository: Repository) {
    let scope = scope("ada");
    let mut sketch = Sketch::new(&scope, "t");
    let mut written = Vec::new();
    for write in [
        sketch.create(),
        sketch.chunks(&["2", "3", "4"]),
        sketch.hear("5"),
        sketch.chunks(&["6", "7"]),
        sketch.go(TaskState::Completed),
    ] {
        written.extend(write.events.clone());
        ok(repository.commit(write).await);
    }
    for after in 0..=9 {
        for limit in 0..=9 {
            let events = ok(repository.events(&scope, "t", after, limit).await);
            let expected: Vec<_> = written.iter().skip(after as usize).take(limit).cloned().collect();
            assert_eq!(
                events,
                expected,
                "after {after}, limit {limit}: {:?}",
                numbers(&events)
            );
        }
    }
    assert_eq!(repository.events(&scope, "t", u64::MAX, 9).await, Ok(Vec::new()));
}

/// A snapshot stands for what came before it; the log stays whole.
pub async fn a_snapshot_and_later_events_make_the_task(repository: Repository) {
    let scope = scope("ada");
    let mut sketch = Sketch::new(&scope, "t");
    ok(repository.commit(sketch.create()).await);
    let chunks = sketch.chunks(&["one", "two"]);
    ok(repository.commit(sketch.with_snapshot(chunks)).await);
    assert_eq!(repository.get(&scope, "t").await, Ok(Some(sketch.stored())));
    assert_eq!(sketch.snapshot_generation, 3);
    ok(repository.commit(sketch.hear("three")).await);
    ok(repository.commit(sketch.chunks(&["four"])).await);
    assert_eq!(repository.get(&scope, "t").await, Ok(Some(sketch.stored())));
    let last = sketch.go(TaskState::Completed);
    ok(repository.commit(sketch.with_snapshot(last)).await);
    assert_eq!(repository.get(&scope, "t").await, Ok(Some(sketch.stored())));
    let query = ListQuery {
        limit: 1,
        count_limit: 1,
        ..ListQuery::default()
    };
    assert_eq!(ok(repository.list(&scope, &query).await).tasks, [sketch.stored()]);
    let events = ok(repository.events(&scope, "t", 0, 100).await);
    assert_eq!(numbers(&events), (1..=6).collect::<Vec<_>>());

    let mut born = Sketch::new(&scope, "u");
    let create = born.create();
    ok(repository.commit(born.with_snapshot(create)).await);
    assert_eq!(repository.get(&scope, "u").await, Ok(Some(born.stored())));
}

/// A long task reads as it is after every write, whatever a repository keeps of it, and so for everybody.
pub async fn a_long_task_reads_as_it_is_after_every_write(repository: Repository) {
    let scope = scope("ada");
    let long = "a long text ".repeat(4_000);
    let mut sketch = Sketch::new(&scope, "t");
    ok(repository.commit(sketch.create()).await);
    for round in 0..12 {
        let write = match round % 3 {
            0 => sketch.chunks(&[&long]),
            1 => sketch.hear("go on"),
            _ => TaskWrite {
                lease: Lease::Kept,
                ..sketch.chunks(&["more", "and more"])
            },
        };
        let write = if round % 2 == 0 {
            sketch.with_snapshot(write)
        } else {
            write
        };
        let mut stale = write.clone();
        stale.expected_generation -= 1;
        stale.snapshot = Some(Bytes::from_static(b"of a writer that was refused"));
        assert_eq!(repository.commit(stale).await, Err(Error::Stale));
        ok(repository.commit(write).await);
        for _ in 0..2 {
            assert_eq!(repository.get(&scope, "t").await, Ok(Some(sketch.stored())));
        }
        assert_eq!(repository.get(&super::scope("bob"), "t").await, Ok(None));
    }
}

/// Nothing is found where nothing is.
pub async fn an_empty_repository_answers(repository: Repository) {
    let scope = scope("ada");
    let query = ListQuery {
        limit: 10,
        count_limit: 10,
        ..ListQuery::default()
    };
    let nothing = ListPage {
        tasks: Vec::new(),
        total: 0,
        next: None,
    };
    assert_eq!(repository.list(&scope, &query).await, Ok(nothing));
    assert_eq!(repository.lapsed(None, 10).await, Ok(Vec::new()));
    assert_eq!(repository.known_key(&scope, "k", 0).await, Ok(None));
    assert_eq!(repository.get(&scope, "").await, Ok(None));
    assert_eq!(repository.check().await, Ok(()));
}
