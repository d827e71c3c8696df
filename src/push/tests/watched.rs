//! An outbox that watches who uses it, between a dispatcher and tasks in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::context::Principal;
use crate::repository::{
    self, Backlog, ClaimQuery, Claimed, Delivery, DeliveryFilter, DeliveryKey, Except, PushRepository,
    Settlement, Turn,
};

/// An outbox that counts, and can be worse than the one in it.
pub(super) struct Watched {
    inner: Arc<dyn PushRepository>,
    /// It can't be reached.
    pub(super) is_away: AtomicBool,
    /// It does not know the hosts of its streams, like one from before they were stored.
    pub(super) is_hostless: AtomicBool,
    /// The most settlements at once.
    pub(super) largest: AtomicUsize,
    /// Claims so far.
    pub(super) claims: AtomicUsize,
    /// Looks at what is due so far.
    pub(super) looks: AtomicUsize,
    /// How long each look takes, and each claim.
    takes: [Duration; 2],
}

impl Watched {
    pub(super) fn new(inner: Arc<dyn PushRepository>) -> Arc<Self> {
        Self::slow(inner, [Duration::ZERO; 2])
    }

    /// One in which a look at what is due and a claim take so long.
    pub(super) fn slow(inner: Arc<dyn PushRepository>, takes: [Duration; 2]) -> Arc<Self> {
        Arc::new(Self {
            inner,
            is_away: AtomicBool::new(false),
            is_hostless: AtomicBool::new(false),
            largest: AtomicUsize::new(0),
            claims: AtomicUsize::new(0),
            looks: AtomicUsize::new(0),
            takes,
        })
    }

    fn except(&self, except: &Except) -> Except {
        let mut except = except.clone();
        if self.is_hostless.load(Ordering::Acquire) {
            except.hosts.clear();
        }
        except
    }

    fn there(&self) -> Result<(), repository::Error> {
        if self.is_away.load(Ordering::Acquire) {
            return Err(repository::Error::Unavailable("away".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl PushRepository for Watched {
    async fn claim(&self, query: &ClaimQuery) -> Result<Vec<Claimed>, repository::Error> {
        self.there()?;
        // On a clock that stands still a loop without end would be a test without end.
        assert!(self.claims.fetch_add(1, Ordering::AcqRel) < 10_000, "a busy loop");
        tokio::time::sleep(self.takes[1]).await;
        let mut query = query.clone();
        query.except = self.except(&query.except);
        self.inner.claim(&query).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<bool>, repository::Error> {
        self.largest.fetch_max(settlements.len(), Ordering::AcqRel);
        self.there()?;
        self.inner.settle(settlements).await
    }

    async fn next_due(&self, except: &Except) -> Result<Option<Duration>, repository::Error> {
        self.there()?;
        self.looks.fetch_add(1, Ordering::AcqRel);
        tokio::time::sleep(self.takes[0]).await;
        self.inner.next_due(&self.except(except)).await
    }

    async fn postpone_host(
        &self,
        owner: &Principal,
        host: &str,
        by: Duration,
    ) -> Result<(), repository::Error> {
        self.there()?;
        self.inner.postpone_host(owner, host, by).await
    }

    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryKey>,
        limit: usize,
    ) -> Result<Vec<Delivery>, repository::Error> {
        self.inner.deliveries(filter, after, limit).await
    }

    async fn redeliver(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryKey>,
        limit: usize,
    ) -> Result<Turn, repository::Error> {
        self.inner.redeliver(filter, after, limit).await
    }

    async fn discard(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryKey>,
        limit: usize,
    ) -> Result<Turn, repository::Error> {
        self.inner.discard(filter, after, limit).await
    }

    async fn forget_dead(&self, before_ms: i64, limit: usize) -> Result<u64, repository::Error> {
        self.inner.forget_dead(before_ms, limit).await
    }

    async fn backlog(&self, limit: usize) -> Result<Backlog, repository::Error> {
        self.there()?;
        self.inner.backlog(limit).await
    }
}
