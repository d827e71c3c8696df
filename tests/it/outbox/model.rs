//! Random sequences of operations on the outbox give the same results on memory, on SQLite and on PostgreSQL.

use a2ad::repository::conformance::NOW_MS;
use a2ad::repository::{CompactQuery, DeliveryKey, DeliveryState, Except, PruneQuery};
use proptest::prelude::*;

use super::*;

const TASKS: usize = 3;
const HOSTS: [&str; 2] = ["one.org", "two.org"];

/// One operation; indices choose among few tasks and configurations, so that sequences collide.
#[derive(Clone, Debug)]
enum Op {
    Write {
        task: usize,
        events: usize,
        push: Option<usize>,
        ends: bool,
        snapshot: bool,
    },
    Put {
        task: usize,
        push: usize,
        host: usize,
    },
    Delete {
        task: usize,
        push: usize,
    },
    Claim {
        except: Option<usize>,
        deliveries_max: usize,
    },
    Settle {
        which: usize,
        done: usize,
        next: usize,
    },
    Redeliver {
        state: usize,
        task: Option<usize>,
        limit: usize,
    },
    Discard {
        state: usize,
        task: Option<usize>,
        limit: usize,
    },
    ForgetDead,
    Prune {
        limit: usize,
    },
    Compact {
        limit: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let some = |n: usize| proptest::option::of(0..n);
    let task = 0..TASKS;
    prop_oneof![
        8 => (task.clone(), 1..4usize, some(2), prop::bool::weighted(0.1), any::<bool>())
            .prop_map(|(task, events, push, ends, snapshot)| Op::Write { task, events, push, ends, snapshot }),
        2 => (task.clone(), 0..2usize, 0..HOSTS.len()).prop_map(|(task, push, host)| Op::Put { task, push, host }),
        1 => (task, 0..2usize).prop_map(|(task, push)| Op::Delete { task, push }),
        6 => (some(HOSTS.len()), 1..5usize)
            .prop_map(|(except, deliveries_max)| Op::Claim { except, deliveries_max }),
        8 => (0..6usize, 0..4usize, 0..7usize).prop_map(|(which, done, next)| Op::Settle { which, done, next }),
        1 => (0..3usize, some(TASKS), 0..4usize)
            .prop_map(|(state, task, limit)| Op::Redeliver { state, task, limit }),
        1 => (0..3usize, some(TASKS), 0..4usize)
            .prop_map(|(state, task, limit)| Op::Discard { state, task, limit }),
        1 => Just(Op::ForgetDead),
        2 => (1..6usize).prop_map(|limit| Op::Prune { limit }),
        2 => (1..6usize).prop_map(|limit| Op::Compact { limit }),
    ]
}

fn config(task: usize, push: usize, host: usize) -> a2ad::pb::TaskPushNotificationConfig {
    push_config(
        &format!("t{task}"),
        &format!("p{push}"),
        &format!("https://{}", HOSTS[host]),
    )
}

fn next(n: usize) -> Next {
    let failure = Failure {
        status: n.is_multiple_of(2).then_some(503),
        cause: "no".to_owned(),
    };
    match n {
        0 => Next::Keep(HOUR),
        1 => Next::Release,
        2 => Next::Retry(Duration::ZERO, failure),
        3 => Next::Retry(HOUR, failure),
        4 => Next::GiveUp(failure),
        5 => Next::Postpone(HOUR),
        _ => Next::End,
    }
}

fn filter(state: usize, task: Option<usize>) -> DeliveryFilter {
    DeliveryFilter {
        state: [None, Some(DeliveryState::Waiting), Some(DeliveryState::Dead)][state],
        task_id: task.map(|task| Arc::from(format!("t{task}"))),
        ..DeliveryFilter::default()
    }
}

/// Both repositories, the tasks as their writer knows them, and claims that may hold still.
struct Pair {
    memory: Both,
    database: Both,
    sketches: Vec<Option<Sketch>>,
    claims: Vec<[Claimed; 2]>,
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
    async fn run(&mut self, op: Op) {
        match op {
            Op::Write {
                task,
                events,
                push,
                ends,
                snapshot,
            } => self.write(task, events, push, ends, snapshot).await,
            Op::Put { task, push, host } => {
                let config = config(task, push, host);
                let _ = both!(self, both => both.tasks.put_push_config(&scope("ada"), &config, 9));
            }
            Op::Delete { task, push } => {
                let (task, push) = (format!("t{task}"), format!("p{push}"));
                let _ = both!(self, both => both.tasks.delete_push_config(&scope("ada"), &task, &push));
            }
            Op::Claim {
                except,
                deliveries_max,
            } => self.claim(except, deliveries_max).await,
            Op::Settle { which, done, next: n } => {
                let Some([memory, database]) = self.claims.get(which) else {
                    return;
                };
                let done: Vec<u64> = memory
                    .deliveries
                    .iter()
                    .take(done)
                    .map(|waiting| waiting.generation)
                    .collect();
                let memory = settlement(memory, &done, next(n));
                let database = settlement(database, &done, next(n));
                let settled = self.memory.push.settle(&[memory]).await;
                assert_eq!(settled, self.database.push.settle(&[database]).await);
                if settled == Ok(vec![false]) {
                    self.claims.remove(which);
                }
            }
            Op::Redeliver { state, task, limit } => {
                let filter = filter(state, task);
                both!(self, both => both.push.redeliver(&filter, None, limit)).unwrap();
            }
            Op::Discard { state, task, limit } => {
                let filter = filter(state, task);
                both!(self, both => both.push.discard(&filter, None, limit)).unwrap();
            }
            Op::ForgetDead => drop(both!(self, both => both.push.forget_dead(i64::MAX, 99)).unwrap()),
            Op::Prune { limit } => self.prune(limit).await,
            Op::Compact { limit } => {
                let query = CompactQuery {
                    after: String::new(),
                    before_ms: i64::MAX,
                    limit,
                };
                both!(self, both => both.tasks.compact(&query)).unwrap();
            }
        }
    }

    async fn write(&mut self, task: usize, events: usize, push: Option<usize>, ends: bool, snapshot: bool) {
        let ada = scope("ada");
        let mut write = match &mut self.sketches[task] {
            Some(sketch) if sketch.state() == TaskState::Completed => return,
            Some(sketch) if ends => sketch.go(TaskState::Completed),
            Some(sketch) => sketch.chunks(&["x"; 3][..events]),
            place => place.insert(Sketch::new(&ada, &format!("t{task}"))).create(),
        };
        write.push_configs = push.map(|push| config(task, push, 0)).into_iter().collect();
        if let Some(sketch) = self.sketches[task].as_mut().filter(|_| snapshot) {
            write = sketch.with_snapshot(write);
        }
        both!(self, both => both.tasks.commit(write.clone())).unwrap();
    }

    async fn claim(&mut self, except: Option<usize>, deliveries_max: usize) {
        let query = ClaimQuery {
            deliveries_max,
            except: Except {
                hosts: except
                    .map(|host| format!("{}:443", HOSTS[host]).into())
                    .into_iter()
                    .collect(),
                ..Except::default()
            },
            ..all(HOUR)
        };
        let claimed = async |both: &Both| {
            let mut claimed = both.push.claim(&query).await.unwrap().claimed;
            claimed.sort_by(|a, b| a.stream.cmp(&b.stream));
            claimed
        };
        let memory = claimed(&self.memory).await;
        let database = claimed(&self.database).await;
        let seen = |claimed: &Claimed| {
            let waiting = claimed.deliveries.iter();
            let waiting: Vec<_> = waiting
                .map(|waiting| (waiting.generation, waiting.attempts))
                .collect();
            (
                claimed.stream.clone(),
                claimed.scope.clone(),
                claimed.config.clone(),
                waiting,
            )
        };
        assert_eq!(
            memory.iter().map(seen).collect::<Vec<_>>(),
            database.iter().map(seen).collect::<Vec<_>>()
        );
        self.claims.extend(
            memory
                .into_iter()
                .zip(database)
                .map(|(memory, database)| [memory, database]),
        );
    }

    async fn prune(&mut self, limit: usize) {
        let query = PruneQuery {
            agent: scope("ada").agent,
            state: TaskState::Completed,
            before_ms: NOW_MS + 1_000,
            limit,
        };
        both!(self, both => both.tasks.prune(&query)).unwrap();
        for place in &mut self.sketches {
            let Some(id) = place.as_ref().map(|sketch| sketch.task.id.clone()) else {
                continue;
            };
            if both!(self, both => both.tasks.get(&scope("ada"), &id))
                .unwrap()
                .is_none()
            {
                *place = None;
            }
        }
    }

    /// What both show of themselves is the same; every delivery is of an event that is there.
    async fn look(&self) {
        let deliveries = both!(self, both => async {
            let mut found = both.push.deliveries(&DeliveryFilter::default(), None, 999).await.unwrap();
            for delivery in &mut found {
                // The times are those of two clocks.
                delivery.since_ms = 0;
                delivery.due_ms = delivery.due_ms.map(|_| 0);
                delivery.dead_ms = delivery.dead_ms.map(|_| 0);
            }
            found
        });
        for delivery in deliveries {
            let DeliveryKey { stream, generation } = delivery.key;
            let events =
                both!(self, both => both.tasks.events(&delivery.scope, &stream.task_id, generation - 1, 1));
            assert_eq!(events.unwrap().len(), 1, "{stream:?} {generation}");
            assert_eq!(
                delivery.due_ms.is_some(),
                delivery.state == DeliveryState::Waiting
            );
        }
        let _ = both!(self, both => async {
            let backlog = both.push.backlog(5).await.unwrap();
            let until = both.push.next_due(&Except::default()).await.unwrap().wait;
            (backlog.waiting, backlog.dead, until.map(|until| until > HOUR / 2))
        });
    }
}

fn compare<T>(ops: Vec<Op>, open: impl AsyncFn() -> (Both, T)) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (database, _kept) = open().await;
        let mut pair = Pair {
            memory: Both::of(Arc::new(MemoryRepository::new())),
            database,
            sketches: vec![None; TASKS],
            claims: Vec::new(),
        };
        for op in ops {
            pair.run(op).await;
            pair.look().await;
        }
        pair.database.tasks.close().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_sqlite_send_alike(ops in prop::collection::vec(op(), 1..60)) {
        compare(ops, sqlite::fresh);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_postgres_send_alike(ops in prop::collection::vec(op(), 1..60)) {
        compare(ops, postgres::fresh);
    }
}
