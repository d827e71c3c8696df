//! Streams that break anywhere, of agents that number their events and of those that don't.

use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, stream};
use http::HeaderMap;
use proptest::prelude::*;
use tower::{ServiceExt as _, service_fn};

use super::{chunk, run, status, sum, task};
use crate::access::Method;
use crate::client::call::IDEMPOTENCY_KEY;
use crate::client::layers::ClientMetrics;
use crate::client::layers::scripted::{get, interrupted, refused};
use crate::client::streams::{ResumeSettings, resumed};
use crate::client::transport::Transport;
use crate::client::{Answer, Call, Error, Event, EventStream, Reply, Request};
use crate::error::Kind;
use crate::pb::stream_response::Payload;
use crate::pb::{Message, SendMessageRequest, StreamResponse, SubscribeToTaskRequest, TaskState};

/// An agent with one task, whose connections break after so many events.
#[derive(Default)]
struct Agent {
    events: Vec<StreamResponse>,
    is_numbered: bool,
    /// For each connection: events until it breaks, whether that looks like an end, and events that happen before the
    /// next one.
    cuts: Vec<(usize, bool, usize)>,
    refuses: Option<fn() -> Error>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    happened: usize,
    calls: Vec<Call>,
}

impl Agent {
    fn resumed(self: &Arc<Self>, sends_once: bool) -> (Transport, ClientMetrics) {
        let (this, metrics) = (self.clone(), ClientMetrics::default());
        let step = service_fn(move |call| std::future::ready(this.answer(call)));
        let settings = ResumeSettings::default();
        (resumed(step, &settings, sends_once, &metrics), metrics)
    }

    fn answer(&self, call: Call) -> Result<Reply, Error> {
        let mut state = self.state.lock().unwrap();
        let streams = state
            .calls
            .iter()
            .filter(|call| call.method() != Method::GetTask)
            .count();
        state.calls.push(call.clone());
        if let Some(refuses) = self
            .refuses
            .filter(|_| streams > 0 && call.method() != Method::GetTask)
        {
            return Err(refuses());
        }
        let whole = |happened: usize| StreamResponse {
            payload: Some(Payload::Task(sum(&self.events[..happened]))),
        };
        let (first, from) = match &call.request {
            Request::SendStreamingMessage(_) => (None, 0),
            Request::SubscribeToTask(_, Some(generation)) if self.is_numbered => (None, *generation as usize),
            Request::SubscribeToTask(..) if state.happened == self.events.len() => {
                return Err(refused(Kind::UnsupportedOperation, None));
            }
            Request::SubscribeToTask(..) => (Some(whole(state.happened)), state.happened),
            _ => {
                let Some(Payload::Task(task)) = whole(state.happened).payload else {
                    unreachable!()
                };
                return Ok(reply(Answer::Task(task)));
            }
        };
        let all = self.events[from..].iter().cloned().enumerate();
        let number = |index: usize| self.is_numbered.then_some((from + index + 1) as u64);
        let mut events: Vec<Result<Event, Error>> = Vec::new();
        let (cut, is_end, lost) = self.cuts.get(streams).copied().unwrap_or((usize::MAX, true, 0));
        if cut > 0 {
            events.extend(first.map(|response| {
                Ok(Event {
                    response,
                    generation: None,
                })
            }));
        }
        let rest = all.map(|(index, response)| {
            Ok(Event {
                response,
                generation: number(index),
            })
        });
        events.extend(rest.take(cut));
        let sent = from + cut.min(self.events.len() - from);
        state.happened = (sent.max(state.happened) + lost).min(self.events.len());
        if !is_end {
            events.push(Err(interrupted()));
        }
        Ok(reply(Answer::Events(EventStream::new(stream::iter(events)))))
    }
}

pub(super) fn reply(answer: Answer) -> Reply {
    Reply {
        answer,
        parameters: HeaderMap::new(),
    }
}

pub(super) fn send() -> Call {
    Call::new(Request::SendStreamingMessage(SendMessageRequest::default()))
}

pub(super) async fn all(transport: Transport, call: Call) -> (Vec<Event>, Option<Error>) {
    let mut events = transport.oneshot(call).await.unwrap().answer.events().unwrap();
    let mut seen = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => seen.push(event),
            Err(error) => return (seen, Some(error)),
        }
    }
    (seen, None)
}

fn paused<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let mut runtime = runtime;
    runtime
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(work)
}

proptest! {
    /// Numbered events: the reader sees each of them once, in order, wherever the stream broke.
    #[test]
    fn a_numbered_stream_is_whole_wherever_it_breaks(
        events in run(),
        cuts in proptest::collection::vec((0_usize..8, any::<bool>()), 0..8),
    ) {
        let cuts = cuts.into_iter().map(|(cut, is_end)| (cut, is_end && cut > 0, 0)).collect();
        let agent = Arc::new(Agent { events: events.clone(), is_numbered: true, cuts, ..Agent::default() });
        let (seen, error) = paused(all(agent.resumed(true).0, send()));
        prop_assert!(error.is_none(), "{error:?}");
        let numbers: Vec<Option<u64>> = seen.iter().map(|event| event.generation).collect();
        prop_assert_eq!(numbers, (1..=events.len() as u64).map(Some).collect::<Vec<_>>());
        let seen: Vec<StreamResponse> = seen.into_iter().map(|event| event.response).collect();
        prop_assert_eq!(seen, events);
    }

    /// Events without numbers: what the reader sees adds up to the task, whatever it missed.
    #[test]
    fn a_stream_without_numbers_adds_up_wherever_it_breaks(
        events in run(),
        cuts in proptest::collection::vec((0_usize..8, any::<bool>(), 0_usize..4), 0..8),
    ) {
        let cuts = cuts.into_iter().map(|(cut, is_end, lost)| (cut, is_end && cut > 0, lost)).collect();
        let agent = Arc::new(Agent { events: events.clone(), cuts, ..Agent::default() });
        let (seen, error) = paused(all(agent.resumed(true).0, send()));
        prop_assert!(error.is_none(), "{error:?}");
        let tasks = seen.iter().filter(|event| matches!(event.response.payload, Some(Payload::Task(_))));
        prop_assert_eq!(tasks.count(), 1, "the task comes once");
        let seen: Vec<StreamResponse> = seen.into_iter().map(|event| event.response).collect();
        let (mut got, whole) = (sum(&seen), sum(&events));
        got.history.clone_from(&whole.history);
        prop_assert_eq!(got, whole);
    }
}

fn three() -> Vec<StreamResponse> {
    vec![
        task("t"),
        chunk("x", &["1"], false),
        status(TaskState::Completed, None),
    ]
}

fn broken_after(count: usize) -> Agent {
    Agent {
        events: three(),
        cuts: vec![(count, false, 0); 100],
        ..Agent::default()
    }
}

#[tokio::test(start_paused = true)]
async fn it_does_not_try_for_ever() {
    let broken = Agent {
        cuts: std::iter::once((1, false, 0))
            .chain([(0, false, 0); 100])
            .collect(),
        ..broken_after(1)
    };
    let agent = Arc::new(broken);
    let (transport, metrics) = agent.resumed(false);
    let (seen, error) = all(transport, send()).await;
    assert_eq!(seen.len(), 1);
    assert!(matches!(error, Some(Error::Interrupted { .. })));
    assert_eq!(agent.state.lock().unwrap().calls.len(), 1 + 8);
    assert_eq!(metrics.report().resumptions, 8);
}

/// An agent that takes up no streams, or only to end them, is not asked for ever what has become of a silent task.
#[tokio::test(start_paused = true)]
async fn looking_at_a_task_has_an_end() {
    for is_end in [false, true] {
        let agent = Arc::new(Agent {
            refuses: Some(|| refused(Kind::UnsupportedOperation, None)),
            cuts: vec![(2, is_end, 0)],
            ..broken_after(2)
        });
        let (seen, error) = all(agent.resumed(false).0, send()).await;
        assert_eq!((seen.len(), error.is_none()), (2, is_end));
        assert_eq!(agent.state.lock().unwrap().calls.len(), 1 + 2 * 8);
    }
    let agent = Arc::new(Agent {
        cuts: std::iter::once((2, false, 0))
            .chain([(0, true, 0); 100])
            .collect(),
        ..broken_after(2)
    });
    let (seen, error) = all(agent.resumed(false).0, send()).await;
    assert_eq!(seen.len(), 2);
    assert!(
        matches!(error, Some(Error::Interrupted { .. })),
        "why it broke at first"
    );
    assert_eq!(agent.state.lock().unwrap().calls.len(), 1 + 8);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_gone_and_whatever_will_not_pass_ends_it() {
    for refuses in [
        (|| refused(Kind::TaskNotFound, None)) as fn() -> Error,
        || refused(Kind::PermissionDenied, None),
        || Error::Malformed(String::new()),
    ] {
        let agent = Arc::new(Agent {
            refuses: Some(refuses),
            ..broken_after(2)
        });
        let (seen, error) = all(agent.resumed(false).0, send()).await;
        assert_eq!((seen.len(), error.unwrap().label()), (2, refuses().label()));
        assert_eq!(agent.state.lock().unwrap().calls.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_breaks_behind_the_end_is_an_end() {
    let agent = Arc::new(broken_after(3));
    let (seen, error) = all(agent.resumed(false).0, send()).await;
    assert!(error.is_none());
    assert_eq!((seen.len(), agent.state.lock().unwrap().calls.len()), (3, 1));
    let message = StreamResponse {
        payload: Some(Payload::Message(Message::default())),
    };
    let agent = Arc::new(Agent {
        events: vec![message],
        cuts: vec![(1, false, 0)],
        ..Agent::default()
    });
    let (seen, error) = all(agent.resumed(true).0, send()).await;
    assert!(error.is_none() && seen.len() == 1);
}

#[tokio::test(start_paused = true)]
async fn a_send_is_made_again_only_if_it_is_run_once() {
    for (sends_once, calls) in [(false, 1), (true, 9)] {
        let agent = Arc::new(broken_after(0));
        let (seen, error) = all(agent.resumed(sends_once).0, send()).await;
        assert!(seen.is_empty() && error.is_some());
        let state = agent.state.lock().unwrap();
        assert_eq!(state.calls.len(), calls);
        let key = |call: &Call| call.parameters.get(IDEMPOTENCY_KEY).cloned();
        assert!(state.calls.iter().all(|call| key(call) == key(&state.calls[0])));
    }
}

#[tokio::test(start_paused = true)]
async fn what_belongs_to_the_call_goes_along() {
    let agent = Arc::new(Agent {
        is_numbered: true,
        cuts: vec![(2, false, 0)],
        ..broken_after(2)
    });
    let mut call = send();
    call.parameters
        .insert("x-mine", http::HeaderValue::from_static("1"));
    "tenant".clone_into(call.request.tenant_mut());
    assert!(all(agent.resumed(false).0, call).await.1.is_none());
    let again = agent.state.lock().unwrap().calls[1].clone();
    let expected = SubscribeToTaskRequest {
        tenant: "tenant".to_owned(),
        id: "t".to_owned(),
    };
    assert_eq!(again.request, Request::SubscribeToTask(expected, Some(2)));
    assert_eq!(again.parameters["x-mine"], "1");
    assert!(!again.parameters.contains_key(IDEMPOTENCY_KEY));
}

#[tokio::test(start_paused = true)]
async fn other_calls_are_left_alone() {
    let agent = Arc::new(Agent {
        events: three(),
        ..Agent::default()
    });
    agent.state.lock().unwrap().happened = 3;
    let answer = agent.resumed(true).0.oneshot(get()).await.unwrap().answer;
    assert_eq!(answer.task().unwrap(), sum(&three()));
}

/// An agent that says that it numbers its events, but begins anew with each stream.
#[tokio::test(start_paused = true)]
async fn numbers_that_begin_anew_lose_nothing() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen_by_agent = calls.clone();
    let step = service_fn(move |call: Call| {
        let mut calls = seen_by_agent.lock().unwrap();
        calls.push(call.request.clone());
        let event = |(generation, response)| {
            Ok(Event {
                response,
                generation: Some(generation),
            })
        };
        let mut events: Vec<Result<Event, Error>> = match calls.len() {
            // The numbers of an unbroken stream are not looked at.
            1 => vec![
                (5, task("t")),
                (7, chunk("x", &["1"], false)),
                (6, chunk("x", &["2"], true)),
            ],
            2 => vec![(1, chunk("x", &["3"], true))],
            _ => {
                let whole = sum(&[task("t"), chunk("x", &["1", "2", "3", "4"], false)]);
                let whole = StreamResponse {
                    payload: Some(Payload::Task(whole)),
                };
                vec![(1, whole), (2, status(TaskState::Completed, None))]
            }
        }
        .into_iter()
        .map(event)
        .collect();
        events.push(Err(interrupted()));
        std::future::ready(Ok(reply(Answer::Events(EventStream::new(stream::iter(events))))))
    });
    let metrics = ClientMetrics::default();
    let (seen, error) = all(resumed(step, &ResumeSettings::default(), false, &metrics), send()).await;
    assert!(error.is_none(), "{error:?}");
    let seen: Vec<StreamResponse> = seen.into_iter().map(|event| event.response).collect();
    let expected = [
        task("t"),
        chunk("x", &["1", "2", "3", "4"], false),
        status(TaskState::Completed, None),
    ];
    assert_eq!(sum(&seen), sum(&expected));
    let asked: Vec<Option<u64>> = calls.lock().unwrap()[1..]
        .iter()
        .map(|request| match request {
            Request::SubscribeToTask(_, generation) => *generation,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(asked, [Some(6), None]);
}

/// A status that is told again with every stream is no progress.
#[tokio::test(start_paused = true)]
async fn an_agent_that_ends_every_stream_early_is_left() {
    let calls = Arc::new(Mutex::new(0));
    let counted = calls.clone();
    let step = service_fn(move |_: Call| {
        *counted.lock().unwrap() += 1;
        let events = [task("t"), status(TaskState::Working, None)].map(|response| {
            Ok(Event {
                response,
                generation: None,
            })
        });
        std::future::ready(Ok(reply(Answer::Events(EventStream::new(stream::iter(events))))))
    });
    let settings = ResumeSettings::default();
    let transport = resumed(step, &settings, false, &ClientMetrics::default());
    all(transport, send()).await;
    let calls = *calls.lock().unwrap();
    assert!(calls <= 2 + 2 * settings.attempts_max, "{calls}");
}
