//! Putting a receiver together.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::{Semaphore, mpsc};

use super::credential::Expected;
use super::desk::{Desk, receive};
use super::keys::KeyCache;
use super::{
    DeliveryStore, ExpectedCredential, MemoryDeliveries, Notifications, ReceiverSettings, SenderKeys, Target,
};
use crate::clock::Clock;
use crate::config::Secret;

/// Why there is no receiver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// It would take everything from everybody.
    #[error("a receiver needs the keys of its sender; say accept_unsigned() where there are none")]
    NoKeys,
    /// A limit is zero: nothing would ever be taken.
    #[error("{0} is 0; it has to be 1 at least")]
    Zero(&'static str),
}

/// A receiver in the making.
pub struct ReceiverBuilder {
    target: Target,
    keys: Option<SenderKeys>,
    takes_unsigned: bool,
    expected: Expected,
    store: Option<Arc<dyn DeliveryStore>>,
    settings: ReceiverSettings,
    clock: Clock,
}

impl ReceiverBuilder {
    /// A receiver of what is sent to a target.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            keys: None,
            takes_unsigned: false,
            expected: Expected::default(),
            store: None,
            settings: ReceiverSettings::default(),
            clock: Clock::system(),
        }
    }

    /// The keys that signatures are verified with.
    #[must_use]
    pub fn keys(mut self, keys: SenderKeys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Takes requests without a signature as well, for senders that have none. A signature that is there has to be good,
    /// but whoever changes a request can take it away: only the token and the credential tell who sent it.
    #[must_use]
    pub fn accept_unsigned(mut self) -> Self {
        self.takes_unsigned = true;
        self
    }

    /// The token of the push configuration.
    #[must_use]
    pub fn token(mut self, token: Secret<String>) -> Self {
        self.expected.token = Some(token);
        self
    }

    /// The credential of the push configuration.
    #[must_use]
    pub fn credential(mut self, credential: ExpectedCredential) -> Self {
        self.expected.credential = Some(credential);
        self
    }

    /// Where accepted deliveries are remembered; in memory otherwise.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn DeliveryStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Other limits than the usual ones.
    #[must_use]
    pub fn settings(mut self, settings: ReceiverSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Another clock, for tests.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The router to mount, which answers every path that it gets, and what comes.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(self) -> Result<(Router, Notifications), BuildError> {
        let settings = self.settings;
        if self.keys.is_none() && !self.takes_unsigned {
            return Err(BuildError::NoKeys);
        }
        for (name, limit) in [
            ("requests_max", settings.requests_max),
            ("queue_max", settings.queue_max),
            ("deliveries_max", settings.deliveries_max),
        ] {
            if limit == 0 {
                return Err(BuildError::Zero(name));
            }
        }
        let store = self.store.unwrap_or_else(|| {
            // A second more, because signatures count in whole ones.
            let window = settings.age_max.saturating_add(settings.leeway);
            let keep = window.saturating_add(Duration::from_secs(1));
            let deliveries = MemoryDeliveries::new(settings.deliveries_max, keep, self.clock.clone());
            Arc::new(deliveries)
        });
        let (queue, notifications) = mpsc::channel(settings.queue_max.min(Semaphore::MAX_PERMITS));
        let desk = Desk {
            target: self.target,
            keys: self.keys.map(|keys| KeyCache::new(keys, &settings)),
            takes_unsigned: self.takes_unsigned,
            expected: self.expected,
            store,
            places: Semaphore::new(settings.requests_max.min(Semaphore::MAX_PERMITS)),
            settings,
            clock: self.clock,
            queue,
        };
        let router = Router::new().fallback(receive).with_state(Arc::new(desk));
        Ok((router, Notifications(notifications)))
    }
}
