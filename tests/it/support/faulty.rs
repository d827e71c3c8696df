//! A repository that does to its callers what databases do: it fails before, fails after, is slow, and hangs.
//!
//! Writes go on when their caller is gone, as they do in a database: nothing that was sent is taken back.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use a2ad::context::Scope;
use a2ad::pb::TaskPushNotificationConfig;
use a2ad::repository::{
    CompactQuery, Compacted, Error, Interrupted, KnownKey, Lapsed, ListPage, ListQuery, OpenQuery,
    PruneQuery, Pruned, StoredTask, TaskRepository, TaskWrite,
};
use a2ad::shutdown::Shutdown;
use a2ad::task::TaskEvent;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::random::Random;

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nothing is done, and the caller is told that the outcome is unknown.
    Before,
    /// Everything is done, and the caller is told that the outcome is unknown.
    After,
    /// The caller is told that the outcome is unknown, and then, after this long, everything is done.
    Late(Duration),
    /// It is done after this long, and the caller is told so.
    Delay(Duration),
    /// It is done when the faults end, and the caller is told so then.
    Hang,
    /// Nothing is done, and the caller is told that it never can be.
    Refuse,
    /// Nothing is done, and whoever waits for it panics.
    Panic,
}

/// The calls that may meet a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    Commit,
    Get,
    Events,
    List,
    KnownKey,
    Renew,
    Lapsed,
    TakeOver,
    Release,
    Interrupted,
    PutPushConfig,
    PushConfigs,
    DeletePushConfig,
    OpenTasks,
    Agents,
    Prune,
    Compact,
    Check,
}

impl Method {
    pub const ALL: [Self; 18] = [
        Self::Commit,
        Self::Get,
        Self::Events,
        Self::List,
        Self::KnownKey,
        Self::Renew,
        Self::Lapsed,
        Self::TakeOver,
        Self::Release,
        Self::Interrupted,
        Self::PutPushConfig,
        Self::PushConfigs,
        Self::DeletePushConfig,
        Self::OpenTasks,
        Self::Agents,
        Self::Prune,
        Self::Compact,
        Self::Check,
    ];
}

/// Says what happens to the next call of a method.
pub type Plan = Box<dyn FnMut(Method) -> Option<Fault> + Send>;

/// Does to the calls of each method, one after the other, what the script says; behind its end all is well.
pub fn script(mut script: BTreeMap<Method, VecDeque<Option<Fault>>>) -> Plan {
    Box::new(move |method| script.get_mut(&method)?.pop_front().flatten())
}

/// One fault, in call number `at` (from 0) of `method`.
pub fn once(method: Method, at: usize, fault: Fault) -> Plan {
    let mut calls = VecDeque::from(vec![None; at]);
    calls.push_back(Some(fault));
    script(BTreeMap::from([(method, calls)]))
}

/// So many faults in a hundred calls, and everything else after a pause of up to `latency`.
pub fn seeded(mut random: Random, percent: u64, latency: Duration) -> Plan {
    Box::new(move |_| {
        let millis = |random: &mut Random, limit: u64| Duration::from_millis(random.below(limit + 1));
        if !random.chance(percent) {
            let pause = millis(&mut random, latency.as_millis() as u64);
            return (!pause.is_zero()).then_some(Fault::Delay(pause));
        }
        Some(match random.below(8) {
            0 | 1 => Fault::Before,
            2 | 3 => Fault::After,
            4 | 5 => Fault::Late(millis(&mut random, 400)),
            6 => Fault::Delay(millis(&mut random, 1_000)),
            _ => Fault::Hang,
        })
    })
}

/// What a database makes of a write. Everything but the first is a lie that a checker must catch.
pub enum Taken {
    Honestly(TaskWrite),
    /// Acknowledged, and written some time later.
    Afterwards(TaskWrite),
    /// Acknowledged and forgotten.
    Never,
}

/// Looks at every write that reaches the database.
pub type Alter = Box<dyn Fn(TaskWrite) -> Taken + Send + Sync>;

/// One process's way to the database.
pub struct FaultyRepository {
    inner: Arc<Inner>,
    /// The process is gone.
    crashed: CancellationToken,
}

/// The database.
struct Inner {
    repository: Arc<dyn TaskRepository>,
    plan: Mutex<Plan>,
    alter: Alter,
    /// The faults have ended.
    healed: CancellationToken,
    /// The database's own side: what was sent goes on there, whoever waits for it.
    database: Shutdown,
    calls: [AtomicUsize; Method::ALL.len()],
    commits: AtomicUsize,
}

impl FaultyRepository {
    pub fn new(repository: Arc<dyn TaskRepository>, plan: Plan) -> Arc<Self> {
        Self::altering(repository, plan, Box::new(Taken::Honestly))
    }

    pub fn altering(repository: Arc<dyn TaskRepository>, plan: Plan, alter: Alter) -> Arc<Self> {
        let inner = Arc::new(Inner {
            repository,
            plan: Mutex::new(plan),
            alter,
            healed: CancellationToken::new(),
            database: Shutdown::new(),
            calls: Default::default(),
            commits: AtomicUsize::new(0),
        });
        Self::connect(inner)
    }

    fn connect(inner: Arc<Inner>) -> Arc<Self> {
        let crashed = CancellationToken::new();
        Arc::new(Self { inner, crashed })
    }

    /// The way of another process to the same database.
    pub fn reconnect(&self) -> Arc<Self> {
        Self::connect(self.inner.clone())
    }

    /// Ends all faults: what hangs is done now.
    pub fn heal(&self) {
        self.inner.healed.cancel();
    }

    /// The next calls meet other faults.
    pub fn plan(&self, plan: Plan) {
        *self.inner.plan.lock().unwrap() = plan;
    }

    /// How often a method was called.
    pub fn calls(&self, method: Method) -> usize {
        self.inner.calls[method as usize].load(Ordering::Acquire)
    }

    /// How many commits took place, told or not.
    pub fn commits(&self) -> usize {
        self.inner.commits.load(Ordering::Acquire)
    }

    /// The process is gone. What it had sent is written now or never.
    pub fn crash(&self) {
        self.crashed.cancel();
    }

    /// A call that changes nothing: dropped with its caller.
    async fn read<T>(
        &self,
        method: Method,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match self.inner.fault(method) {
            None => work.await,
            Some(Fault::Before | Fault::After | Fault::Late(_)) => {
                // As long as it takes to fail: everybody else runs first.
                tokio::task::yield_now().await;
                Err(unknown())
            }
            Some(Fault::Delay(pause)) => {
                tokio::time::sleep(pause).await;
                work.await
            }
            Some(Fault::Hang) => {
                self.inner.healed.cancelled().await;
                work.await
            }
            Some(Fault::Refuse) => Err(Error::Unstorable("injected".to_owned())),
            Some(Fault::Panic) => panic!("injected"),
        }
    }

    /// A call that changes something: it goes on in the database, whatever becomes of its caller.
    async fn write<T: Send + 'static>(
        &self,
        method: Method,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let fault = self.inner.fault(method);
        self.send(method, fault, work).await
    }

    /// A call that says what it removed, which nobody can ask for a second time: it fails before or not at all.
    async fn remove<T: Send + 'static>(
        &self,
        method: Method,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let fault = match self.inner.fault(method) {
            Some(Fault::After | Fault::Late(_)) => Some(Fault::Before),
            fault => fault,
        };
        self.send(method, fault, work).await
    }

    async fn send<T: Send + 'static>(
        &self,
        method: Method,
        fault: Option<Fault>,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        match fault {
            Some(Fault::Before) => {
                tokio::task::yield_now().await;
                return Err(unknown());
            }
            Some(Fault::Refuse) => return Err(Error::Unstorable("injected".to_owned())),
            Some(Fault::Panic) => panic!("injected"),
            _ => {}
        }
        let (tell, told) = oneshot::channel();
        let inner = self.inner.clone();
        let sent = inner.calls[method as usize].load(Ordering::Acquire);
        let crashed = self.crashed.clone();
        self.inner.database.spawn_unstoppable("database", async move {
            let on_its_way = async {
                match fault {
                    Some(Fault::Delay(pause) | Fault::Late(pause)) => tokio::time::sleep(pause).await,
                    Some(Fault::Hang) => inner.healed.cancelled().await,
                    _ => {}
                }
            };
            tokio::select! {
                biased;
                () = crashed.cancelled() => {}
                () = on_its_way => {}
            }
            if !crashed.is_cancelled() || sent.is_multiple_of(2) {
                let _ = tell.send(work.await);
            }
        });
        match fault {
            Some(Fault::Late(_)) => Err(unknown()),
            Some(Fault::After) => {
                let _ = told.await;
                Err(unknown())
            }
            _ => told.await.unwrap_or_else(|_| Err(unknown())),
        }
    }
}

impl Inner {
    fn fault(&self, method: Method) -> Option<Fault> {
        self.calls[method as usize].fetch_add(1, Ordering::AcqRel);
        if self.healed.is_cancelled() {
            return None;
        }
        (self.plan.lock().unwrap())(method)
    }

    async fn commit(self: Arc<Self>, write: TaskWrite) -> Result<(), Error> {
        match (self.alter)(write) {
            Taken::Honestly(write) => self.repository.commit(write).await?,
            Taken::Afterwards(write) => {
                let inner = self.clone();
                self.database.spawn_unstoppable("database", async move {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    let _ = inner.repository.commit(write).await;
                });
            }
            Taken::Never => {}
        }
        self.commits.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}

fn unknown() -> Error {
    Error::Unavailable("injected".to_owned())
}

#[async_trait::async_trait]
impl TaskRepository for FaultyRepository {
    async fn commit(&self, write: TaskWrite) -> Result<(), Error> {
        let work = self.inner.clone().commit(write);
        self.write(Method::Commit, work).await
    }

    async fn get(&self, scope: &Scope, task_id: &str) -> Result<Option<StoredTask>, Error> {
        self.read(Method::Get, self.inner.repository.get(scope, task_id))
            .await
    }

    async fn events(
        &self,
        scope: &Scope,
        task_id: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Arc<TaskEvent>>, Error> {
        let events = self.inner.repository.events(scope, task_id, after, limit);
        self.read(Method::Events, events).await
    }

    async fn list(&self, scope: &Scope, query: &ListQuery) -> Result<ListPage, Error> {
        self.read(Method::List, self.inner.repository.list(scope, query))
            .await
    }

    async fn known_key(&self, scope: &Scope, key: &str, now_ms: i64) -> Result<Option<KnownKey>, Error> {
        let known = self.inner.repository.known_key(scope, key, now_ms);
        self.read(Method::KnownKey, known).await
    }

    async fn renew(&self, leases: &[(Arc<str>, u64)], ttl: Duration) -> Result<Vec<Arc<str>>, Error> {
        let (inner, leases) = (self.inner.clone(), leases.to_vec());
        let work = async move { inner.repository.renew(&leases, ttl).await };
        self.write(Method::Renew, work).await
    }

    async fn lapsed(&self, after: Option<&Lapsed>, limit: usize) -> Result<Vec<Lapsed>, Error> {
        let lapsed = self.inner.repository.lapsed(after, limit);
        self.read(Method::Lapsed, lapsed).await
    }

    async fn take_over(&self, lapsed: &Lapsed, ttl: Duration) -> Result<bool, Error> {
        let (inner, lapsed) = (self.inner.clone(), lapsed.clone());
        let work = async move { inner.repository.take_over(&lapsed, ttl).await };
        self.write(Method::TakeOver, work).await
    }

    async fn release(&self, task_id: &str, epoch: u64) -> Result<bool, Error> {
        let (inner, task_id) = (self.inner.clone(), task_id.to_owned());
        let work = async move { inner.repository.release(&task_id, epoch).await };
        self.write(Method::Release, work).await
    }

    async fn interrupted(
        &self,
        agent: &str,
        until_ms: i64,
        after: Option<&Interrupted>,
        limit: usize,
    ) -> Result<Vec<Interrupted>, Error> {
        let interrupted = self.inner.repository.interrupted(agent, until_ms, after, limit);
        self.read(Method::Interrupted, interrupted).await
    }

    async fn put_push_config(
        &self,
        scope: &Scope,
        config: &TaskPushNotificationConfig,
        limit: usize,
    ) -> Result<bool, Error> {
        let (inner, scope, config) = (self.inner.clone(), scope.clone(), config.clone());
        let work = async move { inner.repository.put_push_config(&scope, &config, limit).await };
        self.write(Method::PutPushConfig, work).await
    }

    async fn push_configs(
        &self,
        scope: &Scope,
        task_id: &str,
    ) -> Result<Option<Vec<TaskPushNotificationConfig>>, Error> {
        let configs = self.inner.repository.push_configs(scope, task_id);
        self.read(Method::PushConfigs, configs).await
    }

    async fn delete_push_config(&self, scope: &Scope, task_id: &str, id: &str) -> Result<bool, Error> {
        let (inner, scope) = (self.inner.clone(), scope.clone());
        let (task_id, id) = (task_id.to_owned(), id.to_owned());
        let work = async move { inner.repository.delete_push_config(&scope, &task_id, &id).await };
        self.write(Method::DeletePushConfig, work).await
    }

    async fn open_tasks(&self, query: &OpenQuery) -> Result<usize, Error> {
        self.read(Method::OpenTasks, self.inner.repository.open_tasks(query))
            .await
    }

    async fn agents(&self) -> Result<Vec<String>, Error> {
        self.read(Method::Agents, self.inner.repository.agents()).await
    }

    async fn prune(&self, query: &PruneQuery) -> Result<Pruned, Error> {
        let (inner, query) = (self.inner.clone(), query.clone());
        let work = async move { inner.repository.prune(&query).await };
        self.remove(Method::Prune, work).await
    }

    async fn compact(&self, query: &CompactQuery) -> Result<Compacted, Error> {
        let (inner, query) = (self.inner.clone(), query.clone());
        let work = async move { inner.repository.compact(&query).await };
        self.remove(Method::Compact, work).await
    }

    async fn check(&self) -> Result<(), Error> {
        self.read(Method::Check, self.inner.repository.check()).await
    }

    async fn close(&self) {
        self.inner.repository.close().await;
    }
}
