//! Which deliveries were accepted before.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Clock;

/// Remembers deliveries by their ids. Whoever keeps what comes in a database keeps the ids there too, in the same
/// transaction if possible: then nothing is done twice, whatever happens in between.
///
/// Ids of requests that were not signed begin with `unsigned:` here: they are another's, whatever they say.
///
/// An id has to be remembered for [`super::ReceiverSettings::age_max`] and the leeway at least, so that no request can be
/// replayed, and for as long as the sender repeats a delivery, so that none is yielded twice.
#[async_trait]
pub trait DeliveryStore: Send + Sync + 'static {
    /// Whether a delivery was accepted.
    ///
    /// # Errors
    /// When that can't be told, or when this one could not be recorded: the request is answered with 503.
    async fn is_known(&self, id: &str) -> Result<bool, StoreError>;

    /// Records that a delivery is accepted; false if it was before.
    ///
    /// # Errors
    /// When it is not recorded: the delivery is not accepted, and comes again.
    async fn record(&self, id: &str) -> Result<bool, StoreError>;
}

/// Why a store does not know, or does not record.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Everything that it remembers could still be replayed.
    #[error("{0} deliveries are remembered, all of which could still be replayed; raise deliveries_max")]
    Full(usize),
    /// What it is made of failed.
    #[error("the store of deliveries failed: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Deliveries in memory: the latest ones, forgotten with the process. When it is full the oldest goes, but none that could
/// still be replayed.
pub struct MemoryDeliveries {
    capacity: usize,
    keep_ms: i64,
    clock: Clock,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    ids: HashSet<Arc<str>>,
    /// In the order in which they were recorded, with the time.
    order: VecDeque<(i64, Arc<str>)>,
}

impl MemoryDeliveries {
    /// Remembers at most `capacity` deliveries, each of them for `keep` at least.
    pub fn new(capacity: usize, keep: Duration, clock: Clock) -> Self {
        Self {
            capacity,
            keep_ms: i64::try_from(keep.as_millis()).unwrap_or(i64::MAX),
            clock,
            known: Mutex::default(),
        }
    }

    /// Works on what is known.
    fn locked<T>(&self, then: impl FnOnce(&mut Known) -> Result<T, StoreError>) -> Result<T, StoreError> {
        // A panic of another thread leaves both collections whole enough: what is missing comes again.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        then(&mut known)
    }

    fn make_room(&self, known: &mut Known) -> Result<(), StoreError> {
        if known.order.len() < self.capacity {
            return Ok(());
        }
        let before = self.clock.now_ms().saturating_sub(self.keep_ms);
        match known.order.front() {
            Some((at, _)) if *at < before => {
                if let Some((_, id)) = known.order.pop_front() {
                    known.ids.remove(&id);
                }
                Ok(())
            }
            _ => Err(StoreError::Full(self.capacity)),
        }
    }
}

#[async_trait]
impl DeliveryStore for MemoryDeliveries {
    async fn is_known(&self, id: &str) -> Result<bool, StoreError> {
        self.locked(|known| {
            if known.ids.contains(id) {
                return Ok(true);
            }
            self.make_room(known)?;
            Ok(false)
        })
    }

    async fn record(&self, id: &str) -> Result<bool, StoreError> {
        self.locked(|known| {
            if known.ids.contains(id) {
                return Ok(false);
            }
            self.make_room(known)?;
            let id: Arc<str> = id.into();
            known.order.push_back((self.clock.now_ms(), id.clone()));
            known.ids.insert(id);
            Ok(true)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_that_could_be_replayed_is_forgotten() {
        let clock = Clock::manual(0);
        let store = MemoryDeliveries::new(2, Duration::from_secs(1), clock.clone());
        assert!(!store.is_known("a").await.unwrap());
        assert!(store.record("a").await.unwrap());
        assert!(!store.record("a").await.unwrap() && store.is_known("a").await.unwrap());
        clock.advance_ms(500);
        assert!(store.record("b").await.unwrap());
        clock.advance_ms(500);
        // "a" may still come again: there is no room for another one.
        assert!(matches!(store.is_known("c").await, Err(StoreError::Full(2))));
        assert!(matches!(store.record("c").await, Err(StoreError::Full(2))));
        assert!(store.is_known("a").await.unwrap() && store.is_known("b").await.unwrap());
        clock.advance_ms(1);
        assert!(store.record("c").await.unwrap());
        assert!(matches!(store.is_known("a").await, Err(StoreError::Full(2))));
        assert!(store.is_known("b").await.unwrap() && store.is_known("c").await.unwrap());
    }
}
