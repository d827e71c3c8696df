//! Listings: order, filters, pages and totals.

use std::sync::Arc;

use super::{NOW_MS, Sketch, ok, scope};
use crate::context::Principal;
use crate::pb::TaskState;
use crate::repository::{ListQuery, OpenQuery, Owners, StoredTask, TaskRepository};

type Repository = Arc<dyn TaskRepository>;

const ALL: ListQuery = ListQuery {
    context_id: None,
    state: None,
    status_after_ms: None,
    cursor: None,
    limit: 1_000,
    bytes_max: None,
    count_limit: 1_000,
};

/// Stores 30 tasks of Ada and one of Bob: three contexts, several states, and times with many ties.
async fn crowd(repository: &Repository) -> Vec<Sketch> {
    let states = [
        TaskState::Submitted,
        TaskState::Working,
        TaskState::Completed,
        TaskState::InputRequired,
    ];
    let mut sketches = Vec::new();
    for n in 0..30 {
        // 7 is prime to 30: ids don't come in the order of times.
        let id = format!("t{:02}", n * 7 % 30);
        let mut sketch = Sketch::at(&scope("ada"), &id, &format!("c{}", n % 3), NOW_MS + n / 5);
        ok(repository.commit(sketch.create()).await);
        let state = states[n as usize % states.len()];
        if state != TaskState::Submitted {
            ok(repository.commit(sketch.go_at(state, sketch.status_ms)).await);
        }
        sketches.push(sketch);
    }
    ok(repository
        .commit(Sketch::new(&scope("bob"), "of-bob").create())
        .await);
    sketches.sort_by(|a, b| (b.status_ms, &b.task.id).cmp(&(a.status_ms, &a.task.id)));
    sketches
}

fn ids(tasks: &[StoredTask]) -> Vec<&str> {
    tasks.iter().map(|stored| stored.task.id.as_str()).collect()
}

/// The order is (status time, id) descending; a listed task is as whole as one that is read by id.
pub async fn tasks_are_listed_newest_first(repository: Repository) {
    let mut sketches = crowd(&repository).await;
    let page = ok(repository.list(&scope("ada"), &ALL).await);
    assert_eq!(
        page.tasks,
        sketches.iter().map(Sketch::stored).collect::<Vec<_>>()
    );
    assert_eq!((page.total, page.next), (30, None));
    // A task that moves goes to the front.
    let mut moved = sketches.remove(29);
    ok(repository
        .commit(moved.go_at(TaskState::Working, NOW_MS + 1_000))
        .await);
    let page = ok(repository
        .list(&scope("ada"), &ListQuery { limit: 2, ..ALL })
        .await);
    assert_eq!(page.tasks, [moved.stored(), sketches[0].stored()]);
}

/// Filters select alone and together, and the total counts what they select.
pub async fn filters_select_alone_and_together(repository: Repository) {
    let sketches = crowd(&repository).await;
    let mut nonempty = 0;
    for context_id in [None, Some("c1"), Some("none")] {
        for state in [None, Some(TaskState::Working), Some(TaskState::Canceled)] {
            for after in [None, Some(NOW_MS + 3), Some(NOW_MS + 999)] {
                let query = ListQuery {
                    context_id: context_id.map(str::to_owned),
                    state,
                    status_after_ms: after,
                    ..ALL
                };
                let wanted = |sketch: &&Sketch| {
                    context_id.is_none_or(|id| sketch.task.context_id == id)
                        && state.is_none_or(|state| sketch.state() == state)
                        && after.is_none_or(|after| sketch.status_ms >= after)
                };
                let expected: Vec<&str> = sketches
                    .iter()
                    .filter(wanted)
                    .map(|sketch| sketch.task.id.as_str())
                    .collect();
                let page = ok(repository.list(&scope("ada"), &query).await);
                assert_eq!(ids(&page.tasks), expected, "{query:?}");
                assert_eq!(page.total, expected.len(), "{query:?}");
                nonempty += usize::from(!expected.is_empty());
            }
        }
    }
    assert!(nonempty >= 8, "the filters must have something to select");
}

/// Pages of every size hold every task once, in order, and the last one says so.
pub async fn pages_hold_every_task_once(repository: Repository) {
    let sketches = crowd(&repository).await;
    let state = Some(TaskState::Completed);
    for (state, limit) in [
        (None, 1),
        (None, 7),
        (None, 10),
        (None, 29),
        (None, 30),
        (None, 31),
        (state, 2),
    ] {
        let wanted = |sketch: &&Sketch| state.is_none_or(|state| sketch.state() == state);
        let expected: Vec<String> = sketches
            .iter()
            .filter(wanted)
            .map(|sketch| sketch.task.id.clone())
            .collect();
        let mut seen = Vec::new();
        let mut query = ListQuery { state, limit, ..ALL };
        loop {
            let page = ok(repository.list(&scope("ada"), &query).await);
            assert!(page.tasks.len() <= limit);
            assert_eq!(
                page.total,
                expected.len(),
                "the total does not depend on the page"
            );
            seen.extend(page.tasks.into_iter().map(|stored| stored.task.id));
            query.cursor = page.next;
            if query.cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected, "limit {limit}");
    }
}

/// Counting stops at its limit.
pub async fn a_total_is_counted_up_to_its_limit(repository: Repository) {
    crowd(&repository).await;
    for (count_limit, total) in [(0, 0), (1, 1), (29, 29), (30, 30), (31, 30)] {
        let page = ok(repository
            .list(
                &scope("ada"),
                &ListQuery {
                    count_limit,
                    limit: 3,
                    ..ALL
                },
            )
            .await);
        assert_eq!(
            (page.total, page.tasks.len()),
            (total, 3),
            "count limit {count_limit}"
        );
    }
}

/// Tasks that have not ended are counted, those that wait for their callers among them, up to a limit.
pub async fn open_tasks_are_counted_by_agent_and_owner(repository: Repository) {
    let states = [
        TaskState::Submitted,
        TaskState::Working,
        TaskState::InputRequired,
        TaskState::AuthRequired,
        TaskState::Completed,
        TaskState::Failed,
        TaskState::Canceled,
        TaskState::Rejected,
    ];
    // The last two are not of the organisation `a`, close as their names are.
    for owner in ["ada", "org:a/x", "org:a/y\u{10ffff}", "org:ab/x", "org:a0"] {
        for (n, state) in states.into_iter().enumerate() {
            let mut sketch = Sketch::new(&scope(owner), &format!("{owner}-{n}"));
            ok(repository.commit(sketch.create()).await);
            if state != TaskState::Submitted {
                ok(repository.commit(sketch.go(state)).await);
            }
        }
    }
    let count = async |agents: &[&str], owners: Owners, limit| {
        let query = OpenQuery {
            agents: agents.iter().map(|&agent| agent.into()).collect(),
            owners,
            limit,
        };
        ok(repository.open_tasks(&query).await)
    };
    let one = |owner| Owners::One(Principal::verified(owner));
    let members = || Owners::Beginning("org:a/".to_owned());
    assert_eq!(count(&["echo"], Owners::All, 100).await, 20);
    assert_eq!(count(&["echo"], Owners::All, 7).await, 7);
    assert_eq!(count(&["other"], Owners::All, 100).await, 0);
    assert_eq!(count(&[], Owners::All, 100).await, 0);
    assert_eq!(count(&["echo", "other"], one("ada"), 100).await, 4);
    assert_eq!(count(&["other", "echo"], one("ada"), 3).await, 3);
    assert_eq!(count(&["echo"], one("bob"), 100).await, 0);
    assert_eq!(count(&["echo"], members(), 100).await, 8);
    assert_eq!(count(&["echo"], members(), 5).await, 5);
}
