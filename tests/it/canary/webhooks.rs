//! Configurations whose deliveries fail in every way there is.

use std::collections::BTreeMap;

use a2ad::pb::{AuthenticationInfo, TaskPushNotificationConfig};

use super::search::{self, Canary};
use crate::audit::program::Caller;
use crate::support::messages::{configured, send};
use crate::support::webhook::{Answer, Webhook};

/// A configuration with all of its secrets.
pub fn push_config(
    canaries: &BTreeMap<&str, Canary>,
    url: String,
    task_id: &str,
) -> TaskPushNotificationConfig {
    TaskPushNotificationConfig {
        tenant: "conformance".to_owned(),
        id: "config".to_owned(),
        task_id: task_id.to_owned(),
        url,
        token: canaries["push token"].text.clone(),
        authentication: Some(AuthenticationInfo {
            scheme: "Bearer".to_owned(),
            credentials: canaries["push credentials"].text.clone(),
        }),
    }
}

/// Every way in which a receiver can fail.
fn failures() -> [Answer; 8] {
    [
        Answer::Status(500),
        Answer::Status(401),
        Answer::With(503, "Retry-After: 0".to_owned()),
        Answer::With(307, "Location: http://127.0.0.1:9/elsewhere".to_owned()),
        Answer::With(429, "WWW-Authenticate: Bearer".to_owned()),
        Answer::Never,
        Answer::HalfClosed,
        Answer::Garbage,
    ]
}

/// Deliveries to webhooks that take none of them: by every failure in turn until they are dead letters, where nobody
/// listens, where nobody speaks TLS, and to one that is gone for good.
pub async fn deliver_in_vain(caller: &Caller, canaries: &BTreeMap<&str, Canary>) {
    let failures = failures();
    let ways = failures.len();
    let failing = Webhook::new(move |number, _| failures[number % ways].clone()).await;
    let gone = Webhook::new(|_, _| Answer::Status(410)).await;
    let query = search::percent(&canaries["webhook query"].text);
    let path = format!("/a?token={query}");
    for url in [
        failing.url(&path),
        gone.url(&path),
        format!("http://127.0.0.1:1{path}"),
        format!("https://{}{path}", gone.address),
    ] {
        let config = push_config(canaries, url, "");
        let request = configured(send("conformance", "tck-complete-task", "x"), |configuration| {
            configuration.task_push_notification_config = Some(config);
        });
        caller.grpc().send_message(request).await.unwrap();
    }
    let received = failing.wait(ways).await;
    gone.wait(1).await;
    // They do come with all of their secrets.
    let credentials = &canaries["push credentials"].text;
    assert_eq!(
        received[3].header("authorization"),
        format!("Bearer {credentials}")
    );
    assert_eq!(
        received[3].header("a2a-notification-token"),
        canaries["push token"].text
    );
}
