//! What runs without a caller (leases, retention, care, push notifications) reads by index and sorts nothing but what it
//! locks, on both databases.

use a2ad::repository::TaskRepository as _;
use a2ad::repository::sea_orm::{DatabaseSettings, SeaOrmRepository, StatementPlan};
use a2ad::shutdown::Shutdown;

use crate::support::postgres;

/// What each statement has to be read by, in SQLite's words and in PostgreSQL's.
const EXPECTED: [(&str, &str, &str); 44] = [
    (
        "tasks whose lease ran out",
        "task_lease (lease_until_ms>? AND lease_until_ms<?)",
        "using task_lease on task",
    ),
    (
        "tasks that wait for their callers",
        "task_interrupted (agent=? AND (status_ms,id)>(?,?)",
        "using task_interrupted on task",
    ),
    ("take a task over", "(id=?)", "Index Scan using task_"),
    ("prolong leases", "(id=?)", "task_pkey"),
    ("end all leases", "task_lease (lease_until_ms>?", ""),
    ("the next agent", "INDEX task_by_", "using task_by_"),
    (
        "ended tasks that are old",
        "INDEX task_by_age (agent=? AND state=? AND status_ms<?)",
        "using task_by_age on task",
    ),
    (
        "tasks with a snapshot",
        "INDEX task_with_snapshot (id>?)",
        "using task_with_snapshot on task",
    ),
    (
        "commits of a log",
        "(task_id=? AND last_generation<?)",
        "task_log_pkey",
    ),
    ("tasks that are free", "(id=?)", "task_pkey"),
    (
        "keys of tasks",
        "idempotency_key_task (task_id=?)",
        "idempotency_key_task",
    ),
    (
        "keys that are free",
        "idempotency_key_task (task_id=?)",
        "idempotency_key_task",
    ),
    (
        "remove keys",
        "idempotency_key_task (task_id=?)",
        "idempotency_key_task",
    ),
    ("remove push configurations", "(task_id=?)", "push_config_pkey"),
    ("remove events", "(task_id=?)", "task_log_pkey"),
    ("remove tasks", "(id=?)", "task_pkey"),
    ("begin a log later", "(id=?)", "task_pkey"),
    (
        "open tasks of an agent",
        "INDEX task_by_state (state=? AND agent=?)",
        "using task_by_state on task",
    ),
    (
        "open tasks of an owner",
        "INDEX task_by_state (state=? AND agent=? AND owner=?)",
        "using task_by_state on task",
    ),
    (
        "open tasks of an organisation",
        "INDEX task_by_state (state=? AND agent=? AND owner>? AND owner<?)",
        "using task_by_state on task",
    ),
    ("push configurations of tasks", "(task_id=?)", "push_config_pkey"),
    (
        "push configurations that are free",
        "(task_id=?)",
        "push_config_pkey",
    ),
    (
        "push configurations of a commit",
        "(task_id=?)",
        "push_config_pkey",
    ),
    ("what waits of tasks", "(task_id=?)", "push_outbox_pkey"),
    ("remove deliveries", "(task_id=?)", "push_outbox_pkey"),
    (
        "remove deliveries of the beginning of a log",
        "(task_id=?)",
        "push_outbox_pkey",
    ),
    (
        "streams that are due",
        "push_config_due (due_ms>? AND due_ms<?)",
        "using push_config_due on push_config",
    ),
    ("claim streams", "(task_id=? AND id=?)", "push_config_pkey"),
    (
        "what waits in a stream",
        "(task_id=? AND config_id=?)",
        "push_outbox_pkey",
    ),
    (
        "the next stream that is due",
        "push_config_due (due_ms>?)",
        "using push_config_due on push_config",
    ),
    (
        "the next claim that runs out",
        "push_config_due (due_ms>? AND due_ms<?)",
        "using push_config_due on push_config",
    ),
    ("end all claims", "push_config_due (due_ms>?)", ""),
    (
        "postpone the streams to a host",
        "push_config_due (due_ms>? AND due_ms<?)",
        "using push_config_due on push_config",
    ),
    (
        "old dead letters",
        "push_outbox_dead (dead_ms>? AND dead_ms<?)",
        "using push_outbox_dead on push_outbox",
    ),
    (
        "count what waits",
        "push_config_due (due_ms>?)",
        "push_outbox_pkey",
    ),
    (
        "count dead letters",
        "push_outbox_dead (dead_ms>?)",
        "using push_outbox_dead on push_outbox",
    ),
    ("make streams due", "(task_id=? AND id=?)", "push_config_pkey"),
    ("lock claims", "(task_id=? AND id=?)", "push_config_pkey"),
    ("lock streams", "(task_id=? AND id=?)", "push_config_pkey"),
    (
        "deliveries that are over",
        "(task_id=? AND config_id=? AND generation=?)",
        "push_outbox_pkey",
    ),
    (
        "discard deliveries",
        "(task_id=? AND config_id=? AND generation=?)",
        "push_outbox_pkey",
    ),
    (
        "redeliver",
        "(task_id=? AND config_id=? AND generation=?)",
        "push_outbox_pkey",
    ),
    (
        "an attempt that failed",
        "(task_id=? AND config_id=? AND generation=?)",
        "push_outbox_pkey",
    ),
    ("leave streams", "(task_id=? AND id=?)", "push_config_pkey"),
];

/// They lock rows in the order that all processes share, and have to sort them for it; or sort the few that they found.
const SORTING: [&str; 6] = [
    "push configurations of a commit",
    "claim streams",
    "lock claims",
    "lock streams",
    "postpone the streams to a host",
    "what waits of tasks",
];

/// More of them, whose plans have a shape of their own.
const OTHERS: [&str; 2] = ["remove the beginning of a log", "expired keys"];

fn plan_of<'a>(plans: &'a [StatementPlan], purpose: &str) -> Option<&'a str> {
    let found = plans.iter().find(|plan| plan.purpose == purpose);
    found.map(|plan| plan.plan.as_str())
}

/// What is due is looked for beside the writers: a claim holds them up for the streams that were found, and no others.
fn claims_read_no_others(plans: &[StatementPlan]) {
    let plan = plan_of(plans, "claim streams").unwrap();
    assert!(!plan.contains("push_config_due"), "{plan}");
}

fn all_are_known(plans: &[StatementPlan]) {
    for plan in plans {
        let known = EXPECTED.iter().any(|(purpose, ..)| *purpose == plan.purpose);
        assert!(
            known || OTHERS.contains(&plan.purpose),
            "nobody looks at {plan:?}"
        );
    }
}

#[tokio::test]
async fn sqlite_keeps_house_by_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tasks.db");
    let repository = SeaOrmRepository::open_sqlite(&path, &DatabaseSettings::default(), &Shutdown::new())
        .await
        .unwrap();
    let plans = repository.explain_upkeep().await.unwrap();
    all_are_known(&plans);
    claims_read_no_others(&plans);
    for (purpose, step, _) in EXPECTED {
        let plan = plan_of(&plans, purpose).unwrap_or_else(|| panic!("no plan for {purpose}"));
        assert!(plan.contains(step), "{purpose}: {plan}");
    }
    let log = plan_of(&plans, "remove the beginning of a log").unwrap();
    assert!(log.contains("(task_id=? AND last_generation<?)"), "{log}");
    let keys = plan_of(&plans, "expired keys").unwrap();
    assert!(
        keys.contains("idempotency_key_expiry (expires_ms<?)")
            && keys.contains("(agent=? AND owner=? AND key=?)"),
        "{keys}"
    );
    for StatementPlan { purpose, plan } in &plans {
        // Lists of ids and what was selected before are read from beginning to end.
        let mut scans = plan.lines().filter(|line| line.starts_with("SCAN"));
        assert!(
            scans.all(|line| line.contains("CONSTANT")
                || line.contains("VALUES CLAUSE")
                || line.ends_with("SCAN old")
                || line.contains("SCAN v")
                || line.contains("SCAN part")
                || line.contains("SCAN json_each")
                || ["SCAN due", "SCAN early", "SCAN counted"].contains(&line)),
            "{purpose}: {plan}"
        );
        let sorts = SORTING.contains(purpose);
        assert!(sorts || !plan.contains("TEMP B-TREE"), "{purpose}: {plan}");
    }
    repository.close().await;
}

/// A database that is so large that reading all of a table is never the cheapest way.
const FILL: &str = "\
    INSERT INTO task (id, agent, owner, context_id, state, status_ms, created_ms, generation, epoch, \
        snapshot_generation, first_generation, lease_until_ms, attempt) \
    SELECT 't' || lpad(n::text, 6, '0'), 'echo', 'o' || n % 20, 'c' || n % 10, \
        (ARRAY[2, 3, 3, 3, 3, 3, 5, 6])[1 + n % 8], n, n, 3, 1, CASE n % 10 WHEN 0 THEN 2 ELSE 0 END, 1, \
        CASE n % 8 WHEN 0 THEN 4000000000000 + n ELSE 0 END, 1 FROM generate_series(1, 100000) n; \
    INSERT INTO task_log (task_id, last_generation, first_generation, at_ms, events, epoch) \
    SELECT 't' || lpad(n::text, 6, '0'), g, g, n, 'x', 1 FROM generate_series(1, 100000) n, generate_series(1, 3) g; \
    INSERT INTO idempotency_key (agent, owner, key, task_id, fingerprint, created_ms, expires_ms) \
    SELECT 'echo', 'o' || n % 20, 'k' || n, 't' || lpad(n::text, 6, '0'), 'x', n, 4000000000000 + n \
        FROM generate_series(1, 100000) n; \
    INSERT INTO push_config (task_id, id, config, host, due_ms) \
    SELECT 't' || lpad(n::text, 6, '0'), 'p', 'x', 'h' || n % 20, CASE n % 8 WHEN 0 THEN 4000000000000 + n END \
        FROM generate_series(1, 100000) n; \
    INSERT INTO push_outbox (task_id, config_id, generation, since_ms, dead_ms) \
    SELECT 't' || lpad(n::text, 6, '0'), 'p', g, n, CASE WHEN n % 8 = 0 THEN NULL ELSE 4000000000000 + n END \
        FROM generate_series(1, 100000) n, generate_series(1, 2) g WHERE n % 8 = 0 OR n % 40 = 1";

#[tokio::test]
async fn postgres_keeps_house_by_index() {
    let database = postgres::database();
    let repository =
        SeaOrmRepository::open_postgres(database.url(), &DatabaseSettings::default(), &Shutdown::new())
            .await
            .unwrap();
    database.sql(FILL);
    database.sql("VACUUM ANALYZE");
    let plans = repository.explain_upkeep().await.unwrap();
    all_are_known(&plans);
    claims_read_no_others(&plans);
    for (purpose, _, index) in EXPECTED {
        let plan = plan_of(&plans, purpose).unwrap_or_default();
        assert!(plan.contains(index), "{purpose}: {plan}");
    }
    let log = plan_of(&plans, "remove the beginning of a log").unwrap();
    assert!(log.contains("task_log_pkey"), "{log}");
    let keys = plan_of(&plans, "expired keys").unwrap();
    assert!(
        keys.contains("idempotency_key_expiry") && keys.contains("idempotency_key_pkey"),
        "{keys}"
    );
    for StatementPlan { purpose, plan } in &plans {
        assert!(!plan.contains("Seq Scan"), "{purpose}: {plan}");
        // Of an agent without tasks, which one of those that are counted is here, PostgreSQL would as soon sort nothing.
        let counts = purpose.starts_with("open tasks");
        let sorts = counts || SORTING.contains(purpose);
        assert!(sorts || !plan.contains("Sort"), "{purpose}: {plan}");
    }
    // The index is searched by the time, and not read through and compared with it.
    for purpose in [
        "tasks whose lease ran out",
        "streams that are due",
        "the next claim that runs out",
    ] {
        let plan = plan_of(&plans, purpose).unwrap();
        let conditions = plan.lines().find(|line| line.contains("Index Cond")).unwrap();
        assert!(conditions.contains("statement_timestamp()"), "{purpose}: {plan}");
        let filters = purpose.starts_with("tasks") && plan.contains("Filter");
        assert!(!filters, "{purpose}: {plan}");
    }
    repository.close().await;
}
