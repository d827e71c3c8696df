//! The handle that others have: it wakes the dispatcher, stops deliveries of a configuration, and tells what is under way.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

use super::metrics::{Metrics, PushReport};
use crate::repository::{Next, PushStream, Settlement};

/// What a process delivers. Cheap to clone; one without a dispatcher delivers nothing.
#[derive(Clone, Default)]
pub struct Pushes(pub(super) Arc<State>);

/// What handles, the dispatcher and its lanes share.
#[derive(Default)]
pub(super) struct State {
    running: Mutex<Running>,
    pub(super) bell: Notify,
    ended: Notify,
    pub(super) metrics: Metrics,
}

#[derive(Default)]
struct Running {
    streams: HashMap<PushStream, Lanes>,
    /// Streams that were stopped while a claim is being made, which may bring one of them.
    stopped: Option<HashSet<PushStream>>,
}

/// What is under way for one stream: the lane of the newest claim, and those of older ones that have not ended yet.
#[derive(Default)]
struct Lanes {
    /// What stops each of them, by the number of its claim.
    stops: BTreeMap<u64, CancellationToken>,
    /// Whoever has it may send.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// A stream that is being sent; it is over when this is dropped.
pub(super) struct Sending {
    state: Arc<State>,
    stream: PushStream,
    claim: u64,
    turn: Arc<tokio::sync::Mutex<()>>,
    pub(super) stop: CancellationToken,
}

impl Pushes {
    /// Says that something may be due. It never waits.
    pub fn ring(&self) {
        self.0.bell.notify_one();
    }

    /// Stops what is being delivered to a configuration, in the middle of a request if need be; what waits is looked at
    /// again. Call it once the configuration has changed or is gone.
    pub fn stop(&self, task_id: &str, config_id: &str) {
        let stream = PushStream {
            task_id: Arc::from(task_id),
            config_id: Arc::from(config_id),
        };
        let mut running = self.0.running();
        if let Some(lanes) = running.streams.get(&stream) {
            lanes.stop();
        }
        if let Some(stopped) = &mut running.stopped {
            stopped.insert(stream);
        }
        drop(running);
        self.ring();
    }

    /// Waits until nothing is being sent, by older claims neither.
    pub async fn idle(&self) {
        loop {
            let ended = self.0.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.0.running().streams.is_empty() {
                return;
            }
            ended.await;
        }
    }

    /// What was done so far, and what there is to do.
    pub fn report(&self) -> PushReport {
        self.0.metrics.report()
    }

    /// The settlements that give up all claims under way, for the end of a process that does not wait for them.
    pub(super) fn releases(&self) -> Vec<Settlement> {
        let running = self.0.running();
        let newest = running
            .streams
            .iter()
            .filter_map(|(stream, lanes)| Some((stream, lanes.stops.last_key_value()?)));
        newest
            .map(|(stream, (claim, _))| release(stream.clone(), *claim))
            .collect()
    }

    /// From here on it is remembered which streams are stopped.
    pub(super) fn claiming(&self) {
        self.0.running().stopped = Some(HashSet::new());
    }

    /// Begins a stream that was claimed; `None` when it was stopped in between. Whoever sends by an older claim is stopped:
    /// there is a newer one only because the older one holds no more.
    pub(super) fn begin(&self, stream: &PushStream, claim: u64) -> Option<Sending> {
        let mut running = self.0.running();
        let stopped = running.stopped.as_ref();
        if stopped.is_some_and(|stopped| stopped.contains(stream)) {
            return None;
        }
        let lanes = running.streams.entry(stream.clone()).or_default();
        lanes.stop();
        let stop = CancellationToken::new();
        lanes.stops.insert(claim, stop.clone());
        Some(Sending {
            state: self.0.clone(),
            stream: stream.clone(),
            claim,
            turn: lanes.turn.clone(),
            stop,
        })
    }

    /// All that a claim brought has begun.
    pub(super) fn claimed(&self) {
        self.0.running().stopped = None;
    }
}

/// Gives a claim up.
pub(super) fn release(stream: PushStream, claim: u64) -> Settlement {
    Settlement {
        stream,
        claim,
        done: Vec::new(),
        next: Next::Release,
    }
}

impl State {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    fn stop(&self) {
        self.stops.values().for_each(CancellationToken::cancel);
    }
}

impl Sending {
    /// Waits until no older claim of the stream has a request under way; nothing may be sent before. Whoever ends drops
    /// his requests before this.
    pub(super) async fn turn(&self) -> OwnedMutexGuard<()> {
        self.turn.clone().lock_owned().await
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut running = self.state.running();
        if let Some(lanes) = running.streams.get_mut(&self.stream) {
            lanes.stops.remove(&self.claim);
            if lanes.stops.is_empty() {
                running.streams.remove(&self.stream);
            }
        }
        drop(running);
        self.state.ended.notify_waiters();
        self.state.bell.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn stream(id: &str) -> PushStream {
        PushStream {
            task_id: Arc::from("t"),
            config_id: Arc::from(id),
        }
    }

    #[test]
    fn a_stream_that_is_stopped_while_it_is_claimed_does_not_begin() {
        let pushes = Pushes::default();
        pushes.claiming();
        pushes.stop("t", "a");
        assert!(pushes.begin(&stream("a"), 1).is_none());
        let other = pushes.begin(&stream("b"), 1).unwrap();
        pushes.claimed();
        assert!(pushes.begin(&stream("a"), 2).is_some());
        assert!(!other.stop.is_cancelled());
        pushes.stop("t", "b");
        assert!(other.stop.is_cancelled());
    }

    #[test]
    fn a_newer_claim_stops_older_ones_and_sends_when_they_have_ended() {
        let pushes = Pushes::default();
        let first = pushes.begin(&stream("a"), 1).unwrap();
        let turn = first.turn().now_or_never().unwrap();
        let second = pushes.begin(&stream("a"), 2).unwrap();
        let third = pushes.begin(&stream("a"), 3).unwrap();
        assert!(first.stop.is_cancelled() && second.stop.is_cancelled() && !third.stop.is_cancelled());
        // One that ends in between, and never had its turn, changes nothing.
        drop(second);
        assert!(third.turn().now_or_never().is_none());
        drop(turn);
        assert!(third.turn().now_or_never().is_some());

        assert_eq!(pushes.releases(), [release(stream("a"), 3)]);
        drop(third);
        assert!(pushes.idle().now_or_never().is_none(), "the first has not ended");
        pushes.stop("t", "a");
        drop(first);
        assert!(pushes.idle().now_or_never().is_some());
        assert!(pushes.releases().is_empty());
    }
}
