//! One claimed stream: its deliveries, one after the other, until one has to wait.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::breaker::{Breakers, Pass};
use super::events::Wanted;
use super::metrics::Count;
use super::outcome::{Failed, Verdict, judge};
use super::pushes::{Pushes, Sending, release};
use super::request::Parts;
use super::settler::Settler;
use super::shares::Place;
use super::transport::Transport;
use super::{PushSettings, backoff};
use crate::audit::Audit;
use crate::clock::Clock;
use crate::egress::Error;
use crate::fault;
use crate::pb::stream_response::Payload;
use crate::repository::{
    self, Claimed, DeliveryKey, Failure, Next, PushRepository, Settlement, TaskRepository, Waiting,
};
use crate::signature::SigningKey;

/// What all lanes share.
pub(super) struct Engine {
    pub(super) outbox: Arc<dyn PushRepository>,
    pub(super) tasks: Arc<dyn TaskRepository>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) signer: Option<Arc<SigningKey>>,
    pub(super) clock: Clock,
    pub(super) audit: Audit,
    pub(super) settings: PushSettings,
    pub(super) breakers: Arc<Breakers>,
    pub(super) settler: Settler,
    pub(super) pushes: Pushes,
    /// Cancelled when what is under way is to be finished, and nothing else.
    pub(super) draining: CancellationToken,
}

/// A claimed stream that is being sent.
pub(super) struct Lane {
    pub(super) engine: Arc<Engine>,
    pub(super) claimed: Claimed,
    /// `host:port` of the webhook.
    pub(super) host: Arc<str>,
    pub(super) sending: Sending,
    pub(super) _place: Place,
}

/// What became of one delivery.
enum Step {
    /// It is over.
    Done,
    /// The stream stops here.
    Stop(Next),
    /// The same, and the host is to be left alone.
    StopAtHost(Next),
}

impl Lane {
    /// Sends what was claimed. When the stream is stopped the request under way is dropped, and the claim given up: it is
    /// somebody else's already, or of a configuration that is gone.
    pub(super) async fn run(self) {
        let stop = self.sending.stop.clone();
        tokio::select! {
            // In this order always: what is stopped sends nothing more.
            biased;
            () = stop.cancelled() => {}
            () = self.deliver() => return,
        }
        let stream = self.claimed.stream.clone();
        self.engine
            .settler
            .settle(release(stream, self.claimed.claim))
            .await;
    }

    async fn deliver(&self) {
        let _turn = self.sending.turn().await;
        let deliveries = &self.claimed.deliveries;
        for (index, waiting) in deliveries.iter().enumerate() {
            let step = self.step(waiting).await;
            let is_last = index + 1 == deliveries.len() || self.engine.draining.is_cancelled();
            let (done, next, is_host_away) = match step {
                Step::Done if is_last => (true, Next::Release, false),
                Step::Done => (true, Next::Keep(self.engine.settings.claim), false),
                Step::Stop(next) => (false, next, false),
                Step::StopAtHost(next) => (false, next, true),
            };
            let (goes_on, ends) = (matches!(next, Next::Keep(_)), next == Next::End);
            let settled = self.settle(done.then_some(waiting.generation), next).await;
            if ends && settled {
                self.ended();
            }
            if is_host_away {
                self.leave_host_alone().await;
            }
            if !settled || !goes_on {
                return;
            }
        }
    }

    async fn settle(&self, done: Option<u64>, next: Next) -> bool {
        let held = self.engine.settler.settle(Settlement {
            stream: self.claimed.stream.clone(),
            claim: self.claimed.claim,
            done: done.into_iter().collect(),
            next,
        });
        let held = held.await;
        if !held {
            self.count(Count::Lost);
        }
        held
    }

    /// Other nodes leave the host alone too, for the same owner.
    async fn leave_host_alone(&self) {
        let pause = self.engine.settings.breaker_pause;
        tracing::warn!(
            host = &*self.host,
            ?pause,
            "a webhook host is away and is left alone for the owner of the task"
        );
        let owner = &self.claimed.scope.owner;
        let postponed = self.engine.outbox.postpone_host(owner, &self.host, pause);
        if let Err(error) = postponed.await {
            tracing::debug!(%error, "what waits for the host could not be put off");
        }
    }

    /// One delivery, from the log to its receiver.
    async fn step(&self, waiting: &Waiting) -> Step {
        let event = match self.event(waiting.generation).await {
            Ok(Some(event)) => event,
            Ok(None) => return self.missing(waiting).await,
            Err(repository::Error::Unavailable(why)) => {
                tracing::debug!(why, "the event of a push notification can't be read now");
                return self.postpone(self.engine.settings.backoff_min);
            }
            Err(error) => return self.give_up(waiting, failure(error.to_string())),
        };
        if !self.wanted().includes(&event) {
            self.count(Count::Unwanted);
            return Step::Done;
        }
        let target = match self.engine.transport.target(&self.claimed.config.url) {
            Ok(target) => target,
            Err(refusal) => return self.judge(waiting, None, Err(Error::Refused(refusal))),
        };
        let request = match self.request(waiting, &target, event) {
            Ok(request) => request,
            Err(cause) => return self.give_up(waiting, failure(cause)),
        };
        match self.engine.breakers.enter(&self.claimed.scope.owner, &self.host) {
            Ok(pass) => self.send(waiting, pass, request).await,
            Err(left) => self.postpone(backoff::shortly_after(left, random())),
        }
    }

    async fn send(&self, waiting: &Waiting, pass: Pass, request: Request<Bytes>) -> Step {
        let began = Instant::now();
        let answer = self.engine.transport.post(request);
        let answer = tokio::time::timeout(self.engine.settings.request_timeout, answer).await;
        self.engine.pushes.0.metrics.took(began.elapsed());
        let step = self.judge(waiting, Some(pass), answer.unwrap_or(Err(Error::Timeout)));
        fault::point("push_sent_before_mark");
        step
    }

    fn judge(&self, waiting: &Waiting, pass: Option<Pass>, answer: Result<super::Answer, Error>) -> Step {
        let failed = match judge(answer, self.engine.clock.now_ms()) {
            Verdict::Delivered => {
                pass.into_iter().for_each(Pass::answered);
                self.count(Count::Delivered);
                tracing::debug!(generation = waiting.generation, "delivered");
                return Step::Done;
            }
            Verdict::Gone => {
                pass.into_iter().for_each(Pass::answered);
                return Step::Stop(Next::End);
            }
            Verdict::Failed(failed) => failed,
        };
        let opens = match pass {
            Some(pass) if failed.is_away => pass.failed(),
            Some(pass) if failed.is_answered => {
                pass.answered();
                false
            }
            _ => false,
        };
        let next = self.after(waiting, failed);
        if opens {
            Step::StopAtHost(next)
        } else {
            Step::Stop(next)
        }
    }

    /// The receiver wants no more, and gets no more.
    fn ended(&self) {
        self.count(Count::Ended);
        let Claimed { stream, scope, .. } = &self.claimed;
        tracing::info!("the receiver answered 410; its configuration is removed");
        self.engine
            .audit
            .push_ended(scope, &stream.task_id, &stream.config_id);
    }

    /// What follows a failure: another attempt, or none. What failed for want of our own places was no attempt, and comes
    /// soon again while others are tried again too.
    fn after(&self, waiting: &Waiting, failed: Failed) -> Next {
        if failed.is_refused {
            self.count(Count::Refused);
        }
        let left = self.left(waiting);
        if failed.is_local && !left.is_zero() {
            self.count(Count::Postponed);
            let cause = &failed.failure.cause;
            tracing::info!(
                generation = waiting.generation,
                cause,
                "not sent; it is tried soon"
            );
            let shortly = backoff::shortly_after(self.engine.settings.backoff_min, random());
            return Next::Postpone(shortly.min(left));
        }
        let attempts = waiting.attempts.saturating_add(1);
        let settings = &self.engine.settings;
        let Some(pause) = backoff::pause(settings, attempts, self.age(waiting), failed.asked, random())
        else {
            return self.dead(waiting, failed.failure);
        };
        self.count(Count::Retried);
        let cause = &failed.failure.cause;
        tracing::info!(
            generation = waiting.generation,
            attempts,
            ?pause,
            cause,
            "not delivered; it is tried again"
        );
        Next::Retry(pause, failed.failure)
    }

    /// How long ago its event was.
    fn age(&self, waiting: &Waiting) -> Duration {
        let age = self.engine.clock.now_ms().saturating_sub(waiting.since_ms);
        Duration::from_millis(u64::try_from(age).unwrap_or(0))
    }

    /// How much of the time is left in which it is tried.
    fn left(&self, waiting: &Waiting) -> Duration {
        let span = self.engine.settings.retry_span;
        span.saturating_sub(self.age(waiting))
    }

    fn give_up(&self, waiting: &Waiting, failure: Failure) -> Step {
        Step::Stop(self.dead(waiting, failure))
    }

    fn dead(&self, waiting: &Waiting, failure: Failure) -> Next {
        self.count(Count::Dead);
        let cause = &failure.cause;
        tracing::warn!(
            generation = waiting.generation,
            cause,
            "not delivered; it is a dead letter now"
        );
        Next::GiveUp(failure)
    }

    fn postpone(&self, by: Duration) -> Step {
        self.count(Count::Postponed);
        Step::Stop(Next::Postpone(by))
    }

    fn count(&self, what: Count) {
        self.engine.pushes.0.metrics.count(what);
    }

    /// The log has no such event. With its task it is gone for good; without it that is a fault, which an operator may
    /// mend: it waits for as long as others are tried. Then it is a dead letter, which can be sent anew, and what is
    /// behind it has its turn.
    async fn missing(&self, waiting: &Waiting) -> Step {
        let Claimed { stream, scope, .. } = &self.claimed;
        let settings = &self.engine.settings;
        match self.engine.tasks.get(scope, &stream.task_id).await {
            Ok(None) => Step::Done,
            Err(repository::Error::Unavailable(why)) => {
                tracing::debug!(why, "the task of a push notification can't be read now");
                self.postpone(settings.backoff_min)
            }
            Ok(Some(_)) | Err(_) => {
                let left = self.left(waiting);
                if left.is_zero() {
                    let cause = "the event is not in the log of its task";
                    return self.give_up(waiting, failure(cause.to_owned()));
                }
                let rests = settings.backoff_max.min(left);
                tracing::error!(
                    generation = waiting.generation,
                    "the event of a push notification is not in the log of its task; what waits behind it rests for {rests:?}"
                );
                self.postpone(rests)
            }
        }
    }

    /// An event of the log; `None` when it is not there.
    async fn event(&self, generation: u64) -> Result<Option<Payload>, repository::Error> {
        let Claimed { stream, scope, .. } = &self.claimed;
        let before = generation.saturating_sub(1);
        let events = self
            .engine
            .tasks
            .events(scope, &stream.task_id, before, 1)
            .await?;
        let event = events.first().filter(|event| event.generation == generation);
        let Some(event) = event else { return Ok(None) };
        let damaged = |cause: String| repository::Error::Corrupt {
            task_id: stream.task_id.to_string(),
            generation: Some(generation),
            cause,
        };
        event
            .decode()
            .map(Some)
            .map_err(|error| damaged(error.to_string()))
    }

    /// What can't be read any more chooses nothing: whoever gets too much can say so again.
    fn wanted(&self) -> Wanted {
        let chosen = Wanted::of_url(&self.claimed.config.url);
        chosen.ok().flatten().unwrap_or(Wanted::ALL)
    }

    fn request(&self, waiting: &Waiting, target: &Uri, event: Payload) -> Result<Request<Bytes>, String> {
        let key = DeliveryKey {
            stream: self.claimed.stream.clone(),
            generation: waiting.generation,
        };
        let parts = Parts {
            key: &key,
            config: &self.claimed.config,
            target,
            event,
            signer: self.engine.signer.as_deref(),
            at_s: self.engine.clock.now_ms().div_euclid(1_000),
            span: random(),
        };
        parts.build()
    }
}

fn failure(cause: String) -> Failure {
    Failure { status: None, cause }
}

/// Any number.
fn random() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}
