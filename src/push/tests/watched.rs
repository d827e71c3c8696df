//! An outbox that watches who uses it, between a dispatcher and tasks in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::context::Principal;
use crate::repository::{
    self, Backlog, ClaimQuery, Claims, Delivery, DeliveryFilter, DeliveryKey, Due, Except, PushRepository,
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
    pace: Pace,
}

/// How long things take.
#[derive(Clone, Copy, Default)]
pub(super) struct Pace {
    /// Finding out what is due.
    pub(super) look: Duration,
    /// Finding what to claim.
    pub(super) find: Duration,
    /// All else of a look, and of a claim: turns, queues, writes.
    pub(super) busy: Duration,
}

impl Watched {
    pub(super) fn new(inner: Arc<dyn PushRepository>) -> Arc<Self> {
        Self::slow(inner, Pace::default())
    }

    /// One in which looks and claims take so long.
    pub(super) fn slow(inner: Arc<dyn PushRepository>, pace: Pace) -> Arc<Self> {
        Arc::new(Self {
            inner,
            is_away: AtomicBool::new(false),
            is_hostless: AtomicBool::new(false),
            largest: AtomicUsize::new(0),
            claims: AtomicUsize::new(0),
            looks: AtomicUsize::new(0),
            pace,
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
    async fn claim(&self, query: &ClaimQuery) -> Result<Claims, repository::Error> {
        self.there()?;
        // On a clock that stands still a loop without end would be a test without end.
        assert!(self.claims.fetch_add(1, Ordering::AcqRel) < 10_000, "a busy loop");
        tokio::time::sleep(self.pace.find + self.pace.busy).await;
        let mut query = query.clone();
        query.except = self.except(&query.except);
        let claims = self.inner.claim(&query).await?;
        Ok(Claims {
            took: self.pace.find,
            ..claims
        })
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<bool>, repository::Error> {
        self.largest.fetch_max(settlements.len(), Ordering::AcqRel);
        self.there()?;
        self.inner.settle(settlements).await
    }

    async fn next_due(&self, except: &Except) -> Result<Due, repository::Error> {
        self.there()?;
        self.looks.fetch_add(1, Ordering::AcqRel);
        tokio::time::sleep(self.pace.look + self.pace.busy).await;
        let due = self.inner.next_due(&self.except(except)).await?;
        Ok(Due {
            took: self.pace.look,
            ..due
        })
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
