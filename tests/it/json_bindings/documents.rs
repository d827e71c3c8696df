//! Cards, OpenAPI, health, and pages from other origins.

use a2ad::api::ApiSettings;
use serde_json::json;

use super::harness::{World, request, with};

#[tokio::test]
async fn a_card_is_sent_once() {
    let world = World::new().await;
    // Nobody who asks for a card knows a version yet.
    let mut plain = request("GET", "/.well-known/agent-card.json", "");
    plain.headers_mut().remove("a2a-version");
    let card = world.send(plain).await;
    assert_eq!(
        (card.status, card.header("content-type")),
        (200, "application/json")
    );
    assert_eq!(card.header("cache-control"), "public, max-age=300");
    assert_eq!(card.json()["name"], "Echo");
    let (tag, modified) = (card.header("etag"), card.header("last-modified"));
    for (name, value, status) in [
        ("if-none-match", tag, 304),
        ("if-none-match", &format!("\"x\", W/{tag}"), 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"x\"", 200),
        ("if-modified-since", modified, 304),
        ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT", 200),
    ] {
        let again = world
            .send(with(
                request("GET", "/.well-known/agent-card.json", ""),
                name,
                value,
            ))
            .await;
        assert_eq!(
            (again.status, again.header("etag")),
            (status, tag),
            "{name}: {value}"
        );
        assert_eq!(again.body.is_empty(), status == 304);
    }
    let head = world.http("HEAD", "/.well-known/agent-card.json", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.header("content-length"), card.body.len().to_string());
    let other = world
        .http("GET", "/conformance/.well-known/agent-card.json", "")
        .await;
    assert_eq!(other.json()["name"], "Conformance");
    assert_ne!(other.header("etag"), tag);
}

#[tokio::test]
async fn what_the_server_says_about_itself() {
    let world = World::new().await;
    let description = world.http("GET", "/openapi.json", "").await;
    assert_eq!(
        (description.status, &description.json()["openapi"]),
        (200, &json!("3.1.0"))
    );
    let health = world.http("GET", "/healthz", "").await;
    assert_eq!(
        (health.status, health.body.as_str()),
        (200, r#"{"status":"SERVING"}"#)
    );
}

#[tokio::test]
async fn pages_of_configured_origins_may_call() {
    let cors_origins = vec!["https://ui.example".to_owned()];
    let world = World::with(ApiSettings {
        cors_origins,
        ..ApiSettings::default()
    })
    .await;
    for (origin, allowed) in [
        ("https://ui.example", "https://ui.example"),
        ("https://evil.example", ""),
    ] {
        let ask = with(request("OPTIONS", "/message:send", ""), "origin", origin);
        let preflight = world
            .send(with(ask, "access-control-request-method", "POST"))
            .await;
        assert_eq!(preflight.status, 204);
        assert_eq!(preflight.header("access-control-allow-origin"), allowed);
        assert_eq!(
            preflight
                .header("access-control-allow-headers")
                .contains("a2a-version"),
            !allowed.is_empty()
        );
        let list = world
            .send(with(request("GET", "/tasks", ""), "origin", origin))
            .await;
        assert_eq!((list.status, list.header("vary")), (200, "origin"));
        assert_eq!(list.header("access-control-allow-origin"), allowed);
        assert_eq!(
            list.header("access-control-expose-headers")
                .contains("x-request-id"),
            !allowed.is_empty()
        );
        let web = with(
            request("POST", "/lf.a2a.v1.A2AService/ListTasks", "x"),
            "origin",
            origin,
        );
        let web = world
            .send(with(web, "content-type", "application/grpc-web+proto"))
            .await;
        assert_eq!(web.header("access-control-allow-origin"), allowed);
    }
    let elsewhere = world.http("GET", "/tasks", "").await;
    assert_eq!(elsewhere.header("access-control-allow-origin"), "");
}
