//! Cards of a running server, with the keys that it publishes.

use a2ad::config::AccessRole;
use a2ad::pb::{AgentCard, GetExtendedAgentCardRequest, json};
use a2ad::signature::{Form, Forms, PublicKeys, verify};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{ALGORITHMS, Pen};
use crate::identity::issuer::FileIssuer;
use crate::support::wire::{Reply, Wire};
use crate::support::world::{Scenario, World};

const AGENTS: [&str; 6] = ["echo", "conformance", "puppet", "plain", "strict", "promising"];

async fn get(world: &World, path: &str) -> Reply {
    let reply = world.client(Wire::HttpJson).http("GET", path, "").await;
    assert_eq!(reply.status, 200, "{path}");
    reply
}

async fn keys(world: &World) -> PublicKeys {
    let reply = get(world, "/.well-known/jwks.json").await;
    assert_eq!(reply.headers["cache-control"], "public, max-age=300");
    PublicKeys::parse(&reply.body).unwrap()
}

async fn public(world: &World, agent: &str) -> AgentCard {
    let path = format!("/{agent}/.well-known/agent-card.json");
    json::from_slice(&get(world, &path).await.body).unwrap()
}

fn protected(card: &AgentCard) -> Value {
    assert_eq!(card.signatures.len(), 1);
    let bytes = URL_SAFE_NO_PAD.decode(&card.signatures[0].protected).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn all_cards_are_signed_on_all_bindings() {
    let mut verified = 0;
    for algorithm in ALGORITHMS {
        let pen = Pen::new(algorithm);
        let scenario = Scenario::new().set(|config| config.card.signing_key_file = Some(pen.path()));
        let world = scenario.start().await;
        let keys = keys(&world).await;
        let mut cards = Vec::new();
        for agent in AGENTS {
            cards.push(public(&world, agent).await);
        }
        for wire in Wire::ALL {
            let tenant = "conformance".to_owned();
            let request = GetExtendedAgentCardRequest { tenant };
            cards.push(world.client(wire).call(request).await.unwrap());
        }
        for card in &cards {
            let good = verify(card, &keys, Forms::Specification).unwrap();
            assert_eq!((good.kid.len(), good.form), (43, Form::Specification));
            let header = protected(card);
            assert_eq!(
                (&header["alg"], &header["typ"]),
                (&algorithm.into(), &"JOSE".into())
            );
            assert_eq!(header["kid"], good.kid.as_str());
            assert_eq!(header.as_object().unwrap().len(), 3, "{header}");
            verified += 1;
        }
        let default = get(&world, "/.well-known/agent-card.json").await;
        assert_eq!(
            default.body,
            get(&world, "/echo/.well-known/agent-card.json").await.body
        );
    }
    println!("{verified} cards of 6 agents, public and extended, on three bindings: all verified");
}

#[tokio::test]
async fn an_id_and_a_url_stand_in_signatures_if_they_are_configured() {
    let pen = Pen::new("ES256");
    let url = "https://agents.example.com/.well-known/jwks.json";
    let scenario = Scenario::new().set(|config| {
        config.card.signing_key_file = Some(pen.path());
        config.card.signing_key_id = Some("cards-2026".to_owned());
        config.card.signing_key_url = Some(url.to_owned());
    });
    let world = scenario.start().await;
    let card = public(&world, "echo").await;
    assert_eq!(
        protected(&card),
        serde_json::json!({"alg": "ES256", "typ": "JOSE", "kid": "cards-2026", "jku": url})
    );
    let good = verify(&card, &keys(&world).await, Forms::Specification).unwrap();
    assert_eq!(good.kid, "cards-2026");
}

#[tokio::test]
async fn an_extended_card_with_fewer_skills_is_signed_anew() {
    let (file, pen) = (FileIssuer::new(), Pen::new("EdDSA"));
    let role = |scope: &str, skills: &[&str]| AccessRole {
        scopes: vec![scope.to_owned()],
        operations: vec!["*".to_owned()],
        skills: skills.iter().map(|&skill| skill.to_owned()).collect(),
        ..AccessRole::default()
    };
    let scenario = Scenario::new().set(|config| {
        file.trust(config);
        config.card.signing_key_file = Some(pen.path());
        config
            .access
            .roles
            .insert("some".to_owned(), role("some", &["conformance"]));
        config.access.roles.insert("all".to_owned(), role("all", &["*"]));
    });
    let world = scenario.start().await;
    let keys = keys(&world).await;
    for wire in Wire::ALL {
        let seen = async |scope: &str| {
            let token = file.issuer.token_of("ada", serde_json::json!({"scope": scope}));
            let client = world
                .client(wire)
                .with("authorization", &format!("Bearer {token}"));
            let tenant = "conformance".to_owned();
            client.call(GetExtendedAgentCardRequest { tenant }).await.unwrap()
        };
        let (some, all) = (seen("some").await, seen("all").await);
        assert!(some.skills.len() == 1 && all.skills.len() > 1);
        for card in [&some, &all] {
            verify(card, &keys, Forms::Specification).unwrap();
        }
        let mixed = AgentCard {
            signatures: all.signatures,
            ..some
        };
        verify(&mixed, &keys, Forms::OrSdks).unwrap_err();
    }
}

#[tokio::test]
async fn without_a_key_no_card_is_signed() {
    let world = World::new().await;
    assert!(public(&world, "echo").await.signatures.is_empty());
}
