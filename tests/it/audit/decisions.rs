//! Records of what is decided beside calls: streams that are ended, private cards, and what retention removes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use a2ad::audit::{Kind, Record};
use a2ad::config::{AgentConfig, Config, DefaultAccess, Quota};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::program::records;
use crate::binary::PROGRAM;
use crate::identity::issuer::{FileIssuer, ISSUER, now_s};
use crate::support::engine::eventually;
use crate::support::messages::send;
use crate::support::wire::{EventReader, TestClient, Wire};
use crate::support::world::{Scenario, World};

/// Callers with tokens, who may do everything, and a file of records.
struct Place {
    issuer: FileIssuer,
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            issuer: FileIssuer::new(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    fn set(&self, config: &mut Config) {
        self.issuer.trust(config);
        config.access.default = DefaultAccess::Allow;
        config.audit.file = Some(self.file().display().to_string());
        config.audit.sync_interval_ms = 20;
        config.auth.credential_interval_ms = 20;
    }

    fn client(&self, world: &World, wire: Wire, id: &str, claims: Value) -> TestClient {
        let token = self.issuer.issuer.token_of("ada", claims);
        world
            .client(wire)
            .with("authorization", &format!("Bearer {token}"))
            .with("x-request-id", id)
    }

    /// The records of a kind, once the runtime has ended.
    async fn records(&self, mut world: World, kind: Kind) -> Vec<Record<'static>> {
        // Tasks outlive their readers, and the end waits for them.
        world.puppet.allow(100);
        world.stop();
        world.ended().await;
        let text = std::fs::read_to_string(self.file()).unwrap();
        let mut all = records(&text);
        all.retain(|record| record.kind == kind);
        all
    }
}

/// Reads a stream to the error that it ends with.
async fn broken_off(mut events: EventReader) {
    while events.next().await.expect("an error before the end").is_ok() {}
}

/// Request ids and outcomes.
fn outcomes(records: &[Record<'static>]) -> BTreeMap<String, String> {
    let told: BTreeMap<_, _> = records
        .iter()
        .map(|record| {
            let id = record.request_id.as_deref().unwrap().to_owned();
            (id, record.outcome.clone().into_owned())
        })
        .collect();
    assert_eq!(told.len(), records.len(), "one record for each: {records:?}");
    told
}

fn is_of_a_stream(record: &Record<'_>) {
    assert_eq!(record.principal.as_deref(), Some(&*format!("jwt:{ISSUER}#ada")));
    assert_eq!(record.credential.as_deref(), Some("jwt"));
    assert_eq!(record.agent.as_deref(), Some("puppet"));
    assert_eq!(record.method.as_deref(), Some("SendStreamingMessage"));
    assert!(record.peer.is_some() && record.binding.is_some());
    assert!(record.task_id.is_some() && record.credential_id.is_some());
}

#[tokio::test]
async fn a_stream_whose_token_or_key_ends_has_one_record() {
    let place = Place::new();
    let world = Scenario::new()
        .set(|config| {
            place.set(config);
            config.auth.clock_leeway_s = 0;
            config.auth.reload_interval_ms = 20;
        })
        .start()
        .await;
    let mut streams = Vec::new();
    let mut expected = BTreeMap::new();
    for wire in Wire::ALL {
        let short = json!({"exp": now_s() + 3});
        for (claims, outcome) in [(short, "expired"), (json!({}), "signature")] {
            let id = format!("{wire:?}-{outcome}");
            let client = place.client(&world, wire, &id, claims);
            streams.push(client.stream(send("puppet", &id, "hold")).await.unwrap());
            expected.insert(id, outcome.to_owned());
        }
        // One that comes to its end by itself has none.
        let client = place.client(&world, wire, &format!("{wire:?}-whole"), json!({}));
        client
            .stream(send("echo", &format!("{wire:?}-whole"), "x"))
            .await
            .unwrap()
            .all()
            .await;
    }
    let (short, long): (Vec<_>, Vec<_>) = streams.into_iter().enumerate().partition(|(at, _)| at % 2 == 0);
    for (_, stream) in short {
        broken_off(stream).await;
    }
    let mut keys = place.issuer.issuer.jwks();
    keys["keys"].as_array_mut().unwrap().remove(0);
    place.issuer.publish(&keys);
    for (_, stream) in long {
        broken_off(stream).await;
    }
    let records = place.records(world, Kind::Stream).await;
    assert_eq!(outcomes(&records), expected);
    records.iter().for_each(is_of_a_stream);
}

#[tokio::test]
async fn a_stream_whose_key_is_revoked_has_one_record() {
    let place = Place::new();
    let world = Scenario::new()
        .sqlite()
        .set(|config| {
            place.set(config);
            config.auth.api_keys.enabled = true;
            config.auth.api_keys.cache_ttl_ms = 0;
        })
        .start()
        .await;
    let url = format!("sqlite://{}", world.database().display());
    let keys = |arguments: &[&str]| {
        let command = Command::new(PROGRAM)
            .arg("keys")
            .args(arguments)
            .args(["--database", &url])
            .output()
            .unwrap();
        assert!(command.status.success(), "{command:?}");
        String::from_utf8(command.stdout).unwrap().trim().to_owned()
    };
    let key = keys(&["create", "ci"]);
    let id = key.split('_').nth(1).unwrap();
    let client = world
        .client(Wire::Grpc)
        .with("x-api-key", &key)
        .with("x-request-id", "revoked");
    let stream = client.stream(send("puppet", "m", "hold")).await.unwrap();
    keys(&["revoke", id]);
    broken_off(stream).await;
    let records = place.records(world, Kind::Stream).await;
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0].outcome, "unknown-key");
    assert_eq!(records[0].request_id.as_deref(), Some("revoked"));
    assert_eq!(records[0].principal.as_deref(), Some("key:ci"));
    assert_eq!(records[0].credential_id.as_deref(), Some(id));
}

#[tokio::test]
async fn a_stream_that_has_used_up_its_bytes_has_one_record() {
    let place = Place::new();
    let world = Scenario::new()
        .set(|config| {
            place.set(config);
            config.quotas.principal = Quota {
                bytes_per_minute: Some(60_000),
                bytes_burst: Some(30_000),
                ..Quota::default()
            };
        })
        .start()
        .await;
    world.puppet.allow(9);
    let client = place.client(&world, Wire::Grpc, "greedy", json!({}));
    let stream = client.stream(send("puppet", "m", "steps 8 40000")).await.unwrap();
    broken_off(stream).await;
    let records = place.records(world, Kind::Stream).await;
    let expected = [("greedy".to_owned(), "RESOURCE_EXHAUSTED".to_owned())];
    assert_eq!(outcomes(&records), BTreeMap::from(expected));
    records.iter().for_each(is_of_a_stream);
}

#[tokio::test]
async fn a_private_card_has_a_record_of_whoever_asks_for_it() {
    let place = Place::new();
    let world = Scenario::new()
        .set(|config| {
            place.set(config);
            let issuer = config.auth.issuers.get_mut("idp").unwrap();
            issuer.organisation_claim = Some("org".to_owned());
            let private = AgentConfig {
                organisations: vec!["acme".to_owned()],
                ..AgentConfig::default()
            };
            config.agents.insert("plain".to_owned(), private);
        })
        .start()
        .await;
    let card = "/plain/.well-known/agent-card.json";
    let (http, mut expected) = (Wire::HttpJson, BTreeMap::new());
    for (org, status, outcome) in [("acme", 200, "ok"), ("evil", 404, "NOT_FOUND")] {
        for verb in ["GET", "HEAD"] {
            let id = format!("{org}-{verb}");
            let client = place.client(&world, http, &id, json!({ "org": org }));
            assert_eq!(client.http(verb, card, "").await.status, status);
            // A card that is everybody's, and one that is nobody's, decide nothing.
            client.http(verb, "/echo/.well-known/agent-card.json", "").await;
            client.http(verb, "/nobody/.well-known/agent-card.json", "").await;
            expected.insert(id, outcome.to_owned());
        }
    }
    // Who shows nothing is turned away before there is anything to decide; that is a record of another kind.
    assert_eq!(world.client(http).http("GET", card, "").await.status, 404);
    let records = place.records(world, Kind::Card).await;
    assert_eq!(outcomes(&records), expected);
    for record in &records {
        assert_eq!(record.agent.as_deref(), Some("plain"));
        assert_eq!(record.binding.as_deref(), Some("HTTP+JSON"));
        assert!(record.principal.is_some() && record.organisation.is_some() && record.peer.is_some());
    }
}

#[tokio::test]
async fn a_pass_of_retention_that_removes_something_has_one_record() {
    const TASKS: u64 = 5;
    let place = Place::new();
    let world = Scenario::new()
        .sqlite()
        .set(|config| {
            place.set(config);
            config.limits.idempotency_ttl_ms = 1_000;
            config.retention.completed_s = 1;
            config.retention.interval_ms = 50;
        })
        .start()
        .await;
    for number in 0..TASKS {
        let id = format!("call-{number}");
        let client = place.client(&world, Wire::Grpc, &id, json!({}));
        client.call(send("echo", &id, "x")).await.unwrap();
    }
    let gone = || -> u64 {
        let text = std::fs::read_to_string(place.file()).unwrap();
        let all = records(&text);
        let removed = all.iter().filter_map(|record| record.removed);
        removed.map(|removed| removed.tasks).sum()
    };
    eventually(async || gone() >= TASKS).await;
    let records = place.records(world, Kind::Retention).await;
    let removed: Vec<_> = records
        .iter()
        .filter_map(|record| record.removed)
        .filter(|removed| removed.tasks > 0)
        .collect();
    assert_eq!(removed.iter().map(|removed| removed.tasks).sum::<u64>(), TASKS);
    assert!(removed.iter().all(|removed| removed.events >= 2 * removed.tasks));
    for record in &records {
        assert_eq!(record.principal.as_deref(), Some("runtime"));
        // The last one may be broken off by the end of the runtime.
        let found_nothing =
            record.outcome == "ABANDONED" && record.removed.is_some_and(|gone| gone.tasks == 0);
        assert!(record.outcome == "ok" || found_nothing, "{record:?}");
    }
}
