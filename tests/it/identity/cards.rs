//! Cards say what has to be shown, and documents stay public.

use a2ad::pb::AgentCard;
use a2ad::pb::json;
use a2ad::pb::security_scheme::Scheme;

use super::issuer::FileIssuer;
use super::{allow_all, texts};
use crate::support::wire::Wire;
use crate::support::world::{Scenario, World};

async fn card(world: &World, path: &str) -> AgentCard {
    let reply = world.client(Wire::HttpJson).http("GET", path, "").await;
    assert_eq!(reply.status, 200);
    json::from_slice(&reply.body).unwrap()
}

#[tokio::test]
async fn a_card_says_what_has_to_be_shown() {
    let file = FileIssuer::new();
    let world = Scenario::new()
        .sqlite()
        .set(|config| {
            file.trust(config);
            let open = a2ad::config::Issuer {
                issuer: "https://login.example.net/".to_owned(),
                audiences: texts(&["a"]),
                ..a2ad::config::Issuer::default()
            };
            config.auth.issuers.insert("open".to_owned(), open);
            config.auth.api_keys.enabled = true;
            allow_all(config);
        })
        .start()
        .await;
    for path in [
        "/.well-known/agent-card.json",
        "/conformance/.well-known/agent-card.json",
    ] {
        let card = card(&world, path).await;
        let names: Vec<&String> = card.security_schemes.keys().collect();
        assert_eq!(names, ["api-key", "jwt-idp", "jwt-open"]);
        let scheme = |name: &str| card.security_schemes[name].scheme.clone().unwrap();
        assert!(matches!(scheme("api-key"), Scheme::ApiKeySecurityScheme(key)
            if key.location == "header" && key.name == "x-api-key"));
        assert!(matches!(scheme("jwt-idp"), Scheme::HttpAuthSecurityScheme(http)
            if http.scheme == "Bearer" && http.bearer_format == "JWT"));
        assert!(
            matches!(scheme("jwt-open"), Scheme::OpenIdConnectSecurityScheme(oidc)
            if oidc.open_id_connect_url == "https://login.example.net/.well-known/openid-configuration")
        );
        let required: Vec<Vec<&String>> = card
            .security_requirements
            .iter()
            .map(|one| one.schemes.keys().collect())
            .collect();
        assert_eq!(required, [["jwt-idp"], ["jwt-open"], ["api-key"]]);
    }
}

#[tokio::test]
async fn without_authentication_a_card_asks_for_nothing() {
    let world = World::new().await;
    let card = card(&world, "/.well-known/agent-card.json").await;
    assert!(card.security_schemes.is_empty() && card.security_requirements.is_empty());
}

#[tokio::test]
async fn documents_and_health_are_for_everybody() {
    let file = FileIssuer::new();
    let world = Scenario::new()
        .set(|config| {
            file.trust(config);
            allow_all(config);
        })
        .start()
        .await;
    let client = world.client(Wire::HttpJson);
    for path in ["/healthz", "/openapi.json", "/.well-known/agent-card.json"] {
        assert_eq!(client.http("GET", path, "").await.status, 200, "{path}");
    }
    for (verb, path) in [
        ("GET", "/tasks"),
        ("GET", "/extendedAgentCard"),
        ("POST", "/"),
        ("POST", "/message:send"),
    ] {
        let body = if verb == "POST" { "{}" } else { "" };
        let reply = client.http(verb, path, body).await;
        assert_eq!(reply.status, 401, "{verb} {path}");
        assert!(reply.headers.contains_key("www-authenticate"), "{verb} {path}");
    }
}
