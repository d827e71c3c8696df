//! What runs below the operations: the database, audit records, executions, deliveries, and the care for all of them.

use std::sync::Arc;
use std::time::Duration;

use super::{RetentionPolicy, StartError, Stores, audit, open_stores, push, retention, settings};
use crate::agent::Agents;
use crate::bus::{Bus, LocalBus};
use crate::clock::Clock;
use crate::config::Config;
use crate::egress::Egress;
use crate::execution::{Executions, Sweeper};
use crate::push::Pushes;
use crate::repository::{ApiKeyRepository, PushRepository, TaskRepository};
use crate::shutdown::Shutdown;
use crate::signature::SigningKey;

/// Everything below the operations, running.
pub(super) struct Engine {
    pub(super) repository: Arc<dyn TaskRepository>,
    pub(super) outbox: Arc<dyn PushRepository>,
    pub(super) api_keys: Arc<dyn ApiKeyRepository>,
    pub(super) egress: Egress,
    pub(super) executions: Executions,
    pub(super) pushes: Pushes,
    pub(super) clock: Clock,
}

impl Engine {
    /// Opens the database and begins with what goes on without calls. `signer` signs deliveries.
    pub(super) async fn start(
        config: &Config,
        agents: &Agents,
        signer: Option<Arc<SigningKey>>,
        shutdown: &Shutdown,
    ) -> Result<Self, StartError> {
        let Stores {
            tasks: repository,
            push: outbox,
            api_keys,
            records,
        } = open_stores(config, shutdown).await?;
        let clock = Clock::system();
        let audit = audit::start(config, records, &clock, shutdown).await?;
        let egress = Egress::open(settings::egress(config), shutdown).await?;
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::new());
        let pushes = push::start(push::Parts {
            config,
            egress: &egress,
            tasks: &repository,
            outbox: &outbox,
            bus: &bus,
            clock: &clock,
            audit: &audit,
            signer,
            shutdown,
        });
        let executions = Executions::new(
            repository.clone(),
            bus,
            clock.clone(),
            shutdown.clone(),
            settings::execution(config),
            audit,
        );
        let engine = Self {
            repository,
            outbox,
            api_keys,
            egress,
            executions,
            pushes,
            clock,
        };
        engine.keep_up(config, agents, shutdown);
        Ok(engine)
    }

    /// Begins what goes on beside the calls: leases are kept, tasks of dead processes taken up, old ones removed.
    fn keep_up(&self, config: &Config, agents: &Agents, shutdown: &Shutdown) {
        let executions = &self.executions;
        shutdown.spawn("leases", executions.clone().keep_leases());
        let pause = Duration::from_millis(config.execution.sweep_interval_ms);
        let sweeper = Sweeper::new(executions.clone(), agents.clone());
        shutdown.spawn("sweeper", sweeper.run(pause));
        let retention = retention::keep(
            self.repository.clone(),
            self.outbox.clone(),
            RetentionPolicy::of(config),
            self.clock.clone(),
            shutdown.clone(),
            executions.audit().clone(),
        );
        shutdown.spawn("retention", retention);
    }
}
