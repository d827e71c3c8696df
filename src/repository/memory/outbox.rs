//! The outbox in memory: streams by task and configuration, by when they are due, and dead letters by their age.
//!
//! A stream in which something waits always has a `due_ms`, and no other has.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use crate::context::Scope;
use crate::pb::TaskPushNotificationConfig;
use crate::repository::types::millis;
use crate::repository::{
    ClaimQuery, Claimed, DeliveryKey, Failure, Next, PushStream, Settlement, Waiting, webhook_host,
};

/// All push configurations, and what waits for them.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) streams: BTreeMap<PushStream, Stream>,
    pub(super) due: BTreeSet<(i64, PushStream)>,
    pub(super) dead: BTreeSet<(i64, DeliveryKey)>,
    /// The newest number of a claim.
    claims: u64,
}

/// A configuration and its deliveries by the numbers of their events.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) scope: Scope,
    pub(super) config: TaskPushNotificationConfig,
    pub(super) host: Arc<str>,
    pub(super) due_ms: Option<i64>,
    claim: u64,
    pub(super) claimed_until_ms: i64,
    pub(super) letters: BTreeMap<u64, Letter>,
}

/// A delivery.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) since_ms: i64,
    pub(super) attempts: u32,
    pub(super) failure: Option<Failure>,
    /// When it was given up; `None` while it waits.
    pub(super) dead_ms: Option<i64>,
}

impl Stream {
    fn new(scope: &Scope) -> Self {
        Self {
            scope: scope.clone(),
            config: TaskPushNotificationConfig::default(),
            host: Arc::from(""),
            due_ms: None,
            claim: 0,
            claimed_until_ms: 0,
            letters: BTreeMap::new(),
        }
    }

    fn waiting(&self) -> impl Iterator<Item = (&u64, &Letter)> {
        self.letters.iter().filter(|(_, letter)| letter.dead_ms.is_none())
    }

    /// An attempt at the first delivery that waits has failed; its number.
    fn fail(&mut self, failure: &Failure, dead_ms: Option<i64>) -> Option<u64> {
        let mut waiting = self
            .letters
            .iter_mut()
            .filter(|(_, letter)| letter.dead_ms.is_none());
        let (generation, letter) = waiting.next()?;
        letter.attempts = letter.attempts.saturating_add(1);
        letter.failure = Some(Failure {
            status: failure.status,
            cause: failure.kept_cause().to_owned(),
        });
        letter.dead_ms = dead_ms;
        Some(*generation)
    }
}

/// The places of a task's streams.
fn of_task(task_id: &str) -> Range<PushStream> {
    let first_behind = |task_id: String| PushStream {
        task_id: task_id.into(),
        config_id: Arc::from(""),
    };
    // No text stands between another one and the same with the smallest character behind it.
    first_behind(task_id.to_owned())..first_behind(format!("{task_id}\0"))
}

fn key(place: &PushStream, generation: u64) -> DeliveryKey {
    DeliveryKey {
        stream: place.clone(),
        generation,
    }
}

impl Outbox {
    /// The configurations of a task, by id.
    pub(super) fn configs(&self, task_id: &str) -> impl Iterator<Item = &TaskPushNotificationConfig> {
        let streams = self.streams.range(of_task(task_id));
        streams.map(|(_, stream)| &stream.config)
    }

    /// Stores or replaces a configuration. What waits for one that is replaced is due at once.
    pub(super) fn put(&mut self, scope: &Scope, config: TaskPushNotificationConfig, now_ms: i64) {
        let place = PushStream {
            task_id: Arc::from(config.task_id.as_str()),
            config_id: Arc::from(config.id.as_str()),
        };
        let stream = self
            .streams
            .entry(place.clone())
            .or_insert_with(|| Stream::new(scope));
        stream.host = webhook_host(&config.url);
        stream.config = config;
        self.revoke(&place);
        self.rest(&place, Some(now_ms));
    }

    /// Adds deliveries of a task's events to each of its streams.
    pub(super) fn add(&mut self, task_id: &str, events: RangeInclusive<u64>, at_ms: i64, now_ms: i64) {
        for (place, stream) in self.streams.range_mut(of_task(task_id)) {
            let letters = events.clone().map(|generation| {
                let letter = Letter {
                    since_ms: at_ms,
                    attempts: 0,
                    failure: None,
                    dead_ms: None,
                };
                (generation, letter)
            });
            stream.letters.extend(letters);
            if stream.due_ms.is_none() && !events.is_empty() {
                stream.due_ms = Some(now_ms);
                self.due.insert((now_ms, place.clone()));
            }
        }
    }

    /// Removes a configuration and what waits for it.
    pub(super) fn remove(&mut self, place: &PushStream) {
        let Some(stream) = self.streams.remove(place) else {
            return;
        };
        if let Some(due_ms) = stream.due_ms {
            self.due.remove(&(due_ms, place.clone()));
        }
        for (generation, letter) in &stream.letters {
            if let Some(dead_ms) = letter.dead_ms {
                self.dead.remove(&(dead_ms, key(place, *generation)));
            }
        }
    }

    /// Removes a task's configurations unless something waits for one of them; whether nothing did.
    pub(super) fn remove_task(&mut self, task_id: &str) -> bool {
        if self.waits(task_id, u64::MAX) {
            return false;
        }
        let streams = self.streams.range(of_task(task_id));
        let places: Vec<PushStream> = streams.map(|(place, _)| place.clone()).collect();
        for place in &places {
            self.remove(place);
        }
        true
    }

    /// Whether an event of a task up to this one waits to be sent.
    pub(super) fn waits(&self, task_id: &str, through: u64) -> bool {
        let mut streams = self.streams.range(of_task(task_id));
        streams.any(|(_, stream)| {
            stream
                .waiting()
                .next()
                .is_some_and(|(first, _)| *first <= through)
        })
    }

    /// The first event of a task that a delivery names, dead or not.
    pub(super) fn first_named(&self, task_id: &str) -> Option<u64> {
        let streams = self.streams.range(of_task(task_id));
        let first = streams.filter_map(|(_, stream)| stream.letters.keys().next().copied());
        first.min()
    }

    /// Removes the deliveries of a task's events before this one.
    pub(super) fn remove_before(&mut self, task_id: &str, generation: u64) {
        let streams = self.streams.range(of_task(task_id));
        let old = streams.flat_map(|(place, stream)| {
            let old = stream.letters.range(..generation);
            old.map(|(generation, _)| key(place, *generation))
        });
        let old: Vec<DeliveryKey> = old.collect();
        for old in &old {
            self.remove_delivery(old);
        }
    }

    /// Removes a delivery. Whether its stream is due is left to [`Outbox::rest`].
    pub(super) fn remove_delivery(&mut self, key: &DeliveryKey) -> Option<Letter> {
        let letter = self
            .streams
            .get_mut(&key.stream)?
            .letters
            .remove(&key.generation)?;
        if let Some(dead_ms) = letter.dead_ms {
            self.dead.remove(&(dead_ms, key.clone()));
        }
        Some(letter)
    }

    /// A delivery waits from now on, as if nobody had tried.
    pub(super) fn begin_anew(&mut self, key: &DeliveryKey, now_ms: i64) {
        let stream = self.streams.get_mut(&key.stream);
        let Some(letter) = stream.and_then(|stream| stream.letters.get_mut(&key.generation)) else {
            return;
        };
        (letter.since_ms, letter.attempts) = (now_ms, 0);
        if let Some(dead_ms) = letter.dead_ms.take() {
            self.dead.remove(&(dead_ms, key.clone()));
        }
    }

    /// Whoever has claimed a stream settles nothing any more.
    pub(super) fn revoke(&mut self, place: &PushStream) {
        if let Some(stream) = self.streams.get_mut(place) {
            self.claims += 1;
            stream.claim = self.claims;
            stream.claimed_until_ms = 0;
        }
    }

    /// A stream is due at a time if something waits in it, and never otherwise; with `None` as before.
    pub(super) fn rest(&mut self, place: &PushStream, due_ms: Option<i64>) {
        let Some(stream) = self.streams.get_mut(place) else {
            return;
        };
        let due_ms = due_ms
            .or(stream.due_ms)
            .filter(|_| stream.waiting().next().is_some());
        if let Some(before) = stream.due_ms {
            self.due.remove(&(before, place.clone()));
        }
        stream.due_ms = due_ms;
        if let Some(due_ms) = due_ms {
            self.due.insert((due_ms, place.clone()));
        }
    }

    /// Claims streams that are due.
    pub(super) fn claim(&mut self, query: &ClaimQuery, now_ms: i64) -> Vec<Claimed> {
        let except = query.except.sets();
        let mut claimed = Vec::new();
        for (due_ms, place) in &self.due {
            if *due_ms > now_ms || claimed.len() == query.limit {
                break;
            }
            let Some(stream) = self.streams.get_mut(place) else {
                continue;
            };
            let is_free = stream.claimed_until_ms <= now_ms && !except.has(&stream.scope.owner, &stream.host);
            if !is_free {
                continue;
            }
            self.claims += 1;
            stream.claim = self.claims;
            stream.claimed_until_ms = now_ms.saturating_add(millis(query.ttl));
            let deliveries = stream.waiting().map(|(generation, letter)| Waiting {
                generation: *generation,
                since_ms: letter.since_ms,
                attempts: letter.attempts,
            });
            claimed.push(Claimed {
                stream: place.clone(),
                scope: stream.scope.clone(),
                claim: stream.claim,
                config: stream.config.clone(),
                deliveries: deliveries.take(query.deliveries_max.max(1)).collect(),
            });
        }
        claimed
    }

    /// Settles a claim; whether it held.
    pub(super) fn settle(&mut self, settlement: &Settlement, now_ms: i64) -> bool {
        let place = &settlement.stream;
        let stream = self.streams.get_mut(place);
        let holds =
            |stream: &&mut Stream| stream.claim == settlement.claim && stream.claimed_until_ms > now_ms;
        let Some(stream) = stream.filter(holds) else {
            return false;
        };
        for generation in &settlement.done {
            if stream
                .letters
                .get(generation)
                .is_some_and(|letter| letter.dead_ms.is_none())
            {
                stream.letters.remove(generation);
            }
        }
        let after = |pause| now_ms.saturating_add(millis(pause));
        stream.claimed_until_ms = 0;
        let due_ms = match &settlement.next {
            Next::Keep(ttl) => {
                stream.claimed_until_ms = after(*ttl);
                now_ms
            }
            Next::Release => now_ms,
            Next::Retry(pause, failure) => {
                stream.fail(failure, None);
                after(*pause)
            }
            Next::Postpone(pause) => after(*pause),
            Next::GiveUp(failure) => {
                let dead = stream.fail(failure, Some(now_ms));
                self.dead
                    .extend(dead.map(|generation| (now_ms, key(place, generation))));
                now_ms
            }
            Next::End => {
                self.remove(place);
                return true;
            }
        };
        self.rest(place, Some(due_ms));
        true
    }
}
