//! What was sealed for one caller is worth nothing when a bit of it changes, or in other hands.

use a2ad::error::Kind;
use a2ad::pb::ListTasksRequest;
use serde_json::json;

use super::allow_all;
use super::issuer::FileIssuer;
use crate::support::messages::send;
use crate::support::wire::{TestClient, Wire};
use crate::support::world::{Scenario, World};

async fn world(file: &FileIssuer) -> World {
    Scenario::new()
        .set(|config| {
            file.trust(config);
            allow_all(config);
        })
        .start()
        .await
}

fn client(world: &World, wire: Wire, file: &FileIssuer, name: &str) -> TestClient {
    let token = file.issuer.token_of(name, json!({}));
    world
        .client(wire)
        .with("authorization", &format!("Bearer {token}"))
}

fn page(token: &str) -> ListTasksRequest {
    ListTasksRequest {
        page_size: Some(1),
        page_token: token.to_owned(),
        ..ListTasksRequest::default()
    }
}

#[tokio::test]
async fn a_page_token_is_whole_and_its_owners_or_refused() {
    let file = FileIssuer::new();
    let world = world(&file).await;
    let (mut refused, mut wires) = (0, 0);
    for wire in Wire::ALL {
        let ada = client(&world, wire, &file, "ada");
        for n in 0..2 {
            ada.call(send("", &format!("{wire:?}-{n}"), "hello"))
                .await
                .unwrap();
        }
        let token = ada.call(page("")).await.unwrap().next_page_token;
        assert_eq!(ada.call(page(&token)).await.unwrap().tasks.len(), 1);
        let others = client(&world, wire, &file, "eve").call(page(&token)).await;
        others.unwrap_err().is(Kind::InvalidParams);
        for place in 0..token.len() {
            for bit in [0, 3] {
                let mut bytes = token.clone().into_bytes();
                bytes[place] ^= 1 << bit;
                if !bytes[place].is_ascii_graphic() {
                    continue;
                }
                let changed = String::from_utf8(bytes).unwrap();
                let answer = ada.call(page(&changed)).await;
                answer.expect_err(&changed).is(Kind::InvalidParams);
                refused += 1;
            }
        }
        wires += 1;
    }
    println!("{refused} changed page tokens on {wires} bindings, 0 taken");
    assert!(refused > 200);
}

/// Every bit of a token in turn, also of its signature: none of them may change without the token being refused.
#[tokio::test]
async fn a_token_is_whole_or_refused() {
    let file = FileIssuer::new();
    let world = world(&file).await;
    let token = file.issuer.token(&file.issuer.claims("ada"));
    let mut refused = 0;
    for place in 0..token.len() {
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[place] ^= 1 << bit;
            if !(bytes[place].is_ascii_alphanumeric() || b"-_.".contains(&bytes[place])) {
                continue;
            }
            let changed = String::from_utf8(bytes).unwrap();
            let client = world
                .client(Wire::Grpc)
                .with("authorization", &format!("Bearer {changed}"));
            let answer = client.call(ListTasksRequest::default()).await;
            answer.expect_err(&changed).is(Kind::Unauthenticated);
            refused += 1;
        }
    }
    println!("{refused} changed tokens, 0 taken");
    assert!(refused > 1_000);
}
