//! Leases: who may write, until when, and what becomes of tasks that nobody holds.
//!
//! The suite has no hand on the clock of a database, so its leases are either over at once or hold for an hour.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::{NOW_MS, Sketch, key, ok, push_config, scope};
use crate::pb::TaskState;
use crate::repository::{
    Error, Interrupted, Lapsed, Lease, ListQuery, StoredTask, TaskRepository, TaskWrite,
};

type Repository = Arc<dyn TaskRepository>;

const HOUR: Duration = Duration::from_secs(3_600);

/// How a writer makes one kind of write.
type Kind<'a> = &'a dyn Fn(&mut Sketch) -> TaskWrite;

async fn commit(repository: &Repository, write: TaskWrite) {
    ok(repository.commit(write).await);
}

/// A stored WORKING task whose lease is over, or holds for an hour.
async fn working(repository: &Repository, id: &str, lease: Duration) -> Sketch {
    let mut sketch = Sketch {
        lease,
        ..Sketch::new(&scope("ada"), id)
    };
    commit(repository, sketch.create()).await;
    commit(repository, sketch.go(TaskState::Working)).await;
    sketch
}

async fn lapsed(repository: &Repository) -> Vec<Lapsed> {
    ok(repository.lapsed(None, 1_000).await)
}

async fn the_lapsed_one(repository: &Repository) -> Lapsed {
    let mut all = lapsed(repository).await;
    match (all.pop(), all.is_empty()) {
        (Some(one), true) => one,
        other => panic!("one lapsed task was expected: {other:?}"),
    }
}

fn lease_of(sketch: &Sketch) -> (Arc<str>, u64) {
    (Arc::from(sketch.task.id.as_str()), sketch.epoch)
}

/// Whatever a fenced-off writer brings, be its generation right: status, artifact, message, snapshot, key, push
/// configuration, end. None of it is written.
pub async fn a_stale_epoch_is_refused_in_every_kind_of_write(repository: Repository) {
    let mut sketch = working(&repository, "t", Duration::ZERO).await;
    let left = the_lapsed_one(&repository).await;
    assert_eq!(repository.take_over(&left, HOUR).await, Ok(true));
    let snapshot = |old: &mut Sketch| {
        let write = old.chunks(&["x"]);
        old.with_snapshot(write)
    };
    let with_key = |old: &mut Sketch| TaskWrite {
        keys: vec![key("k")],
        ..old.hear("more")
    };
    let with_push = |old: &mut Sketch| TaskWrite {
        push_configs: vec![push_config("t", "p", "https://example.org")],
        ..old.hear("more")
    };
    let take_back = |old: &mut Sketch| TaskWrite {
        epoch: 9,
        lease: Lease::Held(HOUR),
        ..old.go(TaskState::Working)
    };
    let under_way = |old: &mut Sketch| TaskWrite {
        lease: Lease::Kept,
        ..old.chunks(&["x"])
    };
    let kinds: [(&str, Kind); 10] = [
        ("artifact under way", &under_way),
        ("status", &|old| old.go(TaskState::Working)),
        ("artifact", &|old| old.chunks(&["x", "y"])),
        ("message", &|old| old.hear("more")),
        ("snapshot", &snapshot),
        ("key", &with_key),
        ("push configuration", &with_push),
        ("take-over", &take_back),
        ("interruption", &|old| old.go(TaskState::InputRequired)),
        ("end", &|old| old.go(TaskState::Completed)),
    ];
    sketch.epoch += 1;
    for (kind, write) in kinds {
        let mut old = Sketch {
            epoch: sketch.epoch - 1,
            ..sketch.clone()
        };
        assert_eq!(
            repository.commit(write(&mut old)).await,
            Err(Error::Stale),
            "{kind}"
        );
        let stored = repository.get(&sketch.scope, "t").await;
        assert_eq!(stored, Ok(Some(sketch.stored())), "{kind}");
    }
    assert_eq!(repository.known_key(&sketch.scope, "k", 0).await, Ok(None));
    let configs = repository.push_configs(&sketch.scope, "t").await;
    assert_eq!(configs, Ok(Some(Vec::new())));
    assert_eq!(lapsed(&repository).await, [], "the new holder's lease stands");
    commit(&repository, sketch.go(TaskState::Completed)).await;
}

/// Tasks of everybody whose lease ran out, each once, in the order in which they did.
pub async fn lapsed_leases_are_found_page_by_page(repository: Repository) {
    let mut expected = Vec::new();
    for n in 0..12 {
        let owner = scope(["ada", "bob"][n % 2]);
        let mut sketch = Sketch::new(&owner, &format!("t{n:02}"));
        sketch.attempt = n as u32;
        commit(&repository, sketch.create()).await;
        if n % 3 == 0 {
            commit(&repository, sketch.go(TaskState::Completed)).await;
        } else {
            expected.push((sketch.task.id, owner, 1, n as u32));
        }
    }
    for limit in [1, 5, 100] {
        let (mut found, mut last): (Vec<Lapsed>, Option<Lapsed>) = (Vec::new(), None);
        loop {
            let page = ok(repository.lapsed(last.as_ref(), limit).await);
            assert!(page.len() <= limit);
            last = page.last().cloned();
            if last.is_none() {
                break;
            }
            found.extend(page);
        }
        let place = |lapsed: &Lapsed| (lapsed.lease_until_ms, lapsed.task_id.clone());
        assert!(found.is_sorted_by_key(place), "limit {limit}");
        found.sort_by(|a, b| a.task_id.cmp(&b.task_id));
        let found = found.into_iter();
        let found: Vec<_> = found
            .map(|lapsed| (lapsed.task_id, lapsed.scope, lapsed.epoch, lapsed.attempt))
            .collect();
        assert_eq!(found, expected, "limit {limit}");
    }
}

/// Only what is held, and not long enough, has lapsed.
pub async fn a_lease_that_is_held_or_released_has_not_lapsed(repository: Repository) {
    let mut held = working(&repository, "held", HOUR).await;
    for state in [TaskState::InputRequired, TaskState::Failed] {
        let mut settled = working(&repository, &format!("{state:?}"), Duration::ZERO).await;
        commit(&repository, settled.go(state)).await;
    }
    let mut created = Sketch::new(&scope("ada"), "created");
    let mut write = created.create();
    write.lease = Lease::Released;
    commit(&repository, write).await;
    assert_eq!(lapsed(&repository).await, []);
    // What is kept stays as it was, held or lapsed.
    let mut write = held.go(TaskState::Working);
    write.lease = Lease::Kept;
    commit(&repository, write).await;
    assert_eq!(lapsed(&repository).await, []);
    let mut over = working(&repository, "over", Duration::ZERO).await;
    let mut write = over.go(TaskState::Working);
    write.lease = Lease::Kept;
    commit(&repository, write).await;
    assert_eq!(the_lapsed_one(&repository).await.task_id, "over");
}

/// Heartbeats in one call: what is held is prolonged, what is released stays so, what is lost is named.
pub async fn renewing_prolongs_what_is_held_and_names_what_is_lost(repository: Repository) {
    let mut sketches = Vec::new();
    for n in 0..150 {
        sketches.push(working(&repository, &format!("t{n:03}"), Duration::ZERO).await);
    }
    let mut settled = working(&repository, "settled", Duration::ZERO).await;
    commit(&repository, settled.go(TaskState::InputRequired)).await;
    let mut leases: Vec<_> = sketches.iter().map(lease_of).collect();
    leases[3].1 += 1;
    leases[77].1 -= 1;
    leases.push(lease_of(&settled));
    leases.push((Arc::from("unknown"), 1));
    let mut refused = ok(repository.renew(&leases, HOUR).await);
    refused.sort();
    assert_eq!(refused, ["t003", "t077", "unknown"].map(Arc::from));
    let left: Vec<String> = lapsed(&repository)
        .await
        .into_iter()
        .map(|left| left.task_id)
        .collect();
    assert_eq!(left, ["t003", "t077"]);
    assert_eq!(repository.renew(&[], HOUR).await, Ok(Vec::new()));
    // Handed back, it is there for others at once.
    assert_eq!(
        repository.renew(&[lease_of(&sketches[0])], Duration::ZERO).await,
        Ok(Vec::new())
    );
    assert_eq!(lapsed(&repository).await.len(), 3);
}

/// Of many that want a task, one gets it; the one before it is fenced off, and goes on counting where it stood.
pub async fn a_lapsed_task_is_taken_over_once(repository: Repository) {
    let mut old = working(&repository, "t", Duration::ZERO).await;
    let left = the_lapsed_one(&repository).await;
    let stranger = Lapsed {
        scope: scope("bob"),
        ..left.clone()
    };
    assert_eq!(repository.take_over(&stranger, HOUR).await, Ok(false));
    let tries = join_all((0..20).map(|_| repository.take_over(&left, HOUR))).await;
    assert_eq!(
        tries.iter().filter(|taken| **taken == Ok(true)).count(),
        1,
        "{tries:?}"
    );
    assert_eq!(lapsed(&repository).await, []);
    let mut new = Sketch {
        epoch: 2,
        ..old.clone()
    };
    assert_eq!(repository.get(&new.scope, "t").await, Ok(Some(new.stored())));
    assert_eq!(
        repository.commit(old.go(TaskState::Failed)).await,
        Err(Error::Stale)
    );
    assert_eq!(
        repository.renew(&[lease_of(&old)], HOUR).await,
        Ok(vec![Arc::from("t")])
    );
    (new.message, new.attempt) = (3, 2);
    commit(&repository, new.go(TaskState::Working)).await;
    assert_eq!(repository.get(&new.scope, "t").await, Ok(Some(new.stored())));
}

/// Between the look and the take-over the holder may have renewed its lease, written, or settled the task.
pub async fn nobody_is_taken_over_who_came_back(repository: Repository) {
    let renewed = working(&repository, "renewed", Duration::ZERO).await;
    let mut settled = working(&repository, "settled", Duration::ZERO).await;
    let mut taken = working(&repository, "taken", Duration::ZERO).await;
    let seen = lapsed(&repository).await;
    assert_eq!(seen.len(), 3);
    ok(repository.renew(&[lease_of(&renewed)], HOUR).await);
    commit(&repository, settled.go(TaskState::Completed)).await;
    let write = TaskWrite {
        epoch: 2,
        ..taken.go(TaskState::Working)
    };
    commit(&repository, write).await;
    for left in &seen {
        assert_eq!(repository.take_over(left, HOUR).await, Ok(false), "{left:?}");
    }
    let stored = ok(repository.get(&renewed.scope, "renewed").await);
    assert_eq!(stored.map(|stored| stored.epoch), Some(1));
}

/// A lease that is ended for good is found no more, and only by who holds it.
pub async fn a_released_task_is_taken_up_by_nobody(repository: Repository) {
    let sketch = working(&repository, "t", Duration::ZERO).await;
    let left = the_lapsed_one(&repository).await;
    assert_eq!(repository.release("t", left.epoch + 1).await, Ok(false));
    assert_eq!(repository.release("unknown", 1).await, Ok(false));
    assert_eq!(the_lapsed_one(&repository).await, left);
    assert_eq!(repository.release("t", left.epoch).await, Ok(true));
    assert_eq!(lapsed(&repository).await, []);
    assert_eq!(repository.take_over(&left, HOUR).await, Ok(false));
    let stored = ok(repository.get(&sketch.scope, "t").await);
    let expected = StoredTask {
        held: false,
        ..sketch.stored()
    };
    assert_eq!(stored, Some(expected));
}

/// Which message a task is at is kept with every write, from the first one on, and listed too.
pub async fn the_message_that_a_task_is_at_is_kept(repository: Repository) {
    let mut sketch = Sketch::new(&scope("ada"), "t");
    (sketch.message, sketch.attempt) = (4, 0);
    commit(&repository, sketch.create()).await;
    assert_eq!(
        repository.get(&sketch.scope, "t").await,
        Ok(Some(sketch.stored()))
    );
    (sketch.message, sketch.attempt) = (5, 2);
    commit(&repository, sketch.hear("more")).await;
    let query = ListQuery {
        limit: 9,
        ..ListQuery::default()
    };
    let page = ok(repository.list(&sketch.scope, &query).await);
    assert_eq!(page.tasks, [sketch.stored()]);
}

/// Tasks that wait for their callers, by agent and by the time that they have.
pub async fn waiting_tasks_are_found_by_the_time_they_wait(repository: Repository) {
    let mut expected = Vec::new();
    for n in 0..10 {
        let id = format!("t{n}");
        let mut sketch = Sketch::at(&scope(["ada", "bob"][n as usize % 2]), &id, "c", NOW_MS + n / 3);
        commit(&repository, sketch.create()).await;
        let state = [TaskState::InputRequired, TaskState::AuthRequired][n as usize % 2];
        commit(&repository, sketch.go_at(state, NOW_MS + n / 3)).await;
        expected.push(Interrupted {
            scope: sketch.scope,
            task_id: id,
            status_ms: NOW_MS + n / 3,
        });
    }
    working(&repository, "working", Duration::ZERO).await;
    let mut elsewhere = Sketch::new(&scope("ada"), "elsewhere");
    elsewhere.scope.agent = Arc::from("bench");
    commit(&repository, elsewhere.create()).await;
    commit(&repository, elsewhere.go(TaskState::InputRequired)).await;
    for limit in [1, 4, 100] {
        let (mut found, mut last): (Vec<Interrupted>, Option<Interrupted>) = (Vec::new(), None);
        loop {
            let page = ok(repository
                .interrupted("echo", NOW_MS + 2, last.as_ref(), limit)
                .await);
            assert!(page.len() <= limit);
            last = page.last().cloned();
            if last.is_none() {
                break;
            }
            found.extend(page);
        }
        assert_eq!(found, expected[..9], "limit {limit}");
    }
    assert_eq!(
        repository.interrupted("echo", NOW_MS - 1, None, 9).await,
        Ok(Vec::new())
    );
}
