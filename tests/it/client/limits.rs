//! Every limit of [`ClientSettings`] that has no test elsewhere: what it holds back, and that the rest goes on.

use std::sync::Arc;
use std::time::Duration;

use a2ad::client::{Client, ClientBuilder, ClientSettings, Error};
use a2ad::context::Binding;
use serde_json::{Value, json};

use super::harness::{BINDINGS, client_of};
use super::raw_host::{Bytes, RawHost};
use super::site::{Site, answer, card};
use crate::egress::world::{Names, Recorder};
use crate::sockets::soon;
use crate::support::messages::get;

const NAME: &str = "agents.example.com";

fn builder(settings: ClientSettings) -> ClientBuilder {
    Client::builder().settings(settings)
}

#[tokio::test]
async fn connecting_has_its_time() {
    let settings = ClientSettings {
        connect_timeout: Duration::from_millis(50),
        ..ClientSettings::default()
    };
    let names = Arc::<Names>::default();
    names.set(NAME, &[&["8.8.8.8"]]);
    let nobody = Arc::new(Recorder::new(([127, 0, 0, 1], 1).into(), &["8.8.8.8"]));
    let builder = builder(settings).network(names, nobody.clone());
    let url = format!("http://{NAME}");
    let found = soon("an end", builder.resolve(&url.parse().unwrap())).await;
    let error = found.unwrap_err();
    assert!(
        matches!(&error, Error::Unreachable { cause, .. } if cause.contains("in time")),
        "{error:?}"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("card.json").display().to_string();
    for binding in BINDINGS {
        let interface = json!([{"url": url, "protocolBinding": binding.as_str(), "protocolVersion": "1.0"}]);
        let text = card("x", "", json!({ "supportedInterfaces": interface })).to_string();
        std::fs::write(&file, text).unwrap();
        let client = builder.connect(file.as_str()).await.unwrap();
        let error = soon("an end", client.task(get("", "t"))).await.unwrap_err();
        assert!(
            matches!(&error, Error::Unreachable { cause, .. } if cause.contains("in time")),
            "{binding:?}: {error:?}"
        );
    }
}

/// Who owes an answer on gRPC and is silent is asked whether it is still there.
#[tokio::test]
async fn silence_on_grpc_is_looked_into() {
    // The settings of a server, and nothing more.
    let host = RawHost::new(Bytes::new(*b"\0\0\0\x04\0\0\0\0\0")).await;
    let settings = ClientSettings {
        ping_interval: Duration::from_millis(20),
        ..ClientSettings::default()
    };
    let client = client_of(&host.url(), Binding::Grpc, "", &settings).await;
    let asked = async {
        // Eight bytes of a frame of type 6, on the connection itself.
        while !host.heard().contains("\0\0\u{8}\u{6}\0\0\0\0\0") {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answered = client.task(get("", "t")) => panic!("{answered:?}"),
        () = soon("a ping", asked) => {}
    }
}

#[tokio::test]
async fn only_so_many_interfaces_are_instances() {
    let interfaces: Vec<Value> = (1..=5)
        .map(|port| {
            json!({"url": format!("http://127.0.0.1:{port}"), "protocolBinding": "GRPC", "protocolVersion": "1.0"})
        })
        .collect();
    let site = Site::of(card("x", "", json!({ "supportedInterfaces": interfaces })).to_string()).await;
    let reference = site.address.to_string().parse().unwrap();
    for (instances_max, count) in [(2, 2), (16, 5)] {
        let builder = builder(ClientSettings {
            instances_max,
            ..ClientSettings::default()
        });
        let resolved = builder.resolve(&reference).await.unwrap();
        assert_eq!(builder.instances(&resolved).await.unwrap().len(), count);
    }
}

/// The third call finds two connections in use, and none free in time.
#[tokio::test]
async fn only_so_many_connections_are_open() {
    for binding in [Binding::JsonRpc, Binding::HttpJson] {
        let silent = RawHost::new(Bytes::new("")).await;
        let settings = ClientSettings {
            connections_max: 2,
            connect_timeout: Duration::from_millis(100),
            ..ClientSettings::default()
        };
        let client = client_of(&silent.url(), binding, "", &settings).await;
        let third = async {
            while silent.connections() < 2 {
                tokio::task::yield_now().await;
            }
            client.task(get("", "3")).await
        };
        tokio::select! {
            answered = client.task(get("", "1")) => panic!("{answered:?}"),
            answered = client.task(get("", "2")) => panic!("{answered:?}"),
            answered = soon("an end", third) => {
                let error = answered.unwrap_err();
                assert!(matches!(error, Error::HeldBack(_)), "{binding:?}: {error:?}");
            }
        }
        assert_eq!(silent.connections(), 2);
    }
}

/// Whatever its server allows, a card is used no longer than the settings say, and kept in no more room.
#[tokio::test]
async fn cards_are_kept_within_limits() {
    let default = ClientSettings::default;
    for (settings, requests) in [
        (default(), 1),
        (
            ClientSettings {
                card_fresh_max: Duration::ZERO,
                ..default()
            },
            3,
        ),
        (
            ClientSettings {
                card_cache_bytes_max: 100,
                ..default()
            },
            3,
        ),
    ] {
        let site = Site::start(|_| {
            let card = card("x", "http://127.0.0.1:1", json!({})).to_string();
            answer(200, &[("cache-control", "max-age=600")], card)
        })
        .await;
        let builder = builder(settings.clone());
        for _ in 0..3 {
            builder
                .resolve(&site.url("/card.json").parse().unwrap())
                .await
                .unwrap();
        }
        assert_eq!(site.asked().len(), requests, "{settings:?}");
    }
}

#[tokio::test]
async fn catalogs_have_only_so_many_entries() {
    let entry = |name: &str| card(name, "http://127.0.0.1:1", json!({}));
    let site = Site::of(json!({"agents": [entry("a"), entry("b"), entry("c")]}).to_string()).await;
    let reference = site.url("/catalog.json#b").parse().unwrap();
    for (catalog_entries_max, is_taken) in [(3, true), (2, false)] {
        let builder = builder(ClientSettings {
            catalog_entries_max,
            ..ClientSettings::default()
        });
        let found = builder.resolve(&reference).await;
        assert_eq!(found.is_ok(), is_taken, "{found:?}");
        if let Err(error) = found {
            assert!(
                matches!(&error, Error::Card(why) if why.contains("3 entries")),
                "{error:?}"
            );
        }
    }
}
