//! Streams that go on where they broke, so that their reader sees nothing of it.
//!
//! Agents that number their events are asked for what is behind the last one. Others send the task first when a stream is
//! taken up again; what the reader has not seen of it becomes events, and what it has seen is not told twice.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use http::HeaderMap;
use tokio::time::Instant;
use tower::{ServiceExt as _, service_fn};

use super::reconcile::Seen;
use crate::access::Method;
use crate::client::call::IDEMPOTENCY_KEY;
use crate::client::layers::{ClientMetrics, Count, Step, pause, random};
use crate::client::transport::Transport;
use crate::client::{Answer, Call, Error, Event, EventStream, Reply, Request};
use crate::error::Kind;
use crate::pb::stream_response::Payload;
use crate::pb::{GetTaskRequest, StreamResponse, SubscribeToTaskRequest, Task};
use crate::task::is_settled;

/// How a stream that broke goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeSettings {
    /// Attempts in a row; 0 for streams that end where they break. What begins the row anew is an event that tells something
    /// new, and a stream that had an event at all and then stayed open for longer than `backoff_max`.
    pub attempts_max: u32,
    /// The longest pause before the first attempt; it doubles with each further one. Every pause is drawn anew from
    /// nothing up to that.
    pub backoff_min: Duration,
    /// The longest pause before any attempt.
    pub backoff_max: Duration,
    /// Artifacts that are kept in mind, some 100 bytes each; the stream of a task with more goes on only if the agent
    /// numbers its events.
    pub artifacts_max: usize,
}

impl Default for ResumeSettings {
    fn default() -> Self {
        Self {
            attempts_max: 8,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
            artifacts_max: 4_096,
        }
    }
}

/// Lets the streams of `inner` go on where they break. `sends_once` tells that a send may be made again as long as none of
/// its events has come.
pub(in crate::client) fn resumed(
    inner: impl Step,
    settings: &ResumeSettings,
    sends_once: bool,
    metrics: &ClientMetrics,
) -> Transport {
    let (settings, metrics) = (settings.clone(), metrics.clone());
    Transport::new(service_fn(move |call: Call| {
        let inner = inner.clone();
        let is_stream = matches!(
            call.method(),
            Method::SendStreamingMessage | Method::SubscribeToTask
        );
        let more = (is_stream && settings.attempts_max > 0)
            .then(|| Resumption::new(&call, inner.clone(), &settings, sends_once, &metrics));
        async move {
            let reply = inner.oneshot(call).await?;
            match (more, reply) {
                (
                    Some(more),
                    Reply {
                        answer: Answer::Events(events),
                        parameters,
                    },
                ) => Ok(Reply {
                    answer: Answer::Events(more.over(events)),
                    parameters,
                }),
                (_, reply) => Ok(reply),
            }
        }
    }))
}

/// A stream and what it takes to go on with it.
struct Resumption<S> {
    inner: S,
    settings: ResumeSettings,
    metrics: ClientMetrics,
    /// Made again while no event has come, if that is harmless.
    opening: Option<Call>,
    tenant: String,
    parameters: HeaderMap,
    query: Vec<(String, crate::config::Secret<String>)>,
    seen: Seen,
    generation: Option<u64>,
    /// The highest number that any event had.
    furthest: Option<u64>,
    events: Option<EventStream>,
    /// The next event is the first one since the stream was taken up again.
    is_resumed: bool,
    missed: VecDeque<Event>,
    /// Since the last event that was new, or the last stream that lasted.
    attempts: u32,
    /// When the stream was opened.
    opened: Instant,
    /// What went wrong since then, if anything did.
    broke: Option<Error>,
}

impl<S: Step> Resumption<S> {
    fn new(
        call: &Call,
        inner: S,
        settings: &ResumeSettings,
        sends_once: bool,
        metrics: &ClientMetrics,
    ) -> Self {
        let mut call = call.clone();
        let (task_id, generation, is_harmless) = match &call.request {
            Request::SubscribeToTask(request, generation) => (request.id.clone(), *generation, true),
            _ => {
                let has_key = call.parameters.contains_key(IDEMPOTENCY_KEY);
                (String::new(), None, sends_once && has_key)
            }
        };
        call.deadline = None;
        let mut parameters = call.parameters.clone();
        parameters.remove(IDEMPOTENCY_KEY);
        Self {
            inner,
            settings: settings.clone(),
            metrics: metrics.clone(),
            tenant: call.request.tenant_mut().clone(),
            parameters,
            query: call.query.clone(),
            opening: is_harmless.then_some(call),
            seen: Seen::new(task_id, settings.artifacts_max),
            generation,
            furthest: generation,
            events: None,
            is_resumed: false,
            missed: VecDeque::new(),
            attempts: 0,
            opened: Instant::now(),
            broke: None,
        }
    }

    fn over(self, events: EventStream) -> EventStream {
        let first = Self {
            events: Some(events),
            opened: Instant::now(),
            ..self
        };
        EventStream::new(stream::unfold(first, |mut this| async move {
            let item = this.next().await?;
            Some((item, this))
        }))
    }

    async fn next(&mut self) -> Option<Result<Event, Error>> {
        loop {
            if let Some(event) = self.missed.pop_front() {
                return Some(Ok(event));
            }
            let is_clean = match self.events.as_mut()?.next().await {
                Some(Ok(event)) if self.is_misplaced(&event) => {
                    self.generation = None;
                    if self.seen.is_lost {
                        self.events = None;
                        return Some(Err(misplaced()));
                    }
                    false
                }
                Some(Ok(event)) => match self.take(event) {
                    Some(event) => return Some(Ok(event)),
                    None => continue,
                },
                Some(Err(error)) => {
                    self.broke = Some(error);
                    false
                }
                None => true,
            };
            self.events = None;
            if self.is_at_end(is_clean) {
                return None;
            }
            if let Err(why) = self.go_on().await {
                return why.map(Err);
            }
        }
    }

    /// Whether a stream that ended or broke here has nothing more to say. One that ends while the task waits for its caller
    /// has been ended by the agent (specification 11.7).
    fn is_at_end(&self, is_clean: bool) -> bool {
        let is_settled = is_settled(self.seen.state());
        let is_unknown = self.seen.task_id.is_empty();
        self.seen.is_over() || (is_clean && (is_settled || is_unknown))
    }

    /// Whether a stream that was taken up again begins with an event that the reader has seen, so that the agent does not
    /// number its events after all: then the task as it is says what is new.
    fn is_misplaced(&self, event: &Event) -> bool {
        let is_old = matches!((event.generation, self.generation), (Some(this), Some(last)) if this <= last);
        let is_task = matches!(event.response.payload, Some(Payload::Task(_)));
        self.is_resumed && is_old && !is_task
    }

    /// The event, unless it is the task with which a stream that was taken up again begins.
    fn take(&mut self, event: Event) -> Option<Event> {
        let is_first = std::mem::take(&mut self.is_resumed);
        self.opening = None;
        match event.response.payload {
            Some(Payload::Task(task)) if is_first => {
                self.catch_up(task, event.generation);
                None
            }
            _ => {
                // Numbers that begin anew with each stream are no progress in themselves.
                let is_ahead = event.generation > self.furthest;
                if self.seen.note(&event.response) || is_ahead {
                    self.progress();
                }
                self.furthest = self.furthest.max(event.generation);
                self.generation = event.generation.or(self.generation);
                Some(event)
            }
        }
    }

    /// Makes events of what the reader has not seen of the task. Only the last one has the task's generation: who goes on
    /// behind it has seen all of them.
    fn catch_up(&mut self, task: Task, generation: Option<u64>) {
        let missed = self.seen.missed(task);
        let last = missed.len().saturating_sub(1);
        for (index, response) in missed.into_iter().enumerate() {
            if self.seen.note(&response) {
                self.progress();
            }
            self.missed.push_back(Event {
                response,
                generation: generation.filter(|_| index == last),
            });
        }
        // Without a number nobody knows behind which generation the task is.
        self.generation = generation;
    }

    fn progress(&mut self) {
        self.attempts = 0;
        self.broke = None;
    }

    /// Takes the stream up again, after a pause and as often as may be.
    ///
    /// # Errors
    /// With what the stream ends: why it broke or can't be taken up, or nothing if the agent just ends it.
    async fn go_on(&mut self) -> Result<(), Option<Error>> {
        // An agent that has little to say is no agent that is away; one that says nothing at all may be.
        let has_spoken = !self.is_resumed && self.opening.is_none();
        if has_spoken && self.opened.elapsed() > self.settings.backoff_max {
            self.attempts = 0;
        }
        loop {
            let is_final = self.broke.as_ref().is_some_and(|error| !may_pass(error));
            if is_final || !self.can_go_on() || self.attempts >= self.settings.attempts_max {
                return Err(self.broke.take());
            }
            self.attempts += 1;
            let asked = match &self.broke {
                Some(Error::Agent(error)) => error.retry_after,
                _ => None,
            };
            let limits = (self.settings.backoff_min, self.settings.backoff_max);
            let asked = asked.map(|asked| asked.min(self.settings.backoff_max));
            tokio::time::sleep(pause(limits, self.attempts, asked, random())).await;
            match self.reopen().await {
                Ok(()) => {
                    self.opened = Instant::now();
                    self.metrics.count(Count::Resumed);
                    return Ok(());
                }
                Err(error) => self.broke = Some(error),
            }
        }
    }

    fn can_go_on(&self) -> bool {
        let has_place = !self.seen.task_id.is_empty() && (self.generation.is_some() || !self.seen.is_lost);
        self.opening.is_some() || has_place
    }

    async fn reopen(&mut self) -> Result<(), Error> {
        // Nothing has come yet: whatever comes is new.
        if let Some(call) = self.opening.clone() {
            self.events = Some(self.inner.clone().oneshot(call).await?.answer.events()?);
            return Ok(());
        }
        let request = SubscribeToTaskRequest {
            tenant: self.tenant.clone(),
            id: self.seen.task_id.clone(),
        };
        let call = self.call(Request::SubscribeToTask(request, self.generation));
        match self.inner.clone().oneshot(call).await {
            Ok(reply) => {
                self.events = Some(reply.answer.events()?);
                self.is_resumed = true;
                Ok(())
            }
            // A task that has ended can't be subscribed to (specification 3.1.6), but looked at; so can one whose agent takes
            // up no streams.
            Err(Error::Agent(error)) if error.kind == Kind::UnsupportedOperation => self.look().await,
            Err(error) => Err(error),
        }
    }

    /// Looks at the task as it is.
    async fn look(&mut self) -> Result<(), Error> {
        let request = GetTaskRequest {
            tenant: self.tenant.clone(),
            id: self.seen.task_id.clone(),
            ..GetTaskRequest::default()
        };
        let call = self.call(Request::GetTask(request));
        let task = self.inner.clone().oneshot(call).await?.answer.task()?;
        let whole = Event {
            response: StreamResponse {
                payload: Some(Payload::Task(task)),
            },
            generation: None,
        };
        self.is_resumed = true;
        self.events = Some(EventStream::new(stream::iter([Ok(whole)])));
        Ok(())
    }

    fn call(&self, request: Request) -> Call {
        Call {
            parameters: self.parameters.clone(),
            query: self.query.clone(),
            ..Call::new(request)
        }
    }
}

fn misplaced() -> Error {
    Error::Malformed("the agent does not number the events of its streams as it says".to_owned())
}

/// Whether it makes sense to go on after this.
fn may_pass(error: &Error) -> bool {
    error.is_transient() || matches!(error, Error::HeldBack(_))
}
