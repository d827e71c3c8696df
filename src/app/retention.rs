//! Retention: what is past its time leaves the database, a turn at a time, while everybody else goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::audit::Audit;
pub use crate::audit::Removed;
use crate::clock::Clock;
use crate::config::{AgentRetention, Config, Retention};
use crate::pb::TaskState;
use crate::repository::{CompactQuery, Error, PruneQuery, PushRepository, TaskRepository};
use crate::shutdown::Shutdown;

/// How long things are kept, and how quickly what is old goes.
#[derive(Clone, Debug)]
pub struct RetentionPolicy {
    defaults: Retention,
    agents: BTreeMap<String, AgentRetention>,
    dead_s: u64,
}

impl RetentionPolicy {
    /// The terminal states, each of which has a time of its own.
    pub const STATES: [TaskState; 4] = [
        TaskState::Completed,
        TaskState::Failed,
        TaskState::Canceled,
        TaskState::Rejected,
    ];

    /// What a configuration says.
    pub fn of(config: &Config) -> Self {
        let agents = config.agents.iter();
        Self {
            defaults: config.retention.clone(),
            dead_s: config.push.dead_retention_s,
            agents: agents
                .filter_map(|(name, agent)| Some((name.clone(), agent.retention.clone()?)))
                .collect(),
        }
    }

    /// How long an agent's tasks are kept that ended in `state`; `None`: for ever.
    pub fn kept(&self, agent: &str, state: TaskState) -> Option<Duration> {
        let defaults = &self.defaults;
        let own = self.agents.get(agent);
        let choose = |own: Option<Option<u64>>, default: u64| own.flatten().unwrap_or(default);
        let seconds = match state {
            TaskState::Completed => choose(own.map(|own| own.completed_s), defaults.completed_s),
            TaskState::Failed => choose(own.map(|own| own.failed_s), defaults.failed_s),
            TaskState::Canceled => choose(own.map(|own| own.canceled_s), defaults.canceled_s),
            TaskState::Rejected => choose(own.map(|own| own.rejected_s), defaults.rejected_s),
            _ => 0,
        };
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// Ended tasks of an agent that are past their time at `now_ms`: those whose status is older than this, in
    /// milliseconds since the epoch; `None` when nothing is.
    pub fn cutoff_ms(&self, agent: &str, state: TaskState, now_ms: i64) -> Option<i64> {
        self.kept(agent, state).map(|kept| before(now_ms, kept))
    }

    /// Events that a snapshot stands for are past their time at `now_ms` when they were written before this, in
    /// milliseconds since the epoch; `None` when none is.
    pub fn events_cutoff_ms(&self, now_ms: i64) -> Option<i64> {
        let seconds = self.defaults.events_s;
        (seconds > 0).then(|| before(now_ms, Duration::from_secs(seconds)))
    }

    /// Push notifications are past their time at `now_ms` when they became dead letters before this, in milliseconds since
    /// the epoch; `None` when none is.
    pub fn dead_cutoff_ms(&self, now_ms: i64) -> Option<i64> {
        (self.dead_s > 0).then(|| before(now_ms, Duration::from_secs(self.dead_s)))
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(self.defaults.pause_ms)
    }
}

fn before(now_ms: i64, kept: Duration) -> i64 {
    now_ms.saturating_sub(i64::try_from(kept.as_millis()).unwrap_or(i64::MAX))
}

/// Passes over the database, one after the other, until the process drains. Each that removes something has a record.
pub(super) async fn keep(
    repository: Arc<dyn TaskRepository>,
    outbox: Arc<dyn PushRepository>,
    policy: RetentionPolicy,
    clock: Clock,
    shutdown: Shutdown,
    audit: Audit,
) {
    let interval = Duration::from_millis(policy.defaults.interval_ms);
    if interval.is_zero() {
        return;
    }
    let passes = async {
        loop {
            recorded_pass((&repository, &outbox), &policy, &clock, &audit).await;
            tokio::time::sleep(interval).await;
        }
    };
    tokio::select! {
        () = passes => {}
        () = shutdown.draining() => {}
    }
}

/// One pass; what could not be recorded is left for the next one. A pass that is dropped on its way is recorded as that.
async fn recorded_pass(
    (repository, outbox): (&Arc<dyn TaskRepository>, &Arc<dyn PushRepository>),
    policy: &RetentionPolicy,
    clock: &Clock,
    audit: &Audit,
) {
    let mut record = match audit.retention() {
        Ok(record) => record,
        Err(error) => return tracing::warn!(%error, "retention waits until it can be recorded"),
    };
    let passed = async {
        pass(repository, policy, clock, &mut record.removed).await?;
        record.removed.dead_letters = forget_dead_letters(outbox, policy, clock).await?;
        Ok::<(), Error>(())
    };
    match passed.await {
        Ok(()) => {
            let Removed {
                tasks,
                events,
                dead_letters,
            } = record.removed;
            if record.removed != Removed::default() {
                tracing::info!(tasks, events, dead_letters, "past their retention");
            }
            record.ends();
        }
        Err(error) => {
            tracing::warn!(%error, "retention stopped; it goes on with the next pass");
            record.fails();
        }
    }
}

/// One pass: removes all that is past its time now, with a rest between two turns.
///
/// # Errors
/// As the repository's; what was removed until then stays removed.
pub async fn prune(
    repository: &Arc<dyn TaskRepository>,
    policy: &RetentionPolicy,
    clock: &Clock,
) -> Result<Removed, Error> {
    let mut removed = Removed::default();
    pass(repository, policy, clock, &mut removed).await?;
    Ok(removed)
}

async fn pass(
    repository: &Arc<dyn TaskRepository>,
    policy: &RetentionPolicy,
    clock: &Clock,
    removed: &mut Removed,
) -> Result<(), Error> {
    let now_ms = clock.now_ms();
    for agent in repository.agents().await? {
        for state in RetentionPolicy::STATES {
            if let Some(before_ms) = policy.cutoff_ms(&agent, state, now_ms) {
                let query = PruneQuery {
                    agent: Arc::from(agent.as_str()),
                    state,
                    before_ms,
                    limit: policy.defaults.batch_events,
                };
                tasks(repository, policy, &query, removed).await?;
            }
        }
    }
    if let Some(before_ms) = policy.events_cutoff_ms(now_ms) {
        events(repository, policy, before_ms, removed).await?;
    }
    Ok(())
}

/// One pass over dead letters: removes those that are past their time now, with a rest between two turns; how many there
/// were.
///
/// # Errors
/// As the repository's; what was removed until then stays removed.
pub async fn forget_dead_letters(
    outbox: &Arc<dyn PushRepository>,
    policy: &RetentionPolicy,
    clock: &Clock,
) -> Result<u64, Error> {
    let Some(before_ms) = policy.dead_cutoff_ms(clock.now_ms()) else {
        return Ok(0);
    };
    let (limit, mut all) = (policy.defaults.batch_events, 0);
    loop {
        let forgotten = outbox.forget_dead(before_ms, limit).await?;
        all += forgotten;
        if forgotten < limit as u64 {
            return Ok(all);
        }
        tokio::time::sleep(policy.pause()).await;
    }
}

async fn tasks(
    repository: &Arc<dyn TaskRepository>,
    policy: &RetentionPolicy,
    query: &PruneQuery,
    removed: &mut Removed,
) -> Result<(), Error> {
    loop {
        let turn = repository.prune(query).await?;
        removed.tasks += turn.tasks as u64;
        removed.events += turn.events;
        if !turn.more {
            return Ok(());
        }
        tokio::time::sleep(policy.pause()).await;
    }
}

async fn events(
    repository: &Arc<dyn TaskRepository>,
    policy: &RetentionPolicy,
    before_ms: i64,
    removed: &mut Removed,
) -> Result<(), Error> {
    let mut query = CompactQuery {
        after: String::new(),
        before_ms,
        limit: policy.defaults.batch_events,
    };
    loop {
        let turn = repository.compact(&query).await?;
        removed.events += turn.events;
        let Some(next) = turn.next else { return Ok(()) };
        query.after = next;
        tokio::time::sleep(policy.pause()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::conformance::{NOW_MS, Sketch, push_config, scope};
    use crate::repository::memory::MemoryRepository;
    use crate::repository::{ClaimQuery, Except, Failure, Next, Settlement};

    /// A task with three deliveries, each of which is given up.
    async fn with_dead_letters(repository: &MemoryRepository) {
        let mut sketch = Sketch::new(&scope("ada"), "t");
        let mut create = sketch.create();
        create.push_configs = vec![push_config("t", "c", "https://a.example/")];
        repository.commit(create).await.unwrap();
        repository.commit(sketch.chunks(&["a", "b"])).await.unwrap();
        let query = ClaimQuery {
            limit: 1,
            deliveries_max: 1,
            ttl: Duration::from_secs(1),
            except: Except::default(),
        };
        for _ in 0..3 {
            let claimed = repository.claim(&query).await.unwrap().claimed.remove(0);
            let failure = Failure {
                status: Some(404),
                cause: "gone".to_owned(),
            };
            let settlement = Settlement {
                stream: claimed.stream,
                claim: claimed.claim,
                done: Vec::new(),
                next: Next::GiveUp(failure),
            };
            assert_eq!(repository.settle(&[settlement]).await, Ok(vec![true]));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn dead_letters_go_when_their_time_is_over() {
        let clock = Clock::manual(NOW_MS + 1_000);
        let repository = MemoryRepository::with_clock(clock.clone());
        with_dead_letters(&repository).await;
        let outbox: Arc<dyn PushRepository> = Arc::new(repository);
        let mut config = Config::default();
        config.push.dead_retention_s = 60;
        config.retention.batch_events = 1;
        let policy = RetentionPolicy::of(&config);
        assert_eq!(forget_dead_letters(&outbox, &policy, &clock).await, Ok(0));
        clock.advance_ms(60_001);
        config.push.dead_retention_s = 0;
        let for_ever = RetentionPolicy::of(&config);
        assert_eq!(forget_dead_letters(&outbox, &for_ever, &clock).await, Ok(0));
        assert_eq!(forget_dead_letters(&outbox, &policy, &clock).await, Ok(3));
    }
}
