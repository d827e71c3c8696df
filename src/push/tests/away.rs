//! The database away for a while: nothing is lost, and what was sent is written down when it is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;

use super::world::{Reply, World};
use super::*;
use crate::repository::{
    self, Backlog, ClaimQuery, Claimed, Delivery, DeliveryFilter, DeliveryKey, PushRepository, Settlement,
    Turn,
};

/// An outbox that can be away, and counts what is settled at once.
struct Flaky {
    inner: Arc<dyn PushRepository>,
    is_away: AtomicBool,
    largest: AtomicUsize,
}

impl Flaky {
    fn new(inner: Arc<dyn PushRepository>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            is_away: AtomicBool::new(false),
            largest: AtomicUsize::new(0),
        })
    }

    fn there(&self) -> Result<(), repository::Error> {
        if self.is_away.load(Ordering::Acquire) {
            return Err(repository::Error::Unavailable("away".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl PushRepository for Flaky {
    async fn claim(&self, query: &ClaimQuery) -> Result<Vec<Claimed>, repository::Error> {
        self.there()?;
        self.inner.claim(query).await
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<bool>, repository::Error> {
        self.largest.fetch_max(settlements.len(), Ordering::AcqRel);
        self.there()?;
        self.inner.settle(settlements).await
    }

    async fn next_due(&self) -> Result<Option<Duration>, repository::Error> {
        self.there()?;
        self.inner.next_due().await
    }

    async fn postpone_host(&self, host: &str, by: Duration) -> Result<(), repository::Error> {
        self.there()?;
        self.inner.postpone_host(host, by).await
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

#[tokio::test(start_paused = true)]
async fn what_was_sent_is_settled_when_the_database_is_back() {
    let world = World::new(PushSettings::default(), |_, _| Reply::After(s(2)));
    let outbox = Flaky::new(world.outbox());
    world.start_on(outbox.clone());
    world.task("a", "t", URL, 2).await;
    tokio::time::sleep(s(1)).await;
    outbox.is_away.store(true, Ordering::Release);
    tokio::time::sleep(s(30)).await;
    assert_eq!(
        (world.receiver.sent().len(), world.deliveries().await.len()),
        (1, 2)
    );
    outbox.is_away.store(false, Ordering::Release);
    world.all_delivered().await;
    assert_eq!(world.receiver.sent().len(), 2, "nothing came twice");
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_ran_out_while_the_database_was_away_is_sent_again() {
    let world = World::new(PushSettings::default(), |_, _| Reply::After(s(2)));
    let outbox = Flaky::new(world.outbox());
    world.start_on(outbox.clone());
    world.task("a", "t", URL, 1).await;
    tokio::time::sleep(s(1)).await;
    outbox.is_away.store(true, Ordering::Release);
    tokio::time::sleep(s(300)).await;
    assert_eq!(world.pushes.report().lost, 1);
    outbox.is_away.store(false, Ordering::Release);
    world.all_delivered().await;
    let sent = world.receiver.sent();
    assert_eq!((sent.len(), &sent[0].id), (2, &sent[1].id));
}

#[tokio::test(start_paused = true)]
async fn settlements_gather_up_to_a_limit() {
    let settings = PushSettings {
        settle_batch_max: 5,
        ..PushSettings::default()
    };
    let world = World::new(settings, |_, _| Reply::After(s(1)));
    let outbox = Flaky::new(world.outbox());
    for number in 0..30 {
        world.task("a", &format!("t{number}"), URL, 1).await;
    }
    world.start_on(outbox.clone());
    world.all_delivered().await;
    assert_eq!(outbox.largest.load(Ordering::Acquire), 5);
    assert_eq!(world.receiver.sent().len(), 30);
}
