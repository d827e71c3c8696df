//! Every listing runs on an index and sorts nothing, whatever the filters, with statistics and without.

use std::path::Path;

use a2ad::context::Scope;
use a2ad::pb::TaskState;
use a2ad::repository::conformance::{NOW_MS, Sketch, scope};
use a2ad::repository::sea_orm::{DatabaseSettings, ListPlans, SeaOrmRepository};
use a2ad::repository::{ListCursor, ListQuery, TaskRepository, TaskWrite};
use a2ad::shutdown::Shutdown;
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait as _, Database};

use crate::support::postgres;

/// So many tasks that reading all of them is never the cheapest way.
const TASKS: usize = 20_000;
/// Tasks that are written at once.
const CROWD: usize = 2_000;
const OWNERS: usize = 20;
const CONTEXTS: usize = 10;

/// Every combination of the filters.
fn queries() -> Vec<ListQuery> {
    let cursor = ListCursor {
        status_ms: NOW_MS + 5_000,
        task_id: "t05000".to_owned(),
    };
    let has = |combination: usize, filter: usize| combination & (1 << filter) != 0;
    let query = |combination| ListQuery {
        context_id: has(combination, 0).then(|| "context-7".to_owned()),
        state: has(combination, 1).then_some(TaskState::Working),
        status_after_ms: has(combination, 2).then_some(NOW_MS + 1_000),
        cursor: has(combination, 3).then(|| cursor.clone()),
        limit: 50,
        bytes_max: None,
        count_limit: 10_000,
    };
    (0..16).map(query).collect()
}

/// Tasks of several owners, contexts and states.
async fn fill(repository: &dyn TaskRepository) {
    let numbers: Vec<usize> = (0..TASKS).collect();
    for crowd in numbers.chunks(CROWD) {
        let written = join_all(crowd.iter().map(async |n| {
            let owner = scope(&format!("owner-{}", n % OWNERS));
            let (context, at_ms) = (format!("context-{}", n / OWNERS % CONTEXTS), NOW_MS + *n as i64);
            let mut sketch = Sketch::at(&owner, &format!("t{n:05}"), &context, at_ms);
            let create = sketch.create();
            // Few are in the state that is asked for: where it is every third, to read them all by time is as good.
            let state = match n / OWNERS / CONTEXTS % 10 {
                3 => TaskState::Working,
                _ => TaskState::Completed,
            };
            let go = sketch.go(state);
            let write = TaskWrite {
                events: create.events.iter().chain(&go.events).cloned().collect(),
                expected_generation: 0,
                ..go
            };
            repository.commit(write).await
        }));
        written.await.into_iter().collect::<Result<Vec<()>, _>>().unwrap();
    }
}

/// The plans of all queries, each looked at by `check`.
async fn explained(repository: &SeaOrmRepository, check: impl Fn(&ListQuery, &ListPlans)) {
    let caller: Scope = scope("owner-1");
    for query in queries() {
        let plans = repository.explain_list(&caller, &query).await.unwrap();
        check(&query, &plans);
        // What is explained is what runs.
        let page = repository.list(&caller, &query).await.unwrap();
        assert!(page.total > 0 && !page.tasks.is_empty(), "{query:?}");
    }
}

/// The index that a listing has to run on.
fn index(query: &ListQuery) -> &'static str {
    match (&query.context_id, query.state) {
        (None, None) => "task_by_time",
        (Some(_), None) => "task_by_context",
        (None, Some(_)) => "task_by_state",
        (Some(_), Some(_)) => "task_by_context_state",
    }
}

fn sqlite_plans_are_good(query: &ListQuery, plans: &ListPlans) {
    for plan in [&plans.page, &plans.total] {
        assert!(!plan.contains("TEMP B-TREE"), "{query:?}: {plan}");
        assert!(!plan.contains("SCAN task"), "{query:?}: {plan}");
    }
    let index = format!("INDEX {} (", index(query));
    assert!(plans.page.contains(&index), "{query:?}: {}", plans.page);
    if query.cursor.is_some() || query.status_after_ms.is_some() {
        assert!(
            plans.page.contains("status_ms"),
            "a place in the index: {}",
            plans.page
        );
    }
    // Any index that begins with the caller will do where only the caller counts; the table itself is not read.
    assert!(
        plans.total.contains("COVERING INDEX task_by_"),
        "{query:?}: {}",
        plans.total
    );
    if query.status_after_ms.is_some() {
        assert!(plans.total.contains("status_ms>?"), "{query:?}: {}", plans.total);
    }
    assert!(!plans.tasks.contains("SCAN"), "{}", plans.tasks);
    assert!(
        plans.tasks.contains("(task_id=? AND last_generation>?)"),
        "{}",
        plans.tasks
    );
}

async fn open(path: &Path) -> SeaOrmRepository {
    SeaOrmRepository::open_sqlite(path, &DatabaseSettings::default(), &Shutdown::new())
        .await
        .unwrap()
}

#[tokio::test]
async fn sqlite_lists_by_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let repository = open(&path).await;
    fill(&repository).await;
    explained(&repository, sqlite_plans_are_good).await;
    // Statistics are something that an operator may have made; they must not lead astray either.
    let operator = Database::connect(format!("sqlite://{}", path.display()))
        .await
        .unwrap();
    operator.execute_unprepared("ANALYZE").await.unwrap();
    operator.close().await.unwrap();
    repository.close().await;
    drop(repository);
    explained(&open(&path).await, sqlite_plans_are_good).await;
}

fn postgres_plans_are_good(query: &ListQuery, plans: &ListPlans) {
    let index = index(query);
    let is_scan_of = |name: &str| {
        plans.page.contains(&format!("using {name} on task"))
            || plans.page.contains(&format!("Scan on {name} "))
    };
    assert!(is_scan_of(index), "{query:?}: {}", plans.page);
    for plan in [&plans.page, &plans.total, &plans.tasks] {
        assert!(!plan.contains("Seq Scan"), "{query:?}: {plan}");
    }
    assert!(!plans.page.contains("Sort"), "{query:?}: {}", plans.page);
    assert!(plans.total.contains("task_by_"), "{query:?}: {}", plans.total);
    assert!(
        plans.tasks.contains("task_log_pkey"),
        "{query:?}: {}",
        plans.tasks
    );
}

#[tokio::test]
async fn postgres_lists_by_index() {
    let database = postgres::database();
    let repository =
        SeaOrmRepository::open_postgres(database.url(), &DatabaseSettings::default(), &Shutdown::new())
            .await
            .unwrap();
    fill(&repository).await;
    // The server does this by itself sooner or later; the test does not wait for it.
    database.sql("VACUUM ANALYZE");
    explained(&repository, postgres_plans_are_good).await;
    repository.close().await;
}
