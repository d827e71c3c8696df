//! What retention takes: whole tasks when their time is over, and the beginnings of long logs.

use std::sync::Arc;

use super::{NOW_MS, Sketch, key, ok, push_config, scope};
use crate::pb::TaskState;
use crate::repository::{CompactQuery, Compacted, Error, PruneQuery, Pruned, TaskRepository, TaskWrite};

type Repository = Arc<dyn TaskRepository>;

fn completed(before_ms: i64, limit: usize) -> PruneQuery {
    PruneQuery {
        agent: Arc::from("echo"),
        state: TaskState::Completed,
        before_ms,
        limit,
    }
}

/// Stores a task that ends in a state, with a key and a push configuration of its own, for which nothing waits.
async fn ended(repository: &Repository, id: &str, state: TaskState, at_ms: i64) -> Sketch {
    let mut sketch = Sketch::at(&scope("ada"), id, "c", at_ms);
    let create = TaskWrite {
        keys: vec![key(&format!("k-{id}"))],
        ..sketch.create()
    };
    ok(repository.commit(create).await);
    ok(repository.commit(sketch.go_at(state, at_ms)).await);
    let config = push_config(id, "p", "https://example.org");
    ok(repository.put_push_config(&sketch.scope, &config, 1).await);
    sketch
}

/// Ended tasks go with all that belongs to them, the oldest first, a turn at a time; nothing else goes.
pub async fn ended_tasks_go_when_their_time_is_over(repository: Repository) {
    for n in 0..5 {
        ended(&repository, &format!("t{n}"), TaskState::Completed, NOW_MS + n).await;
    }
    let failed = ended(&repository, "failed", TaskState::Failed, NOW_MS).await;
    let waiting = ended(&repository, "waiting", TaskState::InputRequired, NOW_MS).await;
    let mut running = Sketch::at(&scope("ada"), "running", "c", NOW_MS);
    ok(repository.commit(running.create()).await);

    // Every task has two events, so that two of them fit into a turn.
    let turn = async |before_ms| ok(repository.prune(&completed(before_ms, 5)).await);
    let pruned = |tasks, more| Pruned {
        tasks,
        events: 2 * tasks as u64,
        more,
    };
    assert_eq!(
        turn(NOW_MS).await,
        pruned(0, false),
        "nothing is older than the oldest"
    );
    assert_eq!(turn(NOW_MS + 3).await, pruned(2, true));
    assert_eq!(turn(NOW_MS + 3).await, pruned(1, false));
    assert_eq!(turn(NOW_MS + 3).await, pruned(0, false));

    let ada = scope("ada");
    for n in 0..5 {
        let id = format!("t{n}");
        let is_kept = n >= 3;
        assert_eq!(ok(repository.get(&ada, &id).await).is_some(), is_kept, "{id}");
        let events = ok(repository.events(&ada, &id, 0, 9).await);
        assert_eq!(events.len(), if is_kept { 2 } else { 0 }, "{id}");
        assert_eq!(
            ok(repository.push_configs(&ada, &id).await).is_some(),
            is_kept,
            "{id}"
        );
        let known = ok(repository.known_key(&ada, &format!("k-{id}"), NOW_MS).await);
        assert_eq!(known.is_some(), is_kept, "{id}");
    }
    for kept in [&failed, &waiting, &running] {
        assert_eq!(repository.get(&ada, &kept.task.id).await, Ok(Some(kept.stored())));
    }
    // The key is free again, and so is the id.
    let mut again = Sketch::new(&ada, "t0");
    let create = TaskWrite {
        keys: vec![key("k-t0")],
        ..again.create()
    };
    ok(repository.commit(create).await);
    assert_eq!(repository.get(&ada, "t0").await, Ok(Some(again.stored())));
}

/// Each state and each agent has a time of its own; what has not ended has none.
pub async fn retention_is_by_agent_and_state(repository: Repository) {
    let states = [
        TaskState::Working,
        TaskState::Completed,
        TaskState::Failed,
        TaskState::Canceled,
        TaskState::InputRequired,
        TaskState::Rejected,
        TaskState::AuthRequired,
    ];
    for agent in ["bench", "echo"] {
        for state in states {
            let mut of_agent = scope("ada");
            of_agent.agent = Arc::from(agent);
            let mut sketch = Sketch::new(&of_agent, &format!("{agent}-{state:?}"));
            ok(repository.commit(sketch.create()).await);
            ok(repository.commit(sketch.go(state)).await);
        }
    }
    assert_eq!(ok(repository.agents().await), ["bench", "echo"]);
    for state in states
        .into_iter()
        .chain([TaskState::Submitted, TaskState::Unspecified])
    {
        let query = PruneQuery {
            state,
            ..completed(i64::MAX, 100)
        };
        let tasks = usize::from(crate::task::is_terminal(state));
        assert_eq!(ok(repository.prune(&query).await).tasks, tasks, "{state:?}");
    }
    let mut bench = scope("ada");
    bench.agent = Arc::from("bench");
    for state in states {
        let is_kept = !crate::task::is_terminal(state);
        let echo = ok(repository.get(&scope("ada"), &format!("echo-{state:?}")).await);
        assert_eq!(echo.is_some(), is_kept, "{state:?}");
        let bench = ok(repository.get(&bench, &format!("bench-{state:?}")).await);
        assert!(bench.is_some(), "the other agent's {state:?}");
    }
    let nobody = PruneQuery {
        agent: Arc::from("nobody"),
        ..completed(i64::MAX, 100)
    };
    assert_eq!(repository.prune(&nobody).await, Ok(Pruned::default()));
}

/// A log of twelve events in commits of two; a snapshot at the eighth, and a commit every ten milliseconds.
async fn long(repository: &Repository, id: &str) -> Sketch {
    let mut sketch = Sketch::new(&scope("ada"), id);
    let create = sketch.create();
    let second = sketch.chunks(&["2"]);
    let first = TaskWrite {
        events: create.events.iter().chain(&second.events).cloned().collect(),
        expected_generation: 0,
        ..second
    };
    ok(repository.commit(first).await);
    for commit in 1..6 {
        let mut write = sketch.chunks(&["x", "y"]);
        write.at_ms = NOW_MS + commit * 10;
        if commit == 3 {
            write = sketch.with_snapshot(write);
        }
        ok(repository.commit(write).await);
    }
    sketch
}

fn compact(after: &str, before_ms: i64, limit: usize) -> CompactQuery {
    CompactQuery {
        after: after.to_owned(),
        before_ms,
        limit,
    }
}

/// Old events before the snapshot go; the task reads as ever, and who asks for them is told that they are gone.
pub async fn old_events_before_a_snapshot_go(repository: Repository) {
    let ada = scope("ada");
    let mut sketch = long(&repository, "t").await;
    let whole = ok(repository.events(&ada, "t", 0, 99).await);
    let turn = async |before_ms| ok(repository.compact(&compact("", before_ms, 100)).await).events;
    let floor = async |first: u64| {
        for after in 0..14 {
            let expected = if after + 1 < first {
                Err(Error::Expired { first })
            } else {
                Ok(whole.iter().skip(after as usize).take(3).cloned().collect())
            };
            assert_eq!(
                repository.events(&ada, "t", after, 3).await,
                expected,
                "after {after}"
            );
        }
        assert_eq!(repository.get(&ada, "t").await, Ok(Some(sketch.stored())));
    };
    assert_eq!(turn(NOW_MS).await, 0, "nothing is older than the oldest");
    floor(1).await;
    assert_eq!(turn(NOW_MS + 11).await, 4);
    floor(5).await;
    assert_eq!(turn(NOW_MS + 11).await, 0);
    // However old: the commit with the snapshot stays, and what came after it.
    assert_eq!(turn(i64::MAX).await, 2);
    floor(7).await;
    assert_eq!(turn(i64::MAX).await, 0);

    ok(repository.commit(sketch.go(TaskState::Completed)).await);
    assert_eq!(repository.get(&ada, "t").await, Ok(Some(sketch.stored())));
    assert_eq!(
        repository.events(&scope("bob"), "t", 0, 9).await,
        Ok(Vec::new()),
        "a stranger"
    );
}

/// A task without a snapshot keeps its log, however old.
pub async fn a_log_without_a_snapshot_is_kept(repository: Repository) {
    let ada = scope("ada");
    let mut sketch = Sketch::new(&ada, "t");
    ok(repository.commit(sketch.create()).await);
    ok(repository.commit(sketch.chunks(&["a", "b"])).await);
    assert_eq!(
        repository.compact(&compact("", i64::MAX, 100)).await,
        Ok(Compacted::default())
    );
    assert_eq!(ok(repository.events(&ada, "t", 0, 9).await).len(), 3);
}

/// Turns are as long as their limit says, and a pass of them sees every task.
pub async fn compaction_goes_from_turn_to_turn(repository: Repository) {
    for id in ["a", "b", "c", "d", "e"] {
        long(&repository, id).await;
    }
    for limit in [1, 3, 5] {
        let (mut after, mut events, mut turns) = (String::new(), 0, 0);
        loop {
            let done = ok(repository.compact(&compact(&after, i64::MAX, limit)).await);
            // Commits of two events; the first of a turn goes whatever the limit.
            assert!(done.events <= limit.max(2) as u64, "{done:?}");
            events += done.events;
            turns += 1;
            match done.next {
                Some(next) => after = next,
                None => break,
            }
        }
        assert!(turns < 100, "a pass must come to its end");
        // The first pass leaves nothing for the others.
        assert_eq!(events, if limit == 1 { 30 } else { 0 }, "limit {limit}");
    }
    for id in ["a", "b", "c", "d", "e"] {
        assert_eq!(
            repository.events(&scope("ada"), id, 0, 9).await,
            Err(Error::Expired { first: 7 })
        );
    }
}

/// A task that is longer than a turn goes in several, and reads as ever until the last one.
pub async fn a_long_task_goes_in_several_turns(repository: Repository) {
    let ada = scope("ada");
    let mut sketch = long(&repository, "t").await;
    let last = sketch.go(TaskState::Completed);
    ok(repository.commit(sketch.with_snapshot(last)).await);
    let (mut events, mut turns) = (0, 0);
    while let Some(stored) = ok(repository.get(&ada, "t").await) {
        assert_eq!(stored, sketch.stored());
        let pruned = ok(repository.prune(&completed(i64::MAX, 4)).await);
        assert!(pruned.events <= 4 && pruned.events > 0, "{pruned:?}");
        events += pruned.events;
        turns += 1;
    }
    assert_eq!((events, turns), (13, 4));
}
