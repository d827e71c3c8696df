//! Configurations that can't be, and what is shown of those that can.

use a2ad::error::Kind;
use a2ad::pb::AuthenticationInfo;
use a2ad::push::EVENTS_EXTENSION;

use super::{AGENT, bearer, begin, hook, one, scenario};
use crate::support::messages::{at_once, send, task};
use crate::support::wire::{Wire, for_each_binding};

for_each_binding!(
    secrets_are_never_shown_again,
    what_can_not_be_sent_is_refused,
    events_are_chosen_by_those_who_know_how,
);

const URL: &str = "https://example.com/hook";

async fn secrets_are_never_shown_again(wire: Wire) {
    let world = scenario().start().await;
    let client = world.client(wire);
    let begun = task(client.call(at_once(send(AGENT, "m", "hold"))).await.unwrap());
    let mut config = hook(&begun.id, "c", URL.to_owned());
    (config.token, config.authentication) = ("secret".to_owned(), bearer("secret"));
    let mut masked = config.clone();
    (masked.token, masked.authentication) = ("***".to_owned(), bearer("***"));
    assert_eq!(client.call(config.clone()).await.unwrap(), masked);
    assert_eq!(client.call(one(&begun.id, "c")).await.unwrap(), masked);
    let list = a2ad::pb::ListTaskPushNotificationConfigsRequest {
        tenant: AGENT.to_owned(),
        task_id: begun.id.clone(),
        ..Default::default()
    };
    assert_eq!(client.call(list).await.unwrap().configs, [masked.clone()]);
    // What was shown is no secret, and must not become one.
    for (change, field) in [
        (hook(&begun.id, "c", URL.to_owned()), None),
        (masked.clone(), Some("token")),
        (
            a2ad::pb::TaskPushNotificationConfig {
                token: "x".to_owned(),
                ..masked
            },
            Some("authentication.credentials"),
        ),
    ] {
        let answer = client.call(change).await;
        match field {
            None => drop(answer.unwrap()),
            Some(field) => {
                let error = answer.unwrap_err().is(Kind::InvalidParams);
                assert_eq!(error.fields, [field]);
                assert!(
                    format!("{error:?}").contains("send the secret itself"),
                    "{error:?}"
                );
            }
        }
    }
}

async fn what_can_not_be_sent_is_refused(wire: Wire) {
    let world = scenario().start().await;
    let client = world.client(wire);
    let begun = task(client.call(at_once(send(AGENT, "m", "hold"))).await.unwrap());
    for (scheme, credentials, field) in [
        ("Digest", "x", "authentication.scheme"),
        ("two words", "x", "authentication.scheme"),
        ("Bearer", "", "authentication.credentials"),
    ] {
        let authentication = Some(AuthenticationInfo {
            scheme: scheme.to_owned(),
            credentials: credentials.to_owned(),
        });
        let mut config = hook(&begun.id, "c", URL.to_owned());
        config.authentication = authentication;
        let error = client
            .call(config.clone())
            .await
            .unwrap_err()
            .is(Kind::InvalidParams);
        assert_eq!(error.fields, [field], "{scheme}");
        config.task_id = String::new();
        let error = client
            .call(begin("hold", config))
            .await
            .unwrap_err()
            .is(Kind::InvalidParams);
        let inline = format!("configuration.taskPushNotificationConfig.{field}");
        assert_eq!(error.fields, [inline], "{scheme}");
    }
}

async fn events_are_chosen_by_those_who_know_how(wire: Wire) {
    let world = scenario().start().await;
    let client = world.client(wire);
    let begun = task(client.call(at_once(send(AGENT, "m", "hold"))).await.unwrap());
    let chosen = |events: &str| hook(&begun.id, "c", format!("{URL}#a2ad-push-events={events}"));
    let error = client
        .call(chosen("terminal"))
        .await
        .unwrap_err()
        .is(Kind::InvalidParams);
    assert_eq!(error.fields, ["url"]);
    assert!(format!("{error:?}").contains(EVENTS_EXTENSION), "{error:?}");
    let knowing = client.with("a2a-extensions", EVENTS_EXTENSION);
    for wrong in ["", "everything", "task,,status"] {
        let error = knowing
            .call(chosen(wrong))
            .await
            .unwrap_err()
            .is(Kind::InvalidParams);
        assert_eq!(error.fields, ["url"], "{wrong}");
    }
    knowing.call(chosen("terminal")).await.unwrap();
}
