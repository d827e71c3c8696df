//! What callers do, as the protocol has it.

use a2ad::error::Kind;
use a2ad::pb::{
    CancelTaskRequest, DeleteTaskPushNotificationConfigRequest, GetTaskPushNotificationConfigRequest,
    ListTaskPushNotificationConfigsRequest, ListTasksRequest, TaskPushNotificationConfig, TaskState,
};
use a2ad::repository::conformance::push_config;
use futures_util::future::LocalBoxFuture;

use super::caller::{Caller, INTERRUPTED_TTL};
use crate::support::engine::{assert_dense, call};
use crate::support::messages::{Event, at_once, get, reply, send, state};

type Scenario = for<'a> fn(&'a mut Caller) -> LocalBoxFuture<'a, ()>;

pub const SCENARIOS: [(&str, Scenario); 9] = [
    ("a blocking send", |caller| Box::pin(blocking(caller))),
    ("a send that is read afterwards", |caller| {
        Box::pin(at_once_and_read(caller))
    }),
    ("a streaming send", |caller| Box::pin(streaming(caller))),
    ("a question and its answer", |caller| Box::pin(turns(caller))),
    ("a cancel", |caller| Box::pin(cancel(caller))),
    ("a listing", |caller| Box::pin(listing(caller))),
    ("webhooks", |caller| Box::pin(webhooks(caller))),
    ("a question that nobody answers", |caller| {
        Box::pin(expiry(caller))
    }),
    ("a restart", |caller| Box::pin(restart(caller))),
];

async fn blocking(caller: &mut Caller) {
    let request = send("again", "one", "w p1 a1 c1 s20 done");
    let task = caller.send(request.clone()).await;
    assert_eq!(state(&task), TaskState::Completed);
    let read = caller
        .insist(async |service| service.get_task(&call(), get("again", &task.id)).await)
        .await;
    assert_eq!(read, task);
    // Once more: the same task, as it is.
    assert_eq!(caller.send(request).await, task);
}

async fn at_once_and_read(caller: &mut Caller) {
    let task = caller
        .send(at_once(send("again", "one", "w s50 a1 c1 c1 s50 p1 c1 done")))
        .await;
    let mut events = Vec::new();
    events.extend(caller.log("again", &task.id).await.into_iter().take(1));
    caller.resume("again", &task.id, &mut events).await;
    assert_eq!(events, caller.log("again", &task.id).await);
}

async fn streaming(caller: &mut Caller) {
    let (task, events) = caller
        .stream(send("again", "one", "w a1 c1 s30 c1 c1 s30 p1 p2 p3 done"))
        .await;
    assert_dense(&events, 1);
    assert_eq!(events, caller.log("again", &task.id).await);
}

async fn turns(caller: &mut Caller) {
    let asked = caller.send(send("again", "one", "w s10 ask")).await;
    assert_eq!(state(&asked), TaskState::InputRequired);
    let done = caller.send(reply("again", &asked, "two", "w s10 done")).await;
    assert_eq!((&done.id, state(&done)), (&asked.id, TaskState::Completed));
    let late = reply("again", &asked, "three", "done");
    let kind =
        caller.refused(async |service| service.send_message(&Caller::keyed(&late), late.clone()).await);
    assert_eq!(kind.await, Kind::UnsupportedOperation);
}

async fn cancel(caller: &mut Caller) {
    let task = caller.send(at_once(send("again", "one", "w never"))).await;
    let request = CancelTaskRequest {
        tenant: "again".to_owned(),
        id: task.id.clone(),
        ..CancelTaskRequest::default()
    };
    let canceled = caller
        .insist(async |service| service.cancel_task(&call(), request.clone()).await)
        .await;
    assert_eq!(state(&canceled), TaskState::Canceled);
    let again = caller
        .insist(async |service| service.cancel_task(&call(), request.clone()).await)
        .await;
    assert_eq!(again, canceled);
    let done = caller.send(send("again", "two", "done")).await;
    let request = CancelTaskRequest {
        id: done.id,
        ..request
    };
    let kind = caller
        .refused(async |service| service.cancel_task(&call(), request.clone()).await)
        .await;
    assert_eq!(kind, Kind::TaskNotCancelable);
}

async fn listing(caller: &mut Caller) {
    let mut expected = Vec::new();
    for (id, script) in [
        ("one", "done"),
        ("two", "ask"),
        ("three", "w done"),
        ("four", "fail"),
    ] {
        expected.push(caller.send(send("again", id, script)).await.id);
    }
    let mut request = ListTasksRequest {
        tenant: "again".to_owned(),
        page_size: Some(3),
        ..ListTasksRequest::default()
    };
    let mut found = Vec::new();
    loop {
        let page = caller
            .insist(async |service| service.list_tasks(&call(), request.clone()).await)
            .await;
        assert_eq!(page.total_size, 4);
        found.extend(page.tasks.into_iter().map(|task| task.id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

async fn webhooks(caller: &mut Caller) {
    let task = caller.send(send("again", "one", "ask")).await;
    let config = TaskPushNotificationConfig {
        tenant: "again".to_owned(),
        ..push_config(&task.id, "hook", "https://example.org/hook")
    };
    let put = async |service: &a2ad::service::AgentService| {
        service
            .create_task_push_notification_config(&call(), config.clone())
            .await
    };
    caller.insist(put).await;
    let one = GetTaskPushNotificationConfigRequest {
        tenant: "again".to_owned(),
        task_id: task.id.clone(),
        id: "hook".to_owned(),
    };
    let got = async |service: &a2ad::service::AgentService| {
        service
            .get_task_push_notification_config(&call(), one.clone())
            .await
    };
    assert_eq!(caller.insist(got).await.url, config.url);
    let gone = DeleteTaskPushNotificationConfigRequest {
        tenant: "again".to_owned(),
        task_id: task.id.clone(),
        id: "hook".to_owned(),
    };
    let delete = async |service: &a2ad::service::AgentService| {
        service
            .delete_task_push_notification_config(&call(), gone.clone())
            .await
    };
    caller.insist(delete).await;
    // A deletion or a put that arrives late may still be under way; what is listed is settled behind the last answer.
    let all = ListTaskPushNotificationConfigsRequest {
        tenant: "again".to_owned(),
        task_id: task.id,
        ..ListTaskPushNotificationConfigsRequest::default()
    };
    let list = async |service: &a2ad::service::AgentService| {
        service
            .list_task_push_notification_configs(&call(), all.clone())
            .await
    };
    let listed = caller.insist(list).await;
    assert!(listed.configs.iter().all(|config| config.id == "hook"));
}

async fn expiry(caller: &mut Caller) {
    let asked = caller.send(send("again", "one", "w s10 ask")).await;
    while ends(caller, &asked.id).await == TaskState::InputRequired {
        tokio::time::sleep(INTERRUPTED_TTL).await;
    }
    assert_eq!(ends(caller, &asked.id).await, TaskState::Failed);
}

/// The state that the log of a task ends with.
async fn ends(caller: &Caller, id: &str) -> TaskState {
    let log = caller.log("again", id).await;
    log.iter()
        .filter_map(|event| event.state)
        .next_back()
        .expect("a state")
}

async fn restart(caller: &mut Caller) {
    let again = caller
        .send(at_once(send("again", "one", "w s500 a1 c1 done")))
        .await;
    let once = caller.send(at_once(send("once", "two", "w s500 done"))).await;
    caller.restart().await;
    for (agent, id) in [("again", again.id), ("once", once.id)] {
        let mut events: Vec<_> = caller.log(agent, &id).await.into_iter().take(1).collect();
        caller.resume(agent, &id, &mut events).await;
        let log = caller.log(agent, &id).await;
        assert_eq!(events, log);
        // With a slow database, the agent may have been done before.
        let interrupted = log
            .iter()
            .filter_map(|event| event.decode().ok())
            .any(|event| match event {
                Event::StatusUpdate(update) => format!("{update:?}").contains("the server"),
                _ => false,
            });
        let failed = interrupted && agent == "once";
        let end = if failed {
            TaskState::Failed
        } else {
            TaskState::Completed
        };
        assert_eq!(log.last().and_then(|event| event.state), Some(end));
    }
}
