//! The loop: it sleeps until something is due, claims what there is room for, and starts a lane for each stream.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::PushSettings;
use super::breaker::Breakers;
use super::lane::{Engine, Lane};
use super::metrics::{Count, PushReport};
use super::pushes::{Pushes, release};
use super::settler::Settler;
use super::shares::Shares;
use super::transport::Transport;
use crate::audit::Audit;
use crate::clock::Clock;
use crate::repository::{
    ClaimQuery, Claimed, Claims, Error, Except, Next, PushRepository, Settlement, TaskRepository,
    webhook_host,
};
use crate::shutdown::Shutdown;
use crate::signature::SigningKey;

/// The pause before due streams that could not be claimed are looked at again: others have them.
const SECOND_LOOK: Duration = Duration::from_millis(50);

/// The least time between two looks when the first has found nothing: bells ring for every commit, and a busy process
/// should not look for each.
const GATHER: Duration = Duration::from_millis(5);

/// How many times as long as finding what is due took passes before the next look when some streams are left alone: a look,
/// and the claim behind it, have to go past all of these that are due, however many they are. Only what was spent on finding
/// counts: whoever is not left alone need not wait because the database was busy otherwise.
const LOOK_SHARE: u32 = 4;

/// What part of the longest sleep passes at most before the next look when something was due and there was room for it:
/// more may be due, and waits for nothing but this.
const DUE_SHARE: u32 = 4;

/// How far deliveries are counted for reports.
const BACKLOG_MAX: usize = 10_000;

/// What a dispatcher works with.
pub struct Needs {
    /// Where deliveries wait.
    pub outbox: Arc<dyn PushRepository>,
    /// Where their events are.
    pub tasks: Arc<dyn TaskRepository>,
    /// What brings them to receivers.
    pub transport: Arc<dyn Transport>,
    /// The key that signs them (RFC 9421), if there is one.
    pub signer: Option<Arc<SigningKey>>,
    /// The time.
    pub clock: Clock,
    /// Where the end of a configuration is recorded.
    pub audit: Audit,
    /// Ends the dispatcher.
    pub shutdown: Shutdown,
}

/// Delivers what is due.
pub struct Dispatcher {
    engine: Arc<Engine>,
    shares: Arc<Shares>,
    shutdown: Shutdown,
}

/// What one look at the outbox has shown.
struct Look {
    /// How long there is nothing to do; `None` when there may be more at once.
    rest: Option<Duration>,
    /// How long finding what is due took, of the look and of the claim behind it.
    took: Duration,
    /// Whether something was due.
    is_due: bool,
}

impl Dispatcher {
    /// A dispatcher whose handle is `pushes`, and the tasks behind it; they end with `needs.shutdown`.
    pub fn start(needs: Needs, settings: PushSettings, pushes: Pushes) {
        let (settler, settling) = Settler::new(needs.outbox.clone(), &settings);
        let shutdown = needs.shutdown;
        // It ends with the last lane: what was sent is to be written down whenever that is.
        shutdown.spawn("push settler", settling);
        let dispatcher = Self {
            shares: Shares::new(&settings),
            engine: Arc::new(Engine {
                outbox: needs.outbox,
                tasks: needs.tasks,
                transport: needs.transport,
                signer: needs.signer,
                clock: needs.clock,
                audit: needs.audit,
                breakers: Breakers::new(&settings),
                settings,
                settler,
                pushes,
                draining: shutdown.drain_token(),
            }),
            shutdown: shutdown.clone(),
        };
        shutdown.spawn("push", dispatcher.run());
    }

    async fn run(self) {
        let reports = self.reports();
        tokio::select! {
            () = self.dispatch() => {}
            () = reports => {}
        }
    }

    /// Until the process drains. A claim is never cut off in the middle: whatever it took would be nobody's for long.
    async fn dispatch(&self) {
        let mut failures = 0;
        while !self.shutdown.is_draining() {
            let except = self.except();
            let look = match self.look(&except).await {
                Ok(look) => {
                    failures = 0;
                    look
                }
                Err(error) => {
                    if failures == 0 {
                        tracing::warn!(%error, "push notifications wait for the database");
                    }
                    failures += 1;
                    Look::after(Duration::MAX, Duration::ZERO)
                }
            };
            let least = Instant::now() + self.least(&look, &except);
            if let Some(rest) = look.rest {
                tokio::select! {
                    biased;
                    () = self.shutdown.draining() => {}
                    // While the database is away a bell changes nothing.
                    () = self.engine.pushes.0.bell.notified(), if failures == 0 => {}
                    () = tokio::time::sleep(rest.min(self.engine.settings.poll)) => {}
                }
            }
            if least > Instant::now() {
                tokio::select! {
                    biased;
                    () = self.shutdown.draining() => {}
                    () = tokio::time::sleep_until(least) => {}
                }
            }
        }
    }

    /// The least time from the end of a look to the next one.
    fn least(&self, look: &Look, except: &Except) -> Duration {
        let gather = look.rest.map_or(Duration::ZERO, |_| GATHER);
        let share = if except.is_empty() { 0 } else { LOOK_SHARE };
        let share = look.took.saturating_mul(share);
        let poll = self.engine.settings.poll;
        let most = if look.is_due { poll / DUE_SHARE } else { poll };
        gather.max(share).min(most)
    }

    /// Whose streams are left alone now.
    fn except(&self) -> Except {
        let (owners, hosts) = self.shares.full();
        Except {
            owners,
            hosts,
            pairs: self.engine.breakers.shut(),
        }
    }

    async fn look(&self, except: &Except) -> Result<Look, Error> {
        let free = self.shares.free();
        if free == 0 {
            return Ok(Look::after(Duration::MAX, Duration::ZERO));
        }
        let due = self.engine.outbox.next_due(except).await?;
        match due.wait {
            None => return Ok(Look::after(Duration::MAX, due.took)),
            Some(wait) if !wait.is_zero() => return Ok(Look::after(wait, due.took)),
            Some(_) => {}
        }
        let (started, took) = self.claim(free.min(self.shares.step()), except).await?;
        Ok(Look {
            rest: (started == 0).then_some(SECOND_LOOK),
            took: due.took + took,
            is_due: true,
        })
    }

    /// Claims what there is room for and starts it; how many streams were started, and how long finding them took.
    async fn claim(&self, limit: usize, except: &Except) -> Result<(usize, Duration), Error> {
        let settings = &self.engine.settings;
        let query = ClaimQuery {
            limit,
            deliveries_max: settings.deliveries_per_claim_max,
            ttl: settings.claim,
            except: except.clone(),
        };
        self.engine.pushes.claiming();
        let claims = self.engine.outbox.claim(&query).await;
        let begun = claims.map(|Claims { claimed, took }| {
            let begun = claimed.into_iter().map(|claimed| self.begin(claimed));
            (begun.collect::<Vec<_>>(), took)
        });
        self.engine.pushes.claimed();
        let (begun, took) = begun?;
        let count = begun.len();
        let left = begun.into_iter().filter_map(Result::err);
        let settled = join_all(left.map(|left| self.engine.settler.settle(left))).await;
        Ok((count - settled.len(), took))
    }

    /// Starts a lane.
    ///
    /// # Errors
    /// The settlement that gives the claim up: the stream was stopped, there is no place for it, or the process drains.
    fn begin(&self, claimed: Claimed) -> Result<(), Settlement> {
        let host = webhook_host(&claimed.config.url);
        let given_up = release(claimed.stream.clone(), claimed.claim);
        if self.shutdown.is_draining() {
            return Err(given_up);
        }
        let pushes = &self.engine.pushes;
        let place = self.shares.enter(&claimed.scope.owner, &host);
        let Some(place) = place else {
            // Not at once: others wait behind it. Streams of hosts that the outbox does not know come here.
            pushes.0.metrics.count(Count::Postponed);
            return Err(Settlement {
                next: Next::Postpone(self.engine.settings.backoff_min),
                ..given_up
            });
        };
        let sending = pushes.begin(&claimed.stream, claimed.claim);
        let Some(sending) = sending else {
            return Err(given_up);
        };
        let span = tracing::info_span!(
            "push",
            task.id = &*claimed.stream.task_id,
            config.id = &*claimed.stream.config_id,
            host = &*host,
        );
        let lane = Lane {
            engine: self.engine.clone(),
            claimed,
            host,
            sending,
            _place: place,
        };
        self.shutdown.spawn("push lane", lane.run().instrument(span));
        Ok(())
    }

    /// Says now and then what was done.
    async fn reports(&self) {
        let mut before = PushReport::default();
        loop {
            tokio::time::sleep(self.engine.settings.report_interval).await;
            let metrics = &self.engine.pushes.0.metrics;
            metrics.under_way(self.shares.held(), self.engine.breakers.open());
            match self.engine.outbox.backlog(BACKLOG_MAX).await {
                Ok(backlog) => metrics.backlog(backlog),
                Err(error) => tracing::debug!(%error, "what waits could not be counted"),
            }
            let now = metrics.report();
            if now != before {
                log(&now);
            }
            before = now;
        }
    }
}

impl Look {
    /// One that found nothing to do for so long.
    fn after(rest: Duration, took: Duration) -> Self {
        Self {
            rest: Some(rest),
            took,
            is_due: false,
        }
    }
}

fn log(report: &PushReport) {
    tracing::info!(
        push.delivered = report.delivered,
        push.unwanted = report.unwanted,
        push.retried = report.retried,
        push.refused = report.refused,
        push.dead = report.dead,
        push.ended = report.ended,
        push.postponed = report.postponed,
        push.lost = report.lost,
        push.latencies = ?report.latencies,
        push.under_way = report.under_way,
        push.hosts_left_alone = report.hosts_left_alone,
        push.waiting = report.waiting,
        push.dead_letters = report.dead_letters,
        push.overdue_ms = report.overdue_ms,
        "push notifications since the start"
    );
}

impl Pushes {
    /// Gives up the claims of what is still under way, so that others need not wait until they run out.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn hand_back(&self, outbox: &Arc<dyn PushRepository>) -> Result<(), Error> {
        let releases = self.releases();
        if !releases.is_empty() {
            outbox.settle(&releases).await?;
        }
        Ok(())
    }
}
