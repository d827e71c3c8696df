//! A stream ends with the credential that opened it.

use std::time::{Duration, Instant};

use a2ad::error::Kind;
use a2ad::pb::stream_response::Payload;
use serde_json::json;

use super::allow_all;
use super::issuer::{FileIssuer, now_s};
use crate::support::messages::{label, send, subscribe};
use crate::support::wire::Wire;
use crate::support::world::Scenario;

#[tokio::test]
async fn a_stream_ends_when_its_token_does_and_goes_on_with_the_next() {
    let file = FileIssuer::new();
    let world = Scenario::new()
        .set(|config| {
            file.trust(config);
            config.auth.clock_leeway_s = 0;
            config.auth.credential_interval_ms = 20;
            allow_all(config);
        })
        .start()
        .await;
    for wire in Wire::ALL {
        let begun = Instant::now();
        let short = file.issuer.token_of("ada", json!({"exp": now_s() + 3}));
        let client = world
            .client(wire)
            .with("authorization", &format!("Bearer {short}"));
        let mut events = client.stream(send("puppet", "m", "hold")).await.unwrap();
        let (_, first) = events.event().await;
        let Payload::Task(task) = &first else {
            panic!("{first:?}")
        };
        let error = loop {
            if let Err(error) = events.next().await.expect("an error before the end") {
                break error;
            }
        };
        assert!(
            begun.elapsed() < Duration::from_secs(15),
            "{wire:?}: {:?}",
            begun.elapsed()
        );
        // The head of the answer is gone already: on JSON-RPC the status is not that of the error.
        assert_eq!(
            &*error.reason,
            Kind::Unauthenticated.reason(),
            "{wire:?} {error:?}"
        );
        let last: u64 = error.metadata["lastGeneration"].parse().unwrap();
        let long = file.issuer.token_of("ada", json!({}));
        let client = world
            .client(wire)
            .with("authorization", &format!("Bearer {long}"));
        let mut events = client
            .behind(last)
            .stream(subscribe("puppet", &task.id))
            .await
            .unwrap();
        world.puppet.allow(1);
        let (generation, event) = events.event().await;
        assert_eq!(generation, last + 1, "{wire:?}");
        assert_eq!(label(&event), "COMPLETED", "{wire:?}");
    }
}
