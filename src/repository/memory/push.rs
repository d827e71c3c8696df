//! The outbox in memory, as a repository.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::MemoryRepository;
use super::outbox::{Letter, Outbox, Stream};
use crate::context::Principal;
use crate::repository::types::millis;
use crate::repository::{
    Backlog, ClaimQuery, Claims, Delivery, DeliveryFilter, DeliveryKey, DeliveryState, Due, Error, Except,
    PushRepository, PushStream, Settlement, Turn,
};

impl MemoryRepository {
    pub(super) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeliveryFilter {
    fn takes_stream(&self, place: &PushStream, stream: &Stream) -> bool {
        let is = |wanted: &Option<_>, found| wanted.as_ref().is_none_or(|wanted| wanted == found);
        is(&self.agent, &stream.scope.agent)
            && is(&self.task_id, &place.task_id)
            && is(&self.config_id, &place.config_id)
            && is(&self.host, &stream.host)
            && self
                .owner
                .as_ref()
                .is_none_or(|owner| *owner == stream.scope.owner)
            && self
                .owners
                .as_ref()
                .is_none_or(|owners| stream.scope.owner.as_str().starts_with(&**owners))
    }
}

impl Outbox {
    fn find<'a>(
        &'a self,
        filter: &'a DeliveryFilter,
        after: Option<&'a DeliveryKey>,
    ) -> impl Iterator<Item = Delivery> + 'a {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Included(&after.stream));
        let streams = self.streams.range((from, Bound::Unbounded));
        let streams = streams.filter(|(place, stream)| filter.takes_stream(place, stream));
        let deliveries = streams.flat_map(|(place, stream)| {
            let letters = stream.letters.iter();
            letters.map(move |(generation, letter)| delivery(place, stream, *generation, letter))
        });
        let is_taken = |delivery: &Delivery| {
            filter
                .generation
                .is_none_or(|wanted| wanted == delivery.key.generation)
                && filter.state.is_none_or(|wanted| wanted == delivery.state)
        };
        deliveries
            .filter(move |delivery| is_taken(delivery) && after.is_none_or(|after| delivery.key > *after))
    }
}

/// What became of those that were found, whose streams were all revoked but those that only lost dead letters.
fn turn(found: &[Delivery], limit: usize, is_revoked: impl Fn(&Delivery) -> bool) -> Turn {
    let last = found.last().filter(|_| found.len() >= limit);
    Turn {
        count: found.len() as u64,
        next: last.map(|delivery| delivery.key.clone()),
        revoked: found
            .iter()
            .filter(|delivery| is_revoked(delivery))
            .map(|delivery| delivery.key.stream.clone())
            .collect(),
    }
}

fn delivery(place: &PushStream, stream: &Stream, generation: u64, letter: &Letter) -> Delivery {
    Delivery {
        key: DeliveryKey {
            stream: place.clone(),
            generation,
        },
        scope: stream.scope.clone(),
        host: stream.host.clone(),
        state: match letter.dead_ms {
            Some(_) => DeliveryState::Dead,
            None => DeliveryState::Waiting,
        },
        since_ms: letter.since_ms,
        attempts: letter.attempts,
        due_ms: stream.due_ms.filter(|_| letter.dead_ms.is_none()),
        failure: letter.failure.clone(),
        dead_ms: letter.dead_ms,
    }
}

#[async_trait]
impl PushRepository for MemoryRepository {
    async fn claim(&self, query: &ClaimQuery) -> Result<Claims, Error> {
        self.open()?;
        let mut outbox = self.outbox();
        let began = Instant::now();
        let claimed = outbox.claim(query, self.clock.now_ms());
        let took = began.elapsed();
        Ok(Claims { claimed, took })
    }

    async fn settle(&self, settlements: &[Settlement]) -> Result<Vec<bool>, Error> {
        self.open()?;
        let now_ms = self.clock.now_ms();
        let mut outbox = self.outbox();
        let mut seen = BTreeSet::new();
        let settled = settlements.iter().map(|settlement| {
            // By claim, and not by stream alone: a stale one must not stand for the one that holds.
            seen.insert((&settlement.stream, settlement.claim)) && outbox.settle(settlement, now_ms)
        });
        Ok(settled.collect())
    }

    async fn next_due(&self, except: &Except) -> Result<Due, Error> {
        let now_ms = self.clock.now_ms();
        let outbox = self.outbox();
        let began = Instant::now();
        let except = except.sets();
        let mut next: Option<i64> = None;
        for (due_ms, place) in &outbox.due {
            if next.is_some_and(|next| next <= *due_ms) {
                break;
            }
            let stream = outbox.streams.get(place);
            let Some(stream) = stream.filter(|stream| !except.has(&stream.scope.owner, &stream.host)) else {
                continue;
            };
            let free_ms = stream.claimed_until_ms.max(*due_ms);
            next = Some(next.map_or(free_ms, |next| next.min(free_ms)));
        }
        let wait_ms = next.map(|next| next.saturating_sub(now_ms).max(0).unsigned_abs());
        Ok(Due {
            wait: wait_ms.map(Duration::from_millis),
            took: began.elapsed(),
        })
    }

    async fn postpone_host(&self, owner: &Principal, host: &str, by: Duration) -> Result<(), Error> {
        self.open()?;
        let until_ms = self.clock.now_ms().saturating_add(millis(by));
        let mut outbox = self.outbox();
        let early = outbox.due.iter().take_while(|(due_ms, _)| *due_ms < until_ms);
        let of_host = early.filter(|(_, place)| {
            let stream = outbox.streams.get(place);
            stream.is_some_and(|stream| *stream.host == *host && stream.scope.owner == *owner)
        });
        let places: Vec<PushStream> = of_host.map(|(_, place)| place.clone()).collect();
        for place in &places {
            outbox.rest(place, Some(until_ms));
        }
        Ok(())
    }

    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryKey>,
        limit: usize,
    ) -> Result<Vec<Delivery>, Error> {
        Ok(self.outbox().find(filter, after).take(limit).collect())
    }

    async fn redeliver(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryKey>,
        limit: usize,
    ) -> Result<Turn, Error> {
        self.open()?;
        let now_ms = self.clock.now_ms();
        let mut outbox = self.outbox();
        let found: Vec<Delivery> = outbox.find(filter, after).take(limit).collect();
        for Delivery { key, .. } in &found {
            outbox.begin_anew(key, now_ms);
            outbox.revoke(&key.stream);
            outbox.rest(&key.stream, Some(now_ms));
        }
        Ok(turn(&found, limit, |_| true))
    }

    async fn discard(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryKey>,
        limit: usize,
    ) -> Result<Turn, Error> {
        self.open()?;
        let mut outbox = self.outbox();
        let found: Vec<Delivery> = outbox.find(filter, after).take(limit).collect();
        let waited = |delivery: &Delivery| delivery.state == DeliveryState::Waiting;
        for delivery in &found {
            let key = &delivery.key;
            outbox.remove_delivery(key);
            if waited(delivery) {
                outbox.revoke(&key.stream);
                outbox.rest(&key.stream, None);
            }
        }
        Ok(turn(&found, limit, waited))
    }

    async fn forget_dead(&self, before_ms: i64, limit: usize) -> Result<u64, Error> {
        self.open()?;
        let mut outbox = self.outbox();
        let old = outbox.dead.iter().take_while(|(dead_ms, _)| *dead_ms < before_ms);
        let old: Vec<DeliveryKey> = old.take(limit).map(|(_, key)| key.clone()).collect();
        for key in &old {
            outbox.remove_delivery(key);
        }
        Ok(old.len() as u64)
    }

    async fn backlog(&self, limit: usize) -> Result<Backlog, Error> {
        let now_ms = self.clock.now_ms();
        let outbox = self.outbox();
        let streams = outbox
            .due
            .iter()
            .filter_map(|(due_ms, place)| Some((due_ms, outbox.streams.get(place)?)));
        let letters = streams.clone().flat_map(|(_, stream)| stream.letters.values());
        let waiting = letters
            .filter(|letter| letter.dead_ms.is_none())
            .take(limit)
            .count();
        let mut unclaimed = streams.filter(|(_, stream)| stream.claimed_until_ms <= now_ms);
        let overdue_ms = unclaimed
            .next()
            .map_or(0, |(due_ms, _)| now_ms.saturating_sub(*due_ms));
        Ok(Backlog {
            waiting: waiting as u64,
            dead: outbox.dead.len().min(limit) as u64,
            overdue_ms: overdue_ms.max(0).unsigned_abs(),
        })
    }
}
