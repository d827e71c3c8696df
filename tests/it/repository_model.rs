//! Random sequences of operations give the same results and the same errors on memory, on SQLite and on PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use a2ad::pb::TaskState;
use a2ad::repository::conformance::{NOW_MS, Sketch, key, push_config, scope};
use a2ad::repository::memory::MemoryRepository;
use a2ad::repository::{
    CompactQuery, IdempotencyKey, Lapsed, ListCursor, ListQuery, PruneQuery, TaskRepository, TaskWrite,
};
use proptest::prelude::*;

use crate::postgres::fresh_postgres;
use crate::repositories::fresh_sqlite;
use crate::support::observed::Observed;

const OWNERS: [&str; 2] = ["ada", "bob"];
const STATES: [TaskState; 4] = [
    TaskState::Working,
    TaskState::InputRequired,
    TaskState::Completed,
    TaskState::Canceled,
];

/// One operation; indices choose among few owners, tasks, keys and times, so that sequences collide.
#[derive(Clone, Debug)]
enum Op {
    Create {
        owner: usize,
        task: usize,
        at: i64,
        key: Option<usize>,
        push: Option<usize>,
    },
    Move {
        owner: usize,
        task: usize,
        change: Change,
        lie: Lie,
        keys: Vec<usize>,
        push: Option<usize>,
        at: i64,
        snapshot: bool,
    },
    Read {
        owner: usize,
        task: usize,
        after: u64,
        limit: usize,
    },
    List {
        owner: usize,
        query: ListQuery,
    },
    Key {
        owner: usize,
        key: usize,
        at: i64,
    },
    PutPush {
        owner: usize,
        task: usize,
        push: usize,
        limit: usize,
    },
    DeletePush {
        owner: usize,
        task: usize,
        push: usize,
    },
    Renew {
        tasks: Vec<(usize, u64)>,
    },
    TakeOver {
        task: usize,
    },
    Look,
    Prune {
        state: usize,
        before: i64,
        limit: usize,
    },
    Compact {
        after: usize,
        before: i64,
        limit: usize,
    },
}

#[derive(Clone, Debug)]
enum Change {
    State(usize),
    Chunks(usize),
    Hear,
    /// Enough for the database's repositories to keep the snapshot.
    HearLong,
}

/// What a writer believes wrongly.
#[derive(Clone, Copy, Debug)]
enum Lie {
    None,
    Generation,
    Epoch,
    TakeOver,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..STATES.len()).prop_map(Change::State),
        (1..4usize).prop_map(Change::Chunks),
        Just(Change::Hear),
        Just(Change::HearLong)
    ]
}

fn lie() -> impl Strategy<Value = Lie> {
    prop_oneof![6 => Just(Lie::None), 1 => Just(Lie::Generation), 1 => Just(Lie::Epoch), 1 => Just(Lie::TakeOver)]
}

fn query() -> impl Strategy<Value = ListQuery> {
    let cursor = (0..9i64, 0..6usize).prop_map(|(at, task)| ListCursor {
        status_ms: NOW_MS + at,
        task_id: task_id(task),
    });
    let filters = (
        proptest::option::of((0..3usize).prop_map(|n| format!("c{n}"))),
        proptest::option::of((0..STATES.len()).prop_map(|n| STATES[n])),
        proptest::option::of((0..9i64).prop_map(|at| NOW_MS + at)),
    );
    (filters, proptest::option::of(cursor), 0..5usize, 0..5usize).prop_map(
        |((context_id, state, status_after_ms), cursor, limit, count_limit)| ListQuery {
            context_id,
            state,
            status_after_ms,
            cursor,
            limit,
            // Some pages are cut by their size; both must cut at the same task.
            bytes_max: (limit % 3 == 0).then_some(300),
            count_limit,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let (owner, task) = (0..OWNERS.len(), 0..6usize);
    let some = |n: usize| proptest::option::of(0..n);
    prop_oneof![
        4 => (owner.clone(), task.clone(), 0..9i64, some(4), some(3))
            .prop_map(|(owner, task, at, key, push)| Op::Create { owner, task, at, key, push }),
        6 => (owner.clone(), task.clone(), change(), lie(), prop::collection::vec(0..4usize, 0..3), some(3), 0..9i64, any::<bool>())
            .prop_map(|(owner, task, change, lie, mut keys, push, at, snapshot)| {
                keys.sort_unstable();
                keys.dedup();
                Op::Move { owner, task, change, lie, keys, push, at, snapshot }
            }),
        3 => (owner.clone(), task.clone(), 0..9u64, 0..5usize)
            .prop_map(|(owner, task, after, limit)| Op::Read { owner, task, after, limit }),
        3 => (owner.clone(), query()).prop_map(|(owner, query)| Op::List { owner, query }),
        1 => (owner.clone(), 0..4usize, 0..9i64).prop_map(|(owner, key, at)| Op::Key { owner, key, at }),
        2 => (owner.clone(), task.clone(), 0..3usize, 0..3usize)
            .prop_map(|(owner, task, push, limit)| Op::PutPush { owner, task, push, limit }),
        1 => (owner, task.clone(), 0..3usize).prop_map(|(owner, task, push)| Op::DeletePush { owner, task, push }),
        1 => prop::collection::vec((task.clone(), 1..4u64), 0..4).prop_map(|tasks| Op::Renew { tasks }),
        1 => task.clone().prop_map(|task| Op::TakeOver { task }),
        1 => Just(Op::Look),
        1 => (0..STATES.len(), 0..9i64, 1..6usize)
            .prop_map(|(state, before, limit)| Op::Prune { state, before, limit }),
        2 => (task, 0..9i64, 1..6usize).prop_map(|(after, before, limit)| Op::Compact { after, before, limit }),
    ]
}

fn task_id(task: usize) -> String {
    format!("t{task}")
}

/// Keys live for a short time, so that some expire within a sequence.
fn short_key(n: usize, at_ms: i64) -> IdempotencyKey {
    IdempotencyKey {
        expires_ms: at_ms + 3,
        fingerprint: [n as u8; 16],
        ..key(&format!("k{n}"))
    }
}

fn pushed(task: usize, push: usize) -> a2ad::pb::TaskPushNotificationConfig {
    push_config(&task_id(task), &format!("p{push}"), "https://example.org")
}

/// Both repositories, and the tasks as their true writers know them.
struct Pair {
    memory: MemoryRepository,
    database: Arc<dyn TaskRepository>,
    sketches: Vec<Option<Sketch>>,
}

/// Asks both the same and demands the same answer.
macro_rules! both {
    ($pair:expr, $repository:ident => $ask:expr) => {{
        let memory = {
            let $repository = &$pair.memory;
            $ask.await
        };
        let database = {
            let $repository = &$pair.database;
            $ask.await
        };
        assert_eq!(memory, database);
        memory
    }};
}

impl Pair {
    /// What has lapsed, by id: the times are those of two clocks. All leases here run out at once.
    async fn lapsed(&self) -> Vec<Lapsed> {
        both!(self, repository => async {
            let mut all = repository.lapsed(None, 1_000).await.unwrap();
            for left in &mut all {
                left.lease_until_ms = i64::MAX;
            }
            all.sort_by(|a, b| a.task_id.cmp(&b.task_id));
            all
        })
    }

    async fn run(&mut self, op: Op) {
        match op {
            Op::Create {
                owner,
                task,
                at,
                key,
                push,
            } => {
                let at = NOW_MS + at;
                let context = format!("c{}", task % 3);
                let mut sketch = Sketch::at(&scope(OWNERS[owner]), &task_id(task), &context, at);
                let mut write = sketch.create();
                write.keys = key.map(|n| short_key(n, at)).into_iter().collect();
                write.push_configs = push.map(|n| pushed(task, n)).into_iter().collect();
                if both!(self, repository => repository.commit(write.clone())).is_ok() {
                    self.sketches[task] = Some(sketch);
                }
            }
            Op::Move {
                owner,
                task,
                change,
                lie,
                keys,
                push,
                at,
                snapshot,
            } => {
                self.change(owner, task, change, lie, (keys, push), NOW_MS + at, snapshot)
                    .await;
            }
            Op::Read {
                owner,
                task,
                after,
                limit,
            } => {
                let (scope, id) = (scope(OWNERS[owner]), task_id(task));
                let stored = both!(self, repository => repository.get(&scope, &id)).unwrap();
                let own = self.sketches[task]
                    .as_ref()
                    .filter(|sketch| sketch.scope == scope);
                assert_eq!(stored, own.map(Sketch::stored));
                let _ = both!(self, repository => repository.events(&scope, &id, after, limit));
                let _ = both!(self, repository => repository.push_configs(&scope, &id));
            }
            Op::List { owner, query } => self.list(owner, query).await,
            Op::Key { owner, key, at } => {
                let name = format!("k{key}");
                let _ = both!(self, repository => repository.known_key(&scope(OWNERS[owner]), &name, NOW_MS + at));
            }
            Op::PutPush {
                owner,
                task,
                push,
                limit,
            } => {
                let config = pushed(task, push);
                let _ = both!(self, repository => repository.put_push_config(&scope(OWNERS[owner]), &config, limit));
            }
            Op::DeletePush { owner, task, push } => {
                let (id, push) = (task_id(task), format!("p{push}"));
                let _ = both!(self, repository => repository.delete_push_config(&scope(OWNERS[owner]), &id, &push));
            }
            Op::Renew { tasks } => {
                let mut leases: Vec<(Arc<str>, u64)> = tasks
                    .into_iter()
                    .map(|(task, epoch)| (Arc::from(task_id(task)), epoch))
                    .collect();
                leases.sort();
                leases.dedup_by(|a, b| a.0 == b.0);
                let _ = both!(self, repository => async {
                    let mut refused = repository.renew(&leases, Duration::ZERO).await?;
                    refused.sort();
                    Ok::<_, a2ad::repository::Error>(refused)
                });
            }
            Op::TakeOver { task } => {
                let Some(left) = self
                    .lapsed()
                    .await
                    .into_iter()
                    .find(|left| left.task_id == task_id(task))
                else {
                    return;
                };
                let taken = both!(self, repository => repository.take_over(&left, Duration::ZERO));
                assert_eq!(taken, Ok(true));
                if let Some(sketch) = &mut self.sketches[task] {
                    sketch.epoch += 1;
                }
            }
            Op::Look => {
                let _ = self.lapsed().await;
                let _ = both!(self, repository => repository.interrupted("echo", NOW_MS + 4, None, 3));
            }
            Op::Prune { state, before, limit } => {
                let query = PruneQuery {
                    agent: scope(OWNERS[0]).agent,
                    state: STATES[state],
                    before_ms: NOW_MS + before,
                    limit,
                };
                both!(self, repository => repository.prune(&query)).unwrap();
                let _ = both!(self, repository => repository.agents());
                for place in &mut self.sketches {
                    let Some(sketch) = place else { continue };
                    let (scope, id) = (sketch.scope.clone(), sketch.task.id.clone());
                    if both!(self, repository => repository.get(&scope, &id))
                        .unwrap()
                        .is_none()
                    {
                        *place = None;
                    }
                }
            }
            Op::Compact { after, before, limit } => {
                let query = CompactQuery {
                    after: if after == 0 { String::new() } else { task_id(after) },
                    before_ms: NOW_MS + before,
                    limit,
                };
                let _ = both!(self, repository => repository.compact(&query));
            }
        }
    }

    /// All pages from the one asked for: nothing twice, nothing left out.
    async fn list(&mut self, owner: usize, query: ListQuery) {
        let scope = scope(OWNERS[owner]);
        let all = ListQuery {
            limit: usize::MAX,
            bytes_max: None,
            ..query.clone()
        };
        let whole = both!(self, repository => repository.list(&scope, &all)).unwrap();
        let (mut query, mut paged) = (query, Vec::new());
        loop {
            let page = both!(self, repository => repository.list(&scope, &query)).unwrap();
            paged.extend(page.tasks);
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => break,
            }
        }
        // A page of no tasks has no next one.
        if query.limit > 0 {
            assert_eq!(paged, whole.tasks);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of one operation")]
    async fn change(
        &mut self,
        owner: usize,
        task: usize,
        change: Change,
        lie: Lie,
        (keys, push): (Vec<usize>, Option<usize>),
        at_ms: i64,
        snapshot: bool,
    ) {
        let Some(mut sketch) = self.sketches[task].clone() else {
            return;
        };
        if a2ad::task::is_terminal(sketch.state()) {
            return;
        }
        let mut write = match change {
            Change::State(n) => sketch.go_at(STATES[n], at_ms.max(sketch.status_ms)),
            Change::Chunks(n) => sketch.chunks(&["x"; 4][..n]),
            Change::Hear => sketch.hear("more"),
            Change::HearLong => sketch.hear(&"more ".repeat(8_000)),
        };
        write.scope = scope(OWNERS[owner]);
        write.keys = keys.into_iter().map(|n| short_key(n, write.status_ms)).collect();
        write.push_configs = push.map(|n| pushed(task, n)).into_iter().collect();
        match lie {
            Lie::None => {}
            Lie::Generation => write.expected_generation += 1,
            Lie::Epoch => write.expected_epoch += 1,
            Lie::TakeOver => {
                write.epoch += 1;
                sketch.epoch += 1;
            }
        }
        if snapshot && !matches!(lie, Lie::Generation) {
            write = sketch.with_snapshot(write);
        }
        let lied = matches!(lie, Lie::Generation | Lie::Epoch) || write.scope != sketch.scope;
        let written = both!(self, repository => repository.commit(TaskWrite::clone(&write)));
        assert!(!(lied && written.is_ok()), "a writer that was wrong wrote");
        if written.is_ok() {
            self.sketches[task] = Some(sketch);
        }
    }
}

fn compare(ops: Vec<Op>, open: impl AsyncFn() -> Arc<Observed>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let sketches = vec![None; 6];
        let mut pair = Pair {
            memory: MemoryRepository::new(),
            database: open().await,
            sketches,
        };
        for op in ops {
            pair.run(op).await;
        }
        pair.database.close().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_sqlite_answer_alike(ops in prop::collection::vec(op(), 1..60)) {
        compare(ops, fresh_sqlite);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_postgres_answer_alike(ops in prop::collection::vec(op(), 1..60)) {
        compare(ops, fresh_postgres);
    }
}
