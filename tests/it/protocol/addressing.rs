//! Which agent a call is for, in which version, with which extensions, and which card it gets.

use a2ad::config::CardCapabilities;
use a2ad::error::Kind;
use a2ad::pb::{GetExtendedAgentCardRequest, ListTasksRequest};

use super::turns::said;
use crate::support::messages::{send, task};
use crate::support::wire::{TestClient, Wire, WireError, for_each_binding};
use crate::support::world::{EXTENSION, Scenario, World};

for_each_binding!(
    a_tenant_is_named_in_one_way_or_in_both,
    versions_pick_the_protocol,
    strict_versions_hold_for_every_binding,
    required_extensions_are_required,
    declared_extensions_reach_the_agent_and_come_back,
    cards_without_capabilities_refuse_what_needs_them,
    extended_cards_are_for_those_that_have_one,
);

const KITS_EXTENSION: &str = "urn:a2a:tck:required-extension";

fn list(agent: &str) -> ListTasksRequest {
    ListTasksRequest {
        tenant: agent.to_owned(),
        ..ListTasksRequest::default()
    }
}

/// How many tasks of the agent this client sees.
async fn count(client: &TestClient, agent: &str) -> Result<i32, WireError> {
    client.call(list(agent)).await.map(|page| page.total_size)
}

async fn a_tenant_is_named_in_one_way_or_in_both(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    client.call(send("puppet", "m", "seen")).await.unwrap();
    assert_eq!(count(&client, "puppet").await.unwrap(), 1);
    assert_eq!(
        count(&client, "").await.unwrap(),
        0,
        "the default agent is another"
    );
    assert_eq!(count(&client, "echo").await.unwrap(), 0);
    let unknown = count(&client, "nobody").await.unwrap_err().is(Kind::NotFound);
    assert_eq!(unknown.metadata["tenant"], "nobody");
    count(&client, "../puppet").await.unwrap_err().is(Kind::NotFound);
    if wire == Wire::Grpc {
        return; // Paths of gRPC name a method and nothing else.
    }
    let at = client.clone().at("puppet");
    assert_eq!(count(&at, "").await.unwrap(), 1);
    assert_eq!(count(&at, "puppet").await.unwrap(), 1);
    let conflict = count(&at, "echo").await.unwrap_err().is(Kind::InvalidParams);
    assert_eq!(conflict.fields, ["tenant"]);
    let nobody = client.clone().at("nobody");
    match wire {
        Wire::HttpJson => drop(count(&nobody, "").await.unwrap_err().is(Kind::NotFound)),
        // A word that is no agent is no JSON-RPC endpoint either: there is nobody who could read the envelope.
        _ => assert_eq!(nobody.http("POST", "/nobody", "{}").await.status, 404),
    }
}

async fn versions_pick_the_protocol(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    for (version, is_served) in [
        (None, wire == Wire::Grpc),
        (Some(""), false),
        (Some("0.3"), false),
        (Some("1.0"), true),
        (Some("1.0.7"), true),
        (Some("1.1"), false),
        (Some("junk"), false),
    ] {
        let client = match version {
            Some(version) => client.clone().with("a2a-version", version),
            None => client.clone().without("a2a-version"),
        };
        match count(&client, "").await {
            Ok(_) => assert!(is_served, "{version:?}"),
            Err(error) => {
                assert!(!is_served, "{version:?}: {error:?}");
                let error = error.is(Kind::VersionNotSupported);
                assert_eq!(error.metadata["supportedVersions"], "1.0");
                let requested = version.filter(|version| !version.is_empty()).unwrap_or("0.3");
                assert_eq!(error.metadata["requestedVersion"], requested);
            }
        }
    }
    if wire != Wire::Grpc {
        let by_query = client.clone().without("a2a-version").query("A2A-Version=1.0");
        assert_eq!(count(&by_query, "").await.unwrap(), 0);
        let header_first = client.clone().with("a2a-version", "0.3").query("A2A-Version=1.0");
        count(&header_first, "")
            .await
            .unwrap_err()
            .is(Kind::VersionNotSupported);
    }
}

async fn strict_versions_hold_for_every_binding(wire: Wire) {
    let world = Scenario::new()
        .set(|config| config.server.strict_version = true)
        .start()
        .await;
    let client = world.client(wire);
    count(&client.clone().without("a2a-version"), "")
        .await
        .unwrap_err()
        .is(Kind::VersionNotSupported);
    assert_eq!(count(&client, "").await.unwrap(), 0);
}

async fn required_extensions_are_required(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let error = client
        .call(send("strict", "m", "x"))
        .await
        .unwrap_err()
        .is(Kind::ExtensionSupportRequired);
    assert_eq!(error.metadata["extension"], EXTENSION);
    let stream = client.stream(send("strict", "m", "x")).await.err().unwrap();
    stream.is(Kind::ExtensionSupportRequired);
    count(&client, "strict")
        .await
        .unwrap_err()
        .is(Kind::ExtensionSupportRequired);
    let declaring = client.with("a2a-extensions", &format!("urn:example:unknown, {EXTENSION}"));
    let answer = declaring.full(send("strict", "m", "x")).await.unwrap();
    assert_eq!(
        answer.headers["a2a-extensions"], EXTENSION,
        "only what is active comes back"
    );
    let stream = declaring.stream(send("strict", "m", "x")).await.unwrap();
    assert_eq!(stream.headers["a2a-extensions"], EXTENSION);

    let variant =
        |config: &mut a2ad::config::Config| config.card.capabilities = CardCapabilities::RequiredExtension;
    let world = Scenario::new().set(variant).start().await;
    let client = world.client(wire);
    count(&client, "echo")
        .await
        .unwrap_err()
        .is(Kind::ExtensionSupportRequired);
    assert_eq!(
        count(&client.with("a2a-extensions", KITS_EXTENSION), "echo")
            .await
            .unwrap(),
        0
    );
}

async fn declared_extensions_reach_the_agent_and_come_back(wire: Wire) {
    let world = World::new().await;
    let resume = "urn:a2ad:extension:resume:v1";
    let client = world
        .client(wire)
        .with("a2a-extensions", &format!("urn:example:unknown,{resume}"));
    let answer = client.full(send("puppet", "m", "seen")).await.unwrap();
    assert_eq!(answer.headers["a2a-extensions"], resume);
    let seen = task(answer.message);
    assert!(
        said(&seen).contains(&format!("extensions=urn:example:unknown+{resume} ")),
        "{}",
        said(&seen)
    );
    let silent = world
        .client(wire)
        .full(send("puppet", "m", "seen"))
        .await
        .unwrap();
    assert!(!silent.headers.contains_key("a2a-extensions"));
}

async fn cards_without_capabilities_refuse_what_needs_them(wire: Wire) {
    let none = |config: &mut a2ad::config::Config| config.card.capabilities = CardCapabilities::None;
    let world = Scenario::new().set(none).start().await;
    let client = world.client(wire);
    client
        .call(send("conformance", "tck-complete-task", "x"))
        .await
        .unwrap();
    let stream = client
        .stream(send("conformance", "tck-stream-001", "x"))
        .await
        .err()
        .unwrap();
    assert_eq!(
        stream.is(Kind::UnsupportedOperation).metadata["operation"],
        "SendStreamingMessage"
    );
    let card = GetExtendedAgentCardRequest {
        tenant: "conformance".to_owned(),
    };
    client
        .call(card)
        .await
        .unwrap_err()
        .is(Kind::UnsupportedOperation);
    assert_eq!(count(&client, "conformance").await.unwrap(), 1);
}

async fn extended_cards_are_for_those_that_have_one(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let card = |agent: &str| {
        client.call(GetExtendedAgentCardRequest {
            tenant: agent.to_owned(),
        })
    };
    let extended = card("conformance").await.unwrap();
    assert!(
        extended.skills.iter().any(|skill| skill.id == "instructions"),
        "{extended:?}"
    );
    assert_eq!(extended.supported_interfaces.len(), 3);
    // Not declared is not supported; declared and not there is not configured (specification 3.1.11).
    card("plain").await.unwrap_err().is(Kind::UnsupportedOperation);
    card("promising")
        .await
        .unwrap_err()
        .is(Kind::ExtendedAgentCardNotConfigured);
}
