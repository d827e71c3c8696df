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

/// A key that leaked is withdrawn: whoever came in with it has to go, whatever its token says of its own end.
#[tokio::test]
async fn a_stream_ends_when_the_key_of_its_token_is_withdrawn() {
    let file = FileIssuer::new();
    let world = Scenario::new()
        .set(|config| {
            file.trust(config);
            config.auth.reload_interval_ms = 20;
            config.auth.credential_interval_ms = 20;
            allow_all(config);
        })
        .start()
        .await;
    let token = file.issuer.token_of("ada", json!({}));
    let other = file
        .issuer
        .eddsa(&json!({"alg": "EdDSA", "kid": "ed"}), &file.issuer.claims("ada"));
    let mut streams = Vec::new();
    for wire in Wire::ALL {
        for token in [&token, &other] {
            let client = world
                .client(wire)
                .with("authorization", &format!("Bearer {token}"));
            let request = send("puppet", &format!("{wire:?}"), "hold");
            streams.push(client.stream(request).await.unwrap());
        }
    }
    let mut keys = file.issuer.jwks();
    keys["keys"].as_array_mut().unwrap().remove(0);
    file.publish(&keys);
    let mut kept = Vec::new();
    for (number, mut events) in streams.into_iter().enumerate() {
        if number % 2 == 1 {
            kept.push(events);
            continue;
        }
        let error = loop {
            if let Err(error) = events.next().await.expect("an error before the end") {
                break error;
            }
        };
        assert_eq!(&*error.reason, Kind::Unauthenticated.reason(), "{error:?}");
    }
    // The others are signed by a key that stayed.
    world.puppet.allow(2 * Wire::ALL.len());
    for events in kept {
        let last = events.all().await.pop().unwrap();
        assert_eq!(label(&last.1), "COMPLETED");
    }
}
