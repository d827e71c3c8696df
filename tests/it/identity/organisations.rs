//! Organisations are apart, and teams share.

use a2ad::config::Config;
use a2ad::error::Kind;
use a2ad::pb::{ListTasksRequest, TaskState};
use serde_json::{Value, json};

use super::issuer::FileIssuer;
use super::{allow_all, shared_by, texts};
use crate::support::messages::{at_once, get, send, state, task};
use crate::support::wire::{TestClient, Wire};
use crate::support::world::{Scenario, World};

fn separate(config: &mut Config, file: &FileIssuer) {
    file.trust(config);
    let issuer = config.auth.issuers.get_mut("idp").unwrap();
    issuer.organisation_claim = Some("org".to_owned());
    config.access.organisation_required = true;
    config.access.spaces.insert("team".to_owned(), shared_by("team"));
    allow_all(config);
}

async fn world(file: &FileIssuer) -> World {
    let change = |config: &mut Config| {
        separate(config, file);
        let private = a2ad::config::AgentConfig {
            organisations: texts(&["acme"]),
            ..Default::default()
        };
        config.agents.insert("plain".to_owned(), private);
    };
    Scenario::new().set(change).start().await
}

fn client(world: &World, wire: Wire, file: &FileIssuer, name: &str, claims: Value) -> TestClient {
    let token = file.issuer.token_of(name, claims);
    world
        .client(wire)
        .with("authorization", &format!("Bearer {token}"))
}

#[tokio::test]
async fn a_team_shares_its_tasks_within_its_organisation() {
    let file = FileIssuer::new();
    let world = world(&file).await;
    for wire in Wire::ALL {
        let by = |name: &str, claims: Value| client(&world, wire, &file, name, claims);
        let ada = by("ada", json!({"org": "acme", "team": "red"}));
        let request = send("", &format!("{wire:?}"), "hello");
        let made = task(ada.call(request.clone()).await.unwrap());
        assert_eq!(state(&made), TaskState::Completed);
        for (name, claims, sees) in [
            ("bob", json!({"org": "acme", "team": "red"}), true),
            ("bob", json!({"org": "acme", "team": "blue"}), false),
            ("bob", json!({"org": "acme", "team": ["red", "blue"]}), false),
            ("bob", json!({"org": "acme"}), false),
            ("ada", json!({"org": "acme"}), false),
            ("ada", json!({"org": "evil", "team": "red"}), false),
            ("eve", json!({"org": "acme/", "team": "red"}), false),
            ("eve", json!({"org": "acme/space:team=red", "team": "red"}), false),
        ] {
            let other = by(name, claims.clone());
            let answer = other.call(get("", &made.id)).await;
            assert_eq!(answer.is_ok(), sees, "{name} {claims}: {answer:?}");
            let list = other.call(ListTasksRequest::default()).await.unwrap();
            assert_eq!(
                list.tasks.iter().any(|task| task.id == made.id),
                sees,
                "{name} {claims}"
            );
            if let Err(error) = answer {
                error.is(Kind::TaskNotFound);
            }
        }
        // The same key, context and message of another owner make another task.
        let keyed = |client: TestClient| client.with("idempotency-key", &format!("key-{wire:?}"));
        let first = task(
            keyed(by("ada", json!({"org": "acme"})))
                .call(request.clone())
                .await
                .unwrap(),
        );
        let again = task(
            keyed(by("ada", json!({"org": "acme"})))
                .call(request.clone())
                .await
                .unwrap(),
        );
        let other = task(
            keyed(by("ada", json!({"org": "evil"})))
                .call(request)
                .await
                .unwrap(),
        );
        assert_eq!(first.id, again.id);
        assert_ne!(first.id, other.id);
        let listed = by("ada", json!({"org": "evil"}))
            .call(ListTasksRequest {
                context_id: first.context_id,
                ..ListTasksRequest::default()
            })
            .await
            .unwrap();
        assert!(listed.tasks.is_empty());
    }
}

/// An issuer that may name some organisations can't speak for others.
#[tokio::test]
async fn an_issuer_names_only_the_organisations_that_it_may() {
    let file = FileIssuer::new();
    let limit = |config: &mut Config| {
        separate(config, &file);
        config.access.organisation_required = false;
        let issuer = config.auth.issuers.get_mut("idp").unwrap();
        issuer.organisations = texts(&["acme", "branch-*"]);
    };
    let world = Scenario::new().set(limit).start().await;
    for wire in Wire::ALL {
        for (claims, is_taken) in [
            (json!({"org": "acme"}), true),
            (json!({"org": "branch-7"}), true),
            (json!({}), true),
            (json!({"org": "evil"}), false),
            (json!({"org": "acme2"}), false),
            (json!({"org": "Acme"}), false),
            (json!({"org": "*"}), false),
            (json!({"org": "branch"}), false),
        ] {
            let answer = client(&world, wire, &file, "ada", claims.clone())
                .call(ListTasksRequest::default())
                .await;
            assert_eq!(answer.is_ok(), is_taken, "{wire:?} {claims}: {answer:?}");
            let Err(error) = answer else { continue };
            let error = error.is(Kind::Unauthenticated);
            let told = format!("{error:?}");
            // Why is for the operator: what the issuer may name is nobody else's business.
            assert!(!told.contains("organisation") && !told.contains("acme"), "{told}");
        }
    }
}

#[tokio::test]
async fn who_names_no_organisation_stays_outside() {
    let file = FileIssuer::new();
    let world = world(&file).await;
    for wire in Wire::ALL {
        for claims in [
            json!({}),
            json!({"org": ""}),
            json!({"org": ["acme"]}),
            json!({"org": 7}),
            json!({"org": null}),
        ] {
            let answer = client(&world, wire, &file, "ada", claims.clone())
                .call(ListTasksRequest::default())
                .await;
            answer.expect_err(&claims.to_string()).is(Kind::Unauthenticated);
        }
    }
}

/// An agent of another organisation gives the answer of one that does not exist, byte for byte apart from its name.
#[tokio::test]
async fn an_agent_of_another_organisation_does_not_exist() {
    let file = FileIssuer::new();
    let world = world(&file).await;
    for wire in Wire::ALL {
        let by = |org: &str| client(&world, wire, &file, "ada", json!({"org": org}));
        task(
            by("acme")
                .call(at_once(send("plain", "m", "hello")))
                .await
                .unwrap(),
        );
        let told = async |agent: &str| {
            let error = by("evil").call(send(agent, "m", "hello")).await.unwrap_err();
            let error = error.is(Kind::NotFound);
            let mut metadata = error.metadata.clone();
            metadata.remove("requestId");
            format!("{} {} {metadata:?}", error.message, error.reason).replace(agent, "NAME")
        };
        assert_eq!(told("plain").await, told("plane").await);
    }
    let card = "/plain/.well-known/agent-card.json";
    let by = |org: &str| client(&world, Wire::HttpJson, &file, "ada", json!({"org": org}));
    assert_eq!(by("acme").http("GET", card, "").await.status, 200);
    let (hidden, missing) = (
        by("evil").http("GET", card, "").await,
        by("evil")
            .http("GET", "/plane/.well-known/agent-card.json", "")
            .await,
    );
    assert_eq!((hidden.status, missing.status), (404, 404));
    assert_eq!(
        by("acme").http("GET", card, "").await.header("cache-control"),
        "private, no-store"
    );
    let stranger = world.client(Wire::HttpJson);
    assert_eq!(stranger.http("GET", card, "").await.status, 404);
    for path in ["/plain", "/plain/message:send"] {
        let other = path.replace("plain", "plane");
        for client in [by("evil"), world.client(Wire::HttpJson)] {
            let (hidden, missing) = (
                client.http("POST", path, "{}").await,
                client.http("POST", &other, "{}").await,
            );
            assert_eq!(hidden.status, missing.status, "{path}");
            let text = |reply: &crate::support::wire::Reply| {
                let mut json = reply.json();
                json["error"]["details"][0]["metadata"].take();
                json
            };
            assert_eq!(text(&hidden), text(&missing), "{path}");
        }
    }
}
