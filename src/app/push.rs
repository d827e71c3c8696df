//! Push notifications of a runtime: what they need, and who wakes them.

use std::sync::Arc;
use std::time::Duration;

use super::settings;
use crate::audit::Audit;
use crate::bus::{Bus, Doorbell, Listener};
use crate::clock::Clock;
use crate::config::Config;
use crate::egress::Egress;
use crate::push::{Dispatcher, Needs, Pushes};
use crate::repository::{PushRepository, TaskRepository};
use crate::shutdown::Shutdown;
use crate::signature::SigningKey;

/// Rings for every commit of this process: one may have written something to deliver.
struct Bell(Pushes);

impl Listener for Bell {
    fn hear(&self, _doorbell: &Doorbell) {
        self.0.ring();
    }
}

/// What of a runtime push notifications need.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) egress: &'a Egress,
    pub(super) tasks: &'a Arc<dyn TaskRepository>,
    pub(super) outbox: &'a Arc<dyn PushRepository>,
    pub(super) bus: &'a Arc<dyn Bus>,
    pub(super) clock: &'a Clock,
    pub(super) audit: &'a Audit,
    pub(super) signer: Option<Arc<SigningKey>>,
    pub(super) shutdown: &'a Shutdown,
}

/// Begins to deliver.
pub(super) fn start(parts: Parts<'_>) -> Pushes {
    let pushes = Pushes::default();
    parts.bus.listen(Arc::new(Bell(pushes.clone())));
    let (settings, policy) = (settings::push(parts.config), settings::webhooks(parts.config));
    let transport = parts.egress.client_within(policy, settings.request_timeout);
    let needs = Needs {
        outbox: parts.outbox.clone(),
        tasks: parts.tasks.clone(),
        transport: Arc::new(transport),
        signer: parts.signer,
        clock: parts.clock.clone(),
        audit: parts.audit.clone(),
        shutdown: parts.shutdown.clone(),
    };
    Dispatcher::start(needs, settings, pushes.clone());
    pushes
}

/// Gives up what is still being delivered, so that others need not wait until its claims run out.
pub(super) async fn hand_back(pushes: &Pushes, outbox: &Arc<dyn PushRepository>, wait: Duration) {
    match tokio::time::timeout(wait, pushes.hand_back(outbox)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "push notifications under way could not be handed back; their claims run out by themselves");
        }
        Err(_) => tracing::warn!(
            "push notifications under way could not be handed back in time; their claims run out by themselves"
        ),
    }
}
