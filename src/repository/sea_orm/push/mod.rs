//! The outbox of push notifications in the database.
//!
//! Who changes what waits in a stream, or whether the stream is due, locks the row of its configuration first and looks
//! at its deliveries in a later statement: on PostgreSQL a statement sees what was committed before it began, and would
//! miss what somebody wrote while it waited for the lock. So a stream in which something waits always has a `due_ms`,
//! and no other has. Configurations are locked in the order of task and id, behind the rows of tasks where those are
//! wanted too.

mod beside;
mod claim;
mod desk;
mod due;
mod note;
mod plans;
mod settle;
mod sql;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

pub use self::beside::PushDesk;
pub(super) use self::claim::end_all;
pub(super) use self::note::{lock_streams, note};
pub(super) use self::plans::statements;

use self::claim::Round;
use self::desk::Wanted;
use super::SeaOrmRepository;
use super::committer::{Change, Done};
use super::link::Link;
use super::sealing::Sealing;
use crate::context::Principal;
use crate::repository::{
    Backlog, ClaimQuery, Claims, Delivery, DeliveryFilter, DeliveryKey, Due, Error, Except, PushRepository,
    PushStream, Settlement, Turn,
};

/// How often a claim looks again at most when it has found nothing but streams whose configurations can't be opened: what
/// others wait for is behind them, and whoever lost a key has many. Each round puts as many of them to rest as are claimed
/// at once. The next claim goes on behind them; in between the committer has its turn for everybody else.
const ROUNDS_MAX: usize = 16;

/// What the outbox wants of a committer.
pub(super) enum Work {
    Claim(ClaimQuery, Vec<PushStream>, Done<Round>),
    Settle(Vec<Settlement>, Done<Vec<bool>>),
    PostponeHost(Principal, String, Duration, Done<()>),
    Redeliver(Wanted, Done<Turn>),
    Discard(Wanted, Done<Turn>),
    ForgetDead(i64, usize, Done<u64>),
}

impl From<Work> for super::committer::Work {
    fn from(work: Work) -> Self {
        Change::Push(work).into()
    }
}

impl Work {
    pub(super) async fn run(self, link: &Link, sealing: &Sealing) {
        match self {
            Self::Claim(query, found, done) => {
                let claim = async |pool: Arc<_>| claim::claim(&pool, sealing, &query, &found).await;
                // Claims that nobody heard of run out by themselves.
                let _ = done.send(link.run(claim).await);
            }
            Self::Settle(settlements, done) => {
                let settle = async |pool: Arc<_>| settle::settle(&pool, &settlements).await;
                let _ = done.send(link.run(settle).await);
            }
            Self::PostponeHost(owner, host, by, done) => {
                let postpone = async |pool: Arc<_>| desk::postpone_host(&pool, &owner, &host, by).await;
                let _ = done.send(link.run(postpone).await);
            }
            Self::Redeliver(wanted, done) => {
                let redeliver = async |pool: Arc<_>| desk::redeliver(&pool, &wanted).await;
                let _ = done.send(link.run(redeliver).await);
            }
            Self::Discard(wanted, done) => {
                let discard = async |pool: Arc<_>| desk::discard(&pool, &wanted).await;
                let _ = done.send(link.run(discard).await);
            }
            Self::ForgetDead(before_ms, limit, done) => {
                let forget = async |pool: Arc<_>| desk::forget_dead(&pool, before_ms, limit).await;
                let _ = done.send(link.run(forget).await);
            }
        }
    }
}

/// What a read that has its turn comes to, and how long that takes.
async fn timed<T>(read: impl Future<Output = Result<T, Error>>) -> Result<(T, Duration), Error> {
    let began = Instant::now();
    let found = read.await?;
    Ok((found, began.elapsed()))
}

#[async_trait]
impl PushRepository for SeaOrmRepository {
    async fn claim(&self, query: &ClaimQuery) -> Result<Claims, Error> {
        let mut all = Claims {
            claimed: Vec::new(),
            took: Duration::ZERO,
        };
        for _ in 0..ROUNDS_MAX {
            let wanted = query.clone();
            let finding = self
                .readers
                .run(move |pool| async move { timed(due::streams(&pool, &wanted)).await });
            let (found, took) = finding.await?;
            all.took += took;
            if found.is_empty() {
                return Ok(all);
            }
            let (committer, query) = (self.committers.of(""), query.clone());
            let Round { claimed, rested } = committer.run(|done| Work::Claim(query, found, done)).await?;
            // Where others were faster with all of them nothing rests, and the caller looks again.
            if !claimed.is_empty() || rested == 0 {
                return Ok(Claims { claimed, ..all });
            }
        }
        Ok(all)
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<bool>, Error> {
        let mut shares: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, settlement) in settlements.iter().enumerate() {
            let committer = self.committers.number_of(&settlement.stream.task_id);
            shares.entry(committer).or_default().push(place);
        }
        let settled = shares.into_values().map(async |places| {
            let share: Vec<Settlement> = places.iter().map(|place| settlements[*place].clone()).collect();
            let committer = self.committers.of(&share[0].stream.task_id);
            let settled = committer.run(|done| Work::Settle(share, done)).await?;
            Ok::<_, Error>(places.into_iter().zip(settled))
        });
        let settled = futures_util::future::try_join_all(settled).await?;
        let held: BTreeMap<usize, bool> = settled.into_iter().flatten().collect();
        Ok(held.into_values().collect())
    }

    async fn next_due(&self, except: &Except) -> Result<Due, Error> {
        let except = except.clone();
        let finding = self
            .readers
            .run(move |pool| async move { timed(due::next_due(&pool, &except)).await });
        let (wait, took) = finding.await?;
        Ok(Due { wait, took })
    }

    async fn postpone_host(&self, owner: &Principal, host: &str, by: Duration) -> Result<(), Error> {
        let (owner, host) = (owner.clone(), host.to_owned());
        let committer = self.committers.of("");
        committer
            .run(|done| Work::PostponeHost(owner, host, by, done))
            .await
    }

    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryKey>,
        limit: usize,
    ) -> Result<Vec<Delivery>, Error> {
        let wanted = Wanted::new(filter, after, limit);
        self.readers
            .run(move |pool| async move { desk::deliveries(&*pool, &wanted).await })
            .await
    }

    async fn redeliver(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryKey>,
        limit: usize,
    ) -> Result<Turn, Error> {
        let wanted = Wanted::new(filter, after, limit);
        let committer = self.committers.of("");
        committer.run(|done| Work::Redeliver(wanted, done)).await
    }

    async fn discard(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryKey>,
        limit: usize,
    ) -> Result<Turn, Error> {
        let wanted = Wanted::new(filter, after, limit);
        let committer = self.committers.of("");
        committer.run(|done| Work::Discard(wanted, done)).await
    }

    async fn forget_dead(&self, before_ms: i64, limit: usize) -> Result<u64, Error> {
        let committer = self.committers.of("");
        committer
            .run(|done| Work::ForgetDead(before_ms, limit, done))
            .await
    }

    async fn backlog(&self, limit: usize) -> Result<Backlog, Error> {
        self.readers
            .run(move |pool| async move { desk::backlog(&pool, limit).await })
            .await
    }
}
