//! Conditional writes: what is taken, what is refused, and that a refused write leaves nothing.

use std::sync::Arc;

use futures_util::future::join_all;

use super::{Sketch, key, ok, push_config, scope};
use crate::pb::{Message, TaskState, part};
use crate::repository::{Error, TaskRepository, TaskWrite};
use crate::task::replay;

type Repository = Arc<dyn TaskRepository>;

async fn commit(repository: &Repository, write: TaskWrite) {
    ok(repository.commit(write).await);
}

/// What was written is what is read, after every write.
pub async fn a_task_reads_back_as_it_was_written(repository: Repository) {
    let scope = scope("ada");
    let mut sketch = Sketch::new(&scope, "t");
    assert_eq!(repository.get(&scope, "t").await, Ok(None));
    commit(&repository, sketch.create()).await;
    assert_eq!(repository.get(&scope, "t").await, Ok(Some(sketch.stored())));
    commit(&repository, sketch.hear("more")).await;
    commit(&repository, sketch.chunks(&["one", "two", "three"])).await;
    assert_eq!(repository.get(&scope, "t").await, Ok(Some(sketch.stored())));
    commit(&repository, sketch.go(TaskState::Completed)).await;
    assert_eq!(repository.get(&scope, "t").await, Ok(Some(sketch.stored())));
    assert_eq!(repository.check().await, Ok(()));
}

/// The log is dense from 1 and folds to the very task that is read.
pub async fn the_log_replays_to_the_task(repository: Repository) {
    let scope = scope("ada");
    let mut sketch = Sketch::new(&scope, "t");
    commit(&repository, sketch.create()).await;
    for round in 0..10 {
        let write = if round % 3 == 0 {
            sketch.hear("again")
        } else {
            sketch.chunks(&["x", "y"])
        };
        commit(&repository, write).await;
    }
    let events = ok(repository.events(&scope, "t", 0, 1_000).await);
    let numbers: Vec<u64> = events.iter().map(|event| event.generation).collect();
    assert_eq!(numbers, (1..=sketch.generation).collect::<Vec<_>>());
    assert_eq!(replay(None, 0, &events), Ok(Some(sketch.task.clone())));
    let stored = ok(repository.get(&scope, "t").await).map(|stored| stored.task);
    assert_eq!(stored, Some(sketch.task));
}

/// An id is used once, whoever asks.
pub async fn a_task_that_exists_is_not_created_again(repository: Repository) {
    let ada = scope("ada");
    let mut sketch = Sketch::new(&ada, "t");
    commit(&repository, sketch.create()).await;
    let mut again = Sketch::at(&ada, "t", "other", super::NOW_MS);
    assert_eq!(repository.commit(again.create()).await, Err(Error::Stale));
    let mut stranger = Sketch::new(&scope("bob"), "t");
    assert_eq!(repository.commit(stranger.create()).await, Err(Error::Stale));
    assert_eq!(repository.get(&ada, "t").await, Ok(Some(sketch.stored())));
}

/// A write that expects a task needs one.
pub async fn a_task_that_does_not_exist_is_not_moved(repository: Repository) {
    let scope = scope("ada");
    let mut sketch = Sketch::new(&scope, "t");
    let _never_sent = sketch.create();
    assert_eq!(
        repository.commit(sketch.go(TaskState::Working)).await,
        Err(Error::Stale)
    );
    assert_eq!(repository.get(&scope, "t").await, Ok(None));
    assert_eq!(repository.events(&scope, "t", 0, 10).await, Ok(Vec::new()));
}

async fn assert_leaves_nothing(repository: &Repository, sketch: &Sketch, mut refused: TaskWrite) {
    let id = sketch.task.id.as_str();
    refused.keys = vec![key("refused")];
    refused.push_configs = vec![push_config(id, "refused", "https://example.org")];
    assert_eq!(repository.commit(refused).await, Err(Error::Stale));
    assert_eq!(repository.get(&sketch.scope, id).await, Ok(Some(sketch.stored())));
    let events = ok(repository.events(&sketch.scope, id, 0, 100).await);
    assert_eq!(events.len() as u64, sketch.generation);
    assert_eq!(repository.known_key(&sketch.scope, "refused", 0).await, Ok(None));
    assert_eq!(
        repository.push_configs(&sketch.scope, id).await,
        Ok(Some(Vec::new()))
    );
}

/// A writer that missed an event writes nothing: no event, no key, no push configuration.
pub async fn a_stale_generation_is_refused_and_leaves_nothing(repository: Repository) {
    let scope = scope("ada");
    let mut sketch = Sketch::new(&scope, "t");
    commit(&repository, sketch.create()).await;
    let mut late = sketch.clone();
    commit(&repository, sketch.go(TaskState::Working)).await;
    assert_leaves_nothing(&repository, &sketch, late.go(TaskState::Failed)).await;
    let mut early = sketch.clone();
    let _skipped = early.go(TaskState::Working);
    assert_leaves_nothing(&repository, &sketch, early.go(TaskState::Completed)).await;
}

/// A writer with the right generation and the wrong epoch writes nothing.
pub async fn a_stale_epoch_is_refused_and_leaves_nothing(repository: Repository) {
    let scope = scope("ada");
    let mut sketch = Sketch::new(&scope, "t");
    commit(&repository, sketch.create()).await;
    for epoch in [0, 2, 9] {
        let mut stranger = Sketch {
            epoch,
            ..sketch.clone()
        };
        assert_leaves_nothing(&repository, &sketch, stranger.go(TaskState::Failed)).await;
    }
}

/// A take-over raises the epoch; the writer before it is refused from then on.
pub async fn a_higher_epoch_takes_the_task_over(repository: Repository) {
    let scope = scope("ada");
    let mut old = Sketch::new(&scope, "t");
    commit(&repository, old.create()).await;
    let mut new = old.clone();
    let takeover = TaskWrite {
        epoch: 2,
        ..new.go(TaskState::Working)
    };
    commit(&repository, takeover).await;
    new.epoch = 2;
    assert_eq!(repository.get(&scope, "t").await, Ok(Some(new.stored())));
    assert_eq!(
        repository.commit(old.go(TaskState::Completed)).await,
        Err(Error::Stale)
    );
    // The old writer does not get in with the right generation either.
    let mut informed = Sketch {
        epoch: 1,
        ..new.clone()
    };
    assert_eq!(
        repository.commit(informed.go(TaskState::Completed)).await,
        Err(Error::Stale)
    );
    commit(&repository, new.go(TaskState::Completed)).await;
    assert_eq!(repository.get(&scope, "t").await, Ok(Some(new.stored())));
}

/// A write in the name of somebody else moves nothing, even with the right generation and epoch.
pub async fn another_scope_does_not_move_a_task(repository: Repository) {
    let ada = scope("ada");
    let mut sketch = Sketch::new(&ada, "t");
    commit(&repository, sketch.create()).await;
    let mut other_owner = Sketch {
        scope: scope("bob"),
        ..sketch.clone()
    };
    let mut other_agent = sketch.clone();
    other_agent.scope.agent = Arc::from("bench");
    assert_eq!(
        repository.commit(other_owner.go(TaskState::Canceled)).await,
        Err(Error::Stale)
    );
    assert_eq!(
        repository.commit(other_agent.go(TaskState::Canceled)).await,
        Err(Error::Stale)
    );
    assert_eq!(repository.get(&ada, "t").await, Ok(Some(sketch.stored())));
}

/// Two writers that have seen the same generation: exactly one of them writes.
pub async fn of_two_writers_at_once_one_wins(repository: Repository) {
    let scope = scope("ada");
    for round in 0..20 {
        let id = format!("t{round}");
        let mut sketch = Sketch::new(&scope, &id);
        commit(&repository, sketch.create()).await;
        let mut other = sketch.clone();
        let (completed, canceled) = (sketch.go(TaskState::Completed), other.go(TaskState::Canceled));
        let (one, two) = tokio::join!(repository.commit(completed), repository.commit(canceled));
        let winner = match (one, two) {
            (Ok(()), Err(Error::Stale)) => sketch,
            (Err(Error::Stale), Ok(())) => other,
            both => panic!("exactly one must win: {both:?}"),
        };
        assert_eq!(repository.get(&scope, &id).await, Ok(Some(winner.stored())));
    }
}

/// Writes that meet in one transaction don't suffer from one that is refused.
pub async fn a_conflict_does_not_hurt_its_neighbours(repository: Repository) {
    let scope = scope("ada");
    let mut sketches: Vec<Sketch> = (0..40)
        .map(|n| Sketch::new(&scope, &format!("t{n:02}")))
        .collect();
    join_all(
        sketches
            .iter_mut()
            .map(|sketch| commit(&repository, sketch.create())),
    )
    .await;
    let writes: Vec<TaskWrite> = sketches
        .iter_mut()
        .enumerate()
        .map(|(n, sketch)| match n % 4 {
            0 => TaskWrite {
                expected_epoch: 9,
                ..sketch.clone().go(TaskState::Failed)
            },
            _ => sketch.go(TaskState::Working),
        })
        .collect();
    let results = join_all(writes.into_iter().map(|write| repository.commit(write))).await;
    for (n, (result, sketch)) in results.iter().zip(&sketches).enumerate() {
        let expected = if n % 4 == 0 { Err(Error::Stale) } else { Ok(()) };
        assert_eq!(*result, expected, "task {n}");
        assert_eq!(
            repository.get(&scope, &sketch.task.id).await,
            Ok(Some(sketch.stored()))
        );
    }
}

/// Many tasks move at the same time, each through all of its life.
pub async fn two_hundred_tasks_at_once_are_all_written(repository: Repository) {
    let scope = scope("ada");
    let live = async |n: usize| {
        let mut sketch = Sketch::new(&scope, &format!("t{n:03}"));
        commit(&repository, sketch.create()).await;
        commit(&repository, sketch.chunks(&["x", "y"])).await;
        commit(&repository, sketch.go(TaskState::Completed)).await;
        sketch
    };
    let sketches = join_all((0..200).map(live)).await;
    for sketch in sketches {
        assert_eq!(
            repository.get(&scope, &sketch.task.id).await,
            Ok(Some(sketch.stored()))
        );
    }
}

/// A payload of 1 MiB is nothing special.
pub async fn a_large_event_is_kept(repository: Repository) {
    let scope = scope("ada");
    let mut sketch = Sketch::new(&scope, "t");
    commit(&repository, sketch.create()).await;
    let large = "x".repeat(1 << 20);
    commit(&repository, sketch.chunks(&[&large])).await;
    let stored = ok(repository.get(&scope, "t").await).map(|stored| stored.task);
    assert_eq!(stored.as_ref(), Some(&sketch.task));
    let content = stored.and_then(|task| {
        task.artifacts
            .into_iter()
            .next()?
            .parts
            .into_iter()
            .next()?
            .content
    });
    assert_eq!(content, Some(part::Content::Text(large)));
}

/// Ids, owners and contexts are text; the repository has no opinion on it.
pub async fn ids_of_any_script_and_length_are_kept(repository: Repository) {
    let long = "ä".repeat(1_000);
    for id in ["日本語", "Ωmega 🙂", "a'b\"c;--", "%_\\", &long, " "] {
        let scope = scope(&format!("spiffe://{id}"));
        let mut sketch = Sketch::at(&scope, id, &format!("context {id}"), super::NOW_MS);
        sketch.task.history = vec![Message {
            message_id: id.to_owned(),
            ..Message::default()
        }];
        let mut create = sketch.create();
        create.keys = vec![key(id)];
        create.push_configs = vec![push_config(id, id, "https://example.org")];
        commit(&repository, create).await;
        assert_eq!(repository.get(&scope, id).await, Ok(Some(sketch.stored())));
        let known = ok(repository.known_key(&scope, id, 0).await);
        assert_eq!(known.map(|known| known.task_id).as_deref(), Some(id));
        let configs = ok(repository.push_configs(&scope, id).await).unwrap_or_default();
        assert_eq!(configs, [push_config(id, id, "https://example.org")]);
    }
}

/// After `close` nothing is written, and nobody is told otherwise.
pub async fn a_closed_repository_takes_nothing(repository: Repository) {
    let scope = scope("ada");
    let mut sketch = Sketch::new(&scope, "t");
    commit(&repository, sketch.create()).await;
    repository.close().await;
    let refused = repository.commit(sketch.go(TaskState::Working)).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    let config = push_config("t", "p", "https://example.org");
    let refused = repository.put_push_config(&scope, &config, 9).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
}

/// Whoever closes waits for the end, however many do it.
pub async fn closing_twice_at_once_ends(repository: Repository) {
    let mut sketch = Sketch::new(&scope("ada"), "t");
    commit(&repository, sketch.create()).await;
    tokio::join!(repository.close(), repository.close());
    repository.close().await;
    let refused = repository.commit(sketch.go(TaskState::Working)).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
}
