//! Waiting for a task in every way, on a clock that stands still.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use http::HeaderMap;
use tower::service_fn;

use tokio::time::Instant;

use crate::access::Method;
use crate::client::layers::scripted::{interrupted, refused, target};
use crate::client::streams::{Wait, WaitMode, Waited};
use crate::client::transport::Transport;
use crate::client::{Answer, Call, Event, Reply, Request};
use crate::client::{Client, Error, EventStream};
use crate::error::Kind;
use crate::pb::send_message_response::Payload;
use crate::pb::{GetTaskRequest, Message, SendMessageRequest, Task};
use crate::pb::{SendMessageResponse, StreamResponse, TaskState, TaskStatus, stream_response};

/// What an agent answers next; the last one for ever.
pub(super) type Answers = Vec<Result<TaskState, fn() -> Error>>;

#[derive(Default)]
pub(super) struct Agent {
    pub(super) answers: Answers,
    /// What comes by a stream before it breaks; `None` for an agent that has none.
    pub(super) stream: Option<Vec<TaskState>>,
    /// The stream does not break, but says nothing more.
    pub(super) is_silent: bool,
    pub(super) calls: Mutex<Vec<Call>>,
}

pub(super) fn task(state: TaskState) -> Task {
    Task {
        id: "t".to_owned(),
        status: Some(TaskStatus {
            state: state.into(),
            ..TaskStatus::default()
        }),
        ..Task::default()
    }
}

impl Agent {
    pub(super) fn new(answers: Answers) -> Arc<Self> {
        Arc::new(Self {
            answers,
            ..Self::default()
        })
    }

    pub(super) fn client(self: &Arc<Self>) -> Client {
        let this = self.clone();
        let transport = service_fn(move |call| std::future::ready(this.answer(call)));
        Client::new(target(""), Transport::new(transport))
    }

    pub(super) fn methods(&self) -> Vec<Method> {
        self.calls.lock().unwrap().iter().map(Call::method).collect()
    }

    fn answer(&self, call: Call) -> Result<Reply, Error> {
        let mut calls = self.calls.lock().unwrap();
        calls.push(call.clone());
        let plain = calls.iter().filter(|call| !call.method().is_streaming());
        let number = plain
            .count()
            .saturating_sub(1)
            .min(self.answers.len().saturating_sub(1));
        let answer = match &call.request {
            Request::SendStreamingMessage(_) | Request::SubscribeToTask(..) => {
                let states = self.stream.as_ref();
                let states = states.ok_or_else(|| refused(Kind::UnsupportedOperation, None))?;
                let event = |state: &TaskState| Event {
                    response: StreamResponse {
                        payload: Some(stream_response::Payload::Task(task(*state))),
                    },
                    generation: None,
                };
                let mut events: Vec<Result<Event, Error>> = states.iter().map(event).map(Ok).collect();
                if self.is_silent {
                    let silent = stream::iter(events).chain(stream::pending());
                    return Ok(reply(Answer::Events(EventStream::new(silent))));
                }
                events.push(Err(interrupted()));
                Answer::Events(EventStream::new(stream::iter(events)))
            }
            Request::SendMessage(_) => Answer::Sent(SendMessageResponse {
                payload: Some(Payload::Task(task(
                    self.answers[number].map_err(|error| error())?,
                ))),
            }),
            _ => Answer::Task(task(self.answers[number].map_err(|error| error())?)),
        };
        Ok(reply(answer))
    }
}

fn reply(answer: Answer) -> Reply {
    Reply {
        answer,
        parameters: HeaderMap::new(),
    }
}

pub(super) fn by(mode: WaitMode) -> Wait {
    Wait {
        mode,
        ..Wait::default()
    }
}

pub(super) fn sends(task_id: &str) -> SendMessageRequest {
    SendMessageRequest {
        message: Some(Message {
            task_id: task_id.to_owned(),
            ..Message::default()
        }),
        ..SendMessageRequest::default()
    }
}

use TaskState::{AuthRequired, Completed, InputRequired, Submitted, Unspecified, Working};

#[tokio::test(start_paused = true)]
async fn it_ends_where_the_task_has_settled_and_nowhere_else() {
    for (mode, at_once) in [(WaitMode::Blocking, false), (WaitMode::Polling, true)] {
        for end in [Completed, InputRequired, AuthRequired] {
            let agent = Agent::new(vec![Ok(Submitted), Ok(Unspecified), Ok(Working), Ok(end)]);
            let waited = agent.client().send_and_wait(sends(""), &by(mode)).await.unwrap();
            assert_eq!(waited, Waited::Task(task(end)), "{mode:?}");
            let get = Method::GetTask;
            assert_eq!(agent.methods(), [Method::SendMessage, get, get, get]);
            let first = agent.calls.lock().unwrap()[0].request.clone();
            let Request::SendMessage(first) = first else {
                unreachable!()
            };
            assert_eq!(first.configuration.unwrap().return_immediately, at_once);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_up_to_their_limit_and_the_time_ends_with_the_task_known() {
    let agent = Agent::new(vec![Ok(Working)]);
    let began = Instant::now();
    let error = agent
        .client()
        .send_and_wait(sends(""), &by(WaitMode::Polling))
        .await
        .unwrap_err();
    assert!(matches!(error.error, Error::Timeout(_)), "{error}");
    assert_eq!(error.task_id.as_deref(), Some("t"));
    assert!(error.to_string().ends_with("(the task is t)"), "{error}");
    assert_eq!(began.elapsed(), Duration::from_secs(300));
    // Half a second, and half as much again each time up to ten: 8 looks in 24.6 s, then one each 10 s.
    let looks = agent.methods().len() - 1;
    assert!((34..=37).contains(&looks), "{looks}");
}

#[tokio::test(start_paused = true)]
async fn questions_may_fail_a_few_times_in_a_row() {
    let fails: Result<TaskState, fn() -> Error> = Err(interrupted);
    let some = vec![
        Ok(Working),
        fails,
        fails,
        Ok(Working),
        fails,
        fails,
        fails,
        fails,
        Ok(Completed),
    ];
    let agent = Agent::new(some);
    assert!(
        agent
            .client()
            .send_and_wait(sends(""), &by(WaitMode::Polling))
            .await
            .is_ok()
    );
    let gone: fn() -> Error = || refused(Kind::TaskNotFound, None);
    for (answers, calls) in [(vec![Ok(Working), fails], 6), (vec![Ok(Working), Err(gone)], 2)] {
        let agent = Agent::new(answers);
        let error = agent
            .client()
            .send_and_wait(sends(""), &by(WaitMode::Polling))
            .await
            .unwrap_err();
        assert_eq!(error.task_id.as_deref(), Some("t"));
        assert_eq!(agent.methods().len(), calls);
    }
    let ask = || GetTaskRequest {
        id: "t".to_owned(),
        ..GetTaskRequest::default()
    };
    let agent = Agent::new(vec![fails, Ok(Working), Ok(Completed)]);
    assert_eq!(
        agent.client().wait(ask(), &Wait::default()).await.unwrap(),
        task(Completed)
    );
    let error = Agent::new(vec![Err(gone)])
        .client()
        .wait(ask(), &Wait::default())
        .await
        .unwrap_err();
    assert_eq!(error.task_id.as_deref(), Some("t"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_or_is_not_there_is_replaced_by_questions() {
    let cases: [(Option<Vec<TaskState>>, &[Method]); 3] = [
        (Some(vec![Submitted, Completed]), &[Method::SendStreamingMessage]),
        (
            Some(vec![Submitted]),
            &[Method::SendStreamingMessage, Method::GetTask, Method::GetTask],
        ),
        (
            None,
            &[Method::SendStreamingMessage, Method::SendMessage, Method::GetTask],
        ),
    ];
    for (stream, methods) in cases {
        let agent = Arc::new(Agent {
            answers: vec![Ok(Working), Ok(Completed)],
            stream,
            ..Agent::default()
        });
        let waited = agent
            .client()
            .send_and_wait(sends(""), &by(WaitMode::Streaming))
            .await
            .unwrap();
        assert_eq!(waited, Waited::Task(task(Completed)));
        assert_eq!(agent.methods(), methods);
    }
    let silent = Arc::new(Agent {
        stream: Some(Vec::new()),
        ..Agent::default()
    });
    let error = silent
        .client()
        .send_and_wait(sends(""), &by(WaitMode::Streaming))
        .await
        .unwrap_err();
    assert!(matches!(error.error, Error::Interrupted { .. }) && error.task_id.is_none());
}

/// Nobody knows whether the message came to the task: the question that it answers is no result.
#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_before_its_first_event_is_no_old_question() {
    let agent = Arc::new(Agent {
        answers: vec![Ok(InputRequired)],
        stream: Some(Vec::new()),
        ..Agent::default()
    });
    let error = agent
        .client()
        .send_and_wait(sends("t"), &by(WaitMode::Streaming))
        .await
        .unwrap_err();
    assert!(matches!(error.error, Error::Interrupted { .. }), "{error}");
    assert_eq!(error.task_id.as_deref(), Some("t"));
    assert_eq!(agent.methods(), [Method::SendStreamingMessage]);
}

/// The first thing that is seen behind a message may be the state in which it found the task.
#[tokio::test(start_paused = true)]
async fn a_task_that_is_continued_has_not_settled_again_at_once() {
    let agent = Agent::new(vec![Ok(InputRequired), Ok(Working), Ok(Completed)]);
    let waited = agent
        .client()
        .send_and_wait(sends("t"), &by(WaitMode::Polling))
        .await
        .unwrap();
    assert_eq!(waited, Waited::Task(task(Completed)));
    let agent = Arc::new(Agent {
        stream: Some(vec![InputRequired, Working, InputRequired]),
        ..Agent::default()
    });
    let waited = agent
        .client()
        .send_and_wait(sends("t"), &by(WaitMode::Streaming))
        .await
        .unwrap();
    assert_eq!(waited, Waited::Task(task(InputRequired)));
    assert_eq!(agent.methods().len(), 1);
    let agent = Agent::new(vec![Ok(InputRequired)]);
    let waited = agent
        .client()
        .send_and_wait(sends("t"), &by(WaitMode::Blocking))
        .await
        .unwrap();
    assert_eq!(waited, Waited::Task(task(InputRequired)));
    assert_eq!(agent.methods().len(), 1);
}
