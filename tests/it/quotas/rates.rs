//! Requests by the minute.

use std::time::Duration;

use a2ad::config::{AgentConfig, AgentQuota, Quota};
use a2ad::error::Kind;
use a2ad::pb::ListTasksRequest;

use super::{each_principal, names, requests};
use crate::support::messages::{get, send};
use crate::support::wire::{Wire, for_each_binding};
use crate::support::world::Scenario;

for_each_binding!(
    beyond_the_rate_there_is_the_time_to_wait,
    an_agent_has_a_rate_for_all_together,
    who_waits_as_told_is_let_in,
);

async fn beyond_the_rate_there_is_the_time_to_wait(wire: Wire) {
    let world = each_principal(requests(3)).start().await;
    let client = world.client(wire);
    client.call(send("echo", "m", "x")).await.unwrap();
    // Every operation counts, also one that finds nothing.
    client.call(ListTasksRequest::default()).await.unwrap();
    client
        .call(get("echo", "none"))
        .await
        .unwrap_err()
        .is(Kind::TaskNotFound);
    for _ in 0..3 {
        let error = client.call(send("echo", "m", "x")).await.unwrap_err();
        let error = error.is(Kind::ResourceExhausted);
        names(&error, "requests_per_minute", "1", "principal");
        // Refused calls don't make it longer.
        let wait = error.retry_after().unwrap();
        assert!(
            wait > Duration::from_secs(30) && wait <= Duration::from_secs(60),
            "{wait:?}"
        );
        if wire != Wire::Grpc {
            let header: u64 = error.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert_eq!(
                Duration::from_secs(header),
                Duration::from_secs(wait.as_secs() + 1)
            );
        }
    }
    client
        .call(get("none", "x"))
        .await
        .unwrap_err()
        .is(Kind::NotFound);
}

async fn an_agent_has_a_rate_for_all_together(wire: Wire) {
    let scenario = Scenario::new().set(|config| {
        let quota = AgentQuota {
            requests_per_minute: Some(1),
            requests_burst: Some(2),
            ..AgentQuota::default()
        };
        let echo = AgentConfig {
            quota: Some(quota),
            ..AgentConfig::default()
        };
        config.agents.insert("echo".to_owned(), echo);
    });
    let world = scenario.start().await;
    let (one, other) = (world.client(wire), world.client(wire).from([127, 0, 0, 9]));
    one.call(send("echo", "m", "x")).await.unwrap();
    other.call(send("echo", "m", "x")).await.unwrap();
    for client in [one, other] {
        let error = client.call(send("echo", "m", "x")).await.unwrap_err();
        names(
            &error.is(Kind::ResourceExhausted),
            "requests_per_minute",
            "1",
            "agent",
        );
        client.call(send("plain", "m", "x")).await.unwrap();
    }
}

async fn who_waits_as_told_is_let_in(wire: Wire) {
    let world = each_principal(Quota {
        requests_per_minute: Some(600),
        requests_burst: Some(1),
        ..Quota::default()
    });
    let world = world.start().await;
    let client = world.client(wire);
    let mut refused = 0;
    for _ in 0..3 {
        while let Err(error) = client.call(send("echo", "m", "x")).await {
            refused += 1;
            let wait = error.is(Kind::ResourceExhausted).retry_after().unwrap();
            assert!(wait <= Duration::from_millis(100));
            tokio::time::sleep(wait).await;
        }
    }
    // Who waits as long as it is told is refused once at most for each call.
    assert!(refused <= 2, "{refused}");
}

#[tokio::test]
async fn each_entry_of_a_batch_is_a_request() {
    let world = each_principal(requests(3)).start().await;
    let client = world.client(Wire::JsonRpc);
    let one = r#"{"jsonrpc":"2.0","id":1,"method":"ListTasks"}"#;
    let reply = client.post(&format!("[{one},{one},{one},{one},{one}]")).await;
    assert_eq!(reply.status, 200);
    let answers = reply.json();
    let answers = answers.as_array().unwrap();
    let refused = answers.iter().filter(|answer| answer["error"]["code"] == -31429);
    let done = answers.iter().filter(|answer| answer["result"].is_object());
    assert_eq!((answers.len(), refused.count(), done.count()), (5, 2, 3));
}
