//! Push notification configurations.

use a2ad::error::Kind;
use a2ad::pb::{
    AuthenticationInfo, DeleteTaskPushNotificationConfigRequest, GetTaskPushNotificationConfigRequest,
    ListTaskPushNotificationConfigsRequest, TaskPushNotificationConfig,
};

use crate::support::messages::{configured, masked, reply, send, task};
use crate::support::wire::{Wire, for_each_binding};
use crate::support::world::{Scenario, World};

for_each_binding!(
    a_configuration_lives_from_its_making_to_its_end,
    configurations_come_in_pages_and_have_a_limit,
    a_send_may_bring_its_configuration,
    sends_bring_no_more_than_a_task_may_have,
    targets_and_secrets_are_checked,
    an_agent_without_push_says_so,
);

const AGENT: &str = "conformance";

fn config(task_id: &str, id: &str) -> TaskPushNotificationConfig {
    TaskPushNotificationConfig {
        tenant: AGENT.to_owned(),
        id: id.to_owned(),
        task_id: task_id.to_owned(),
        url: "https://example.com/hook".to_owned(),
        ..TaskPushNotificationConfig::default()
    }
}

fn one(task_id: &str, id: &str) -> GetTaskPushNotificationConfigRequest {
    GetTaskPushNotificationConfigRequest {
        tenant: AGENT.to_owned(),
        task_id: task_id.to_owned(),
        id: id.to_owned(),
    }
}

fn delete(task_id: &str, id: &str) -> DeleteTaskPushNotificationConfigRequest {
    DeleteTaskPushNotificationConfigRequest {
        tenant: AGENT.to_owned(),
        task_id: task_id.to_owned(),
        id: id.to_owned(),
    }
}

fn list(task_id: &str, page_size: i32, page_token: &str) -> ListTaskPushNotificationConfigsRequest {
    ListTaskPushNotificationConfigsRequest {
        tenant: AGENT.to_owned(),
        task_id: task_id.to_owned(),
        page_size,
        page_token: page_token.to_owned(),
    }
}

async fn a_configuration_lives_from_its_making_to_its_end(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    // A finished task takes configurations too.
    let done = task(client.call(send(AGENT, "tck-complete-task", "x")).await.unwrap());
    let authentication = AuthenticationInfo {
        scheme: "Bearer".to_owned(),
        credentials: "secret".to_owned(),
    };
    let asked = TaskPushNotificationConfig {
        token: "token".to_owned(),
        authentication: Some(authentication),
        ..config(&done.id, "mine")
    };
    let shown = masked(asked.clone());
    assert_eq!(client.call(asked).await.unwrap(), shown);
    assert_eq!(client.call(one(&done.id, "mine")).await.unwrap(), shown);
    let changed = TaskPushNotificationConfig {
        url: "https://example.com/other".to_owned(),
        ..config(&done.id, "mine")
    };
    assert_eq!(client.call(changed.clone()).await.unwrap(), changed);
    assert_eq!(client.call(one(&done.id, "mine")).await.unwrap(), changed);
    let unnamed = client.call(config(&done.id, "")).await.unwrap();
    assert!(!unnamed.id.is_empty());
    assert_eq!(client.call(list(&done.id, 0, "")).await.unwrap().configs.len(), 2);
    for _ in 0..2 {
        client.call(delete(&done.id, "mine")).await.unwrap();
    }
    client
        .call(one(&done.id, "mine"))
        .await
        .unwrap_err()
        .is(Kind::TaskNotFound);
    assert_eq!(
        client.call(list(&done.id, 0, "")).await.unwrap().configs,
        [unnamed]
    );
    client
        .call(config("nobody", "mine"))
        .await
        .unwrap_err()
        .is(Kind::TaskNotFound);
    client
        .call(one("nobody", "mine"))
        .await
        .unwrap_err()
        .is(Kind::TaskNotFound);
    client
        .call(list("nobody", 0, ""))
        .await
        .unwrap_err()
        .is(Kind::TaskNotFound);
    client
        .call(delete("nobody", "mine"))
        .await
        .unwrap_err()
        .is(Kind::TaskNotFound);
}

async fn configurations_come_in_pages_and_have_a_limit(wire: Wire) {
    let world = Scenario::new()
        .set(|config| config.limits.push_configs_per_task_max = 5)
        .start()
        .await;
    let client = world.client(wire);
    let done = task(client.call(send(AGENT, "tck-complete-task", "x")).await.unwrap());
    for id in ["c1", "c2", "c3", "c4", "c5"] {
        client.call(config(&done.id, id)).await.unwrap();
    }
    let error = client
        .call(config(&done.id, "c6"))
        .await
        .unwrap_err()
        .is(Kind::ResourceExhausted);
    assert!(error.message.contains('5'), "{error:?}");
    // Changing one of them is not one more.
    client.call(config(&done.id, "c5")).await.unwrap();
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = client.call(list(&done.id, 2, &token)).await.unwrap();
        seen.extend(page.configs.into_iter().map(|config| config.id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["c1", "c2", "c3", "c4", "c5"]);
    for (request, field) in [
        (list(&done.id, -1, ""), "pageSize"),
        (list(&done.id, 101, ""), "pageSize"),
        (list(&done.id, 1, "a/b"), "pageToken"),
    ] {
        let error = client.call(request).await.unwrap_err().is(Kind::InvalidParams);
        assert_eq!(error.fields, [field]);
    }
}

async fn a_send_may_bring_its_configuration(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let inline = TaskPushNotificationConfig {
        tenant: String::new(),
        ..config("", "inline")
    };
    let request = configured(send(AGENT, "tck-complete-task", "x"), |configuration| {
        configuration.task_push_notification_config = Some(inline.clone());
    });
    let done = task(client.call(request).await.unwrap());
    assert_eq!(
        client.call(one(&done.id, "inline")).await.unwrap(),
        config(&done.id, "inline")
    );
}

async fn sends_bring_no_more_than_a_task_may_have(wire: Wire) {
    let world = Scenario::new()
        .set(|config| config.limits.push_configs_per_task_max = 2)
        .start()
        .await;
    let client = world.client(wire);
    let bringing = |request, id: &str| {
        let inline = TaskPushNotificationConfig {
            tenant: String::new(),
            ..config("", id)
        };
        configured(request, |configuration| {
            configuration.task_push_notification_config = Some(inline);
        })
    };
    let begun = send(AGENT, "tck-input-required", "x");
    let waiting = task(client.call(bringing(begun, "c1")).await.unwrap());
    let again = |id| bringing(reply(AGENT, &waiting, "m", "y"), id);
    client.call(again("c2")).await.unwrap();
    // One that the task has is not one more.
    client.call(again("c2")).await.unwrap();
    client
        .call(again("c3"))
        .await
        .unwrap_err()
        .is(Kind::ResourceExhausted);
}

async fn targets_and_secrets_are_checked(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let done = task(client.call(send(AGENT, "tck-complete-task", "x")).await.unwrap());
    let with = |url: &str, token: &str, credentials: &str| TaskPushNotificationConfig {
        url: url.to_owned(),
        token: token.to_owned(),
        authentication: Some(AuthenticationInfo {
            scheme: "Bearer".to_owned(),
            credentials: credentials.to_owned(),
        }),
        ..config(&done.id, "mine")
    };
    for (request, field) in [
        (with("http://127.0.0.1:1/", "", ""), "url"),
        (with("https://10.0.0.1/", "", ""), "url"),
        (with("https://u:p@example.com/", "", ""), "url"),
        (with("", "", ""), "url"),
        (with("https://example.com/", "a\r\nb", ""), "token"),
        (
            with("https://example.com/", "", "a\r\nb"),
            "authentication.credentials",
        ),
        (
            TaskPushNotificationConfig {
                id: "a/b".to_owned(),
                ..config(&done.id, "")
            },
            "id",
        ),
    ] {
        let error = client
            .call(request.clone())
            .await
            .unwrap_err()
            .is(Kind::InvalidParams);
        assert_eq!(error.fields, [field], "{request:?}");
    }
    assert_eq!(client.call(list(&done.id, 0, "")).await.unwrap().configs, []);
    // Loopback is for development, by plain http too.
    let world = Scenario::new()
        .set(|config| config.push.allow_loopback_webhooks = true)
        .start()
        .await;
    let client = world.client(wire);
    let done = task(client.call(send(AGENT, "tck-complete-task", "x")).await.unwrap());
    let local = TaskPushNotificationConfig {
        url: "http://127.0.0.1:1/".to_owned(),
        ..config(&done.id, "mine")
    };
    assert_eq!(client.call(local.clone()).await.unwrap(), local);
}

async fn an_agent_without_push_says_so(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let done = task(client.call(send("plain", "m", "x")).await.unwrap());
    let tenant = || "plain".to_owned();
    let kind = Kind::PushNotificationNotSupported;
    client
        .call(TaskPushNotificationConfig {
            tenant: tenant(),
            ..config(&done.id, "a")
        })
        .await
        .unwrap_err()
        .is(kind);
    let get = GetTaskPushNotificationConfigRequest {
        tenant: tenant(),
        ..one(&done.id, "a")
    };
    client.call(get).await.unwrap_err().is(kind);
    let list = ListTaskPushNotificationConfigsRequest {
        tenant: tenant(),
        ..list(&done.id, 0, "")
    };
    client.call(list).await.unwrap_err().is(kind);
    let delete = DeleteTaskPushNotificationConfigRequest {
        tenant: tenant(),
        ..delete(&done.id, "a")
    };
    client.call(delete).await.unwrap_err().is(kind);
    let inline = configured(send("plain", "m", "x"), |configuration| {
        configuration.task_push_notification_config = Some(config("", "a"));
    });
    client.call(inline).await.unwrap_err().is(kind);
}
