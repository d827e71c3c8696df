//! Watching a task while it is waited for, on a clock that stands still.

use std::sync::Arc;

use tokio::time::Instant;

use super::wait::{Agent, by, sends, task};
use crate::access::Method;
use crate::client::streams::{Followed, Following, Told, Wait, WaitError, WaitMode, Waited, Watch};
use crate::client::upload::Uploads;
use crate::client::{Error, Request};
use crate::pb::{SubscribeToTaskRequest, TaskState};

use TaskState::{Completed, InputRequired, Working};

/// An agent that shows the state before the message and then says nothing is asked.
#[tokio::test(start_paused = true)]
async fn silence_behind_what_may_be_old_is_looked_into() {
    let agent = Arc::new(Agent {
        answers: vec![Ok(Completed)],
        stream: Some(vec![InputRequired]),
        is_silent: true,
        ..Agent::default()
    });
    let began = Instant::now();
    let wait = by(WaitMode::Streaming);
    let waited = agent.client().send_and_wait(sends("t"), &wait).await.unwrap();
    assert_eq!(waited, Waited::Task(task(Completed)));
    assert_eq!(began.elapsed(), wait.interval_max);
    assert_eq!(agent.methods(), [Method::SendStreamingMessage, Method::GetTask]);
    // Of a new task it is the question itself.
    let waited = agent.client().send_and_wait(sends(""), &wait).await.unwrap();
    assert_eq!(waited, Waited::Task(task(InputRequired)));
}

/// What is more than may be added up is looked at in the end.
#[tokio::test(start_paused = true)]
async fn what_does_not_add_up_is_looked_at() {
    let agent = Arc::new(Agent {
        answers: vec![Ok(Completed)],
        stream: Some(vec![Working, Completed]),
        ..Agent::default()
    });
    let wait = Wait {
        bytes_max: 1,
        history_length: Some(7),
        ..by(WaitMode::Streaming)
    };
    let waited = agent.client().send_and_wait(sends(""), &wait).await.unwrap();
    assert_eq!(waited, Waited::Task(task(Completed)));
    assert_eq!(agent.methods(), [Method::SendStreamingMessage, Method::GetTask]);
    let looked = agent.calls.lock().unwrap()[1].request.clone();
    assert!(
        matches!(&looked, Request::GetTask(request) if request.id == "t" && request.history_length == Some(7)),
        "{looked:?}"
    );
}

/// Notes what it is told.
#[derive(Default)]
struct Notes {
    told: Vec<&'static str>,
    wants_task: bool,
    /// It has enough after so many.
    patience: Option<usize>,
}

impl Watch for Notes {
    type Error = WaitError;

    fn see(&mut self, told: Told) -> Result<(), WaitError> {
        self.told.push(match told {
            Told::Event(_) => "event",
            Told::Task(_) => "task",
            Told::Message(_) => "message",
            Told::NoStreams => "no streams",
            Told::Broken(_) => "broken",
        });
        match self.patience {
            Some(patience) if patience <= self.told.len() => Err(WaitError {
                error: Error::NotSupported("enough".to_owned()),
                task_id: None,
            }),
            _ => Ok(()),
        }
    }

    fn wants_task(&self) -> bool {
        self.wants_task
    }
}

#[tokio::test(start_paused = true)]
async fn who_watches_is_told_what_happens() {
    let sending = || Following::Sending(Box::new(sends("")), Uploads::default());
    let subscribing = || {
        let request = SubscribeToTaskRequest {
            id: "t".to_owned(),
            ..SubscribeToTaskRequest::default()
        };
        Following::Subscribing(request, None)
    };
    type Case = (Following, Option<Vec<TaskState>>, bool, &'static [&'static str]);
    let cases: [Case; 6] = [
        (
            sending(),
            Some(vec![Working, Completed]),
            false,
            &["event", "event"],
        ),
        (
            sending(),
            Some(vec![Working, Completed]),
            true,
            &["event", "event", "task", "task"],
        ),
        (
            sending(),
            Some(vec![Working]),
            false,
            &["event", "broken", "task", "task"],
        ),
        (sending(), None, false, &["no streams", "task", "task"]),
        (
            subscribing(),
            Some(vec![Working]),
            false,
            &["event", "broken", "task", "task"],
        ),
        (
            subscribing(),
            Some(Vec::new()),
            false,
            &["broken", "task", "task"],
        ),
    ];
    for (following, stream, wants_task, told) in cases {
        let agent = Arc::new(Agent {
            answers: vec![Ok(Working), Ok(Completed)],
            stream,
            ..Agent::default()
        });
        let mut notes = Notes {
            wants_task,
            ..Notes::default()
        };
        let wait = by(WaitMode::Streaming);
        let followed = agent.client().follow(following, &wait, &mut notes).await;
        assert_eq!(followed.unwrap(), Followed::Task);
        assert_eq!(notes.told, told);
    }
}

#[tokio::test(start_paused = true)]
async fn who_watches_may_have_enough() {
    let agent = Agent::new(vec![Ok(Working)]);
    let mut notes = Notes {
        patience: Some(3),
        ..Notes::default()
    };
    let following = Following::Sending(Box::new(sends("")), Uploads::default());
    let wait = by(WaitMode::Polling);
    let error = agent
        .client()
        .follow(following, &wait, &mut notes)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("enough"), "{error}");
    assert_eq!(notes.told, ["task"; 3]);
}
