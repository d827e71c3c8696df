//! What roles allow: operations, agents, skills.

use a2ad::config::AccessRole;
use a2ad::error::Kind;
use a2ad::pb::{
    GetExtendedAgentCardRequest, ListTasksRequest, SendMessageRequest, Struct, TaskPushNotificationConfig,
    Value, value,
};
use serde_json::json;

use super::issuer::FileIssuer;
use super::{scope_role, texts};
use crate::support::messages::{at_once, configured, send, task};
use crate::support::wire::{TestClient, Wire};
use crate::support::world::{Scenario, World};

async fn world(file: &FileIssuer, roles: Vec<(&str, AccessRole)>) -> World {
    Scenario::new()
        .set(|config| {
            file.trust(config);
            config.push.allow_loopback_webhooks = true;
            for (name, role) in roles {
                config.access.roles.insert(name.to_owned(), role);
            }
        })
        .start()
        .await
}

fn client(world: &World, wire: Wire, file: &FileIssuer, scope: &str) -> TestClient {
    let token = file.issuer.token_of("ada", json!({"scope": scope}));
    world
        .client(wire)
        .with("authorization", &format!("Bearer {token}"))
}

/// The skill that a message is for, in its own metadata or in that of the request.
fn for_skill(mut request: SendMessageRequest, skill: Value, in_message: bool) -> SendMessageRequest {
    let metadata = Some(Struct {
        fields: [("skillId".to_owned(), skill)].into(),
    });
    match &mut request.message {
        Some(message) if in_message => message.metadata = metadata,
        _ => request.metadata = metadata,
    }
    request
}

fn text(text: &str) -> Value {
    Value {
        kind: Some(value::Kind::StringValue(text.to_owned())),
    }
}

#[tokio::test]
async fn who_is_limited_to_skills_names_one_of_them() {
    let file = FileIssuer::new();
    let limited = AccessRole {
        skills: texts(&["echo", "sum-*"]),
        agents: texts(&["echo"]),
        ..scope_role("some", &["send"])
    };
    let world = world(
        &file,
        vec![("limited", limited), ("all", scope_role("all", &["send"]))],
    )
    .await;
    for wire in Wire::ALL {
        let some = client(&world, wire, &file, "some");
        let plain = || send("", "m", "hello");
        for in_message in [true, false] {
            for skill in ["echo", "sum-up"] {
                let request = for_skill(plain(), text(skill), in_message);
                some.call(request).await.unwrap();
            }
            for skill in ["", "ech", "echo2", "delete"] {
                let request = for_skill(plain(), text(skill), in_message);
                some.call(request).await.unwrap_err().is(Kind::PermissionDenied);
            }
            let number = Value {
                kind: Some(value::Kind::NumberValue(1.0)),
            };
            let request = for_skill(plain(), number, in_message);
            some.call(request).await.unwrap_err().is(Kind::InvalidParams);
        }
        some.call(plain()).await.unwrap_err().is(Kind::PermissionDenied);
        let two = for_skill(for_skill(plain(), text("echo"), true), text("sum-up"), false);
        some.call(two).await.unwrap_err().is(Kind::InvalidParams);
        let elsewhere = for_skill(send("puppet", "m", "hold"), text("echo"), true);
        some.call(elsewhere).await.unwrap_err().is(Kind::PermissionDenied);
        let both = client(&world, wire, &file, "some all");
        both.call(plain()).await.unwrap();
    }
}

#[tokio::test]
async fn the_extended_card_has_the_skills_that_its_reader_may_use() {
    let file = FileIssuer::new();
    let some = AccessRole {
        skills: texts(&["conformance"]),
        ..scope_role("some", &["send", "extended-card"])
    };
    let roles = vec![
        ("some", some),
        ("all", scope_role("all", &["*"])),
        ("look", scope_role("look", &["extended-card"])),
    ];
    let world = world(&file, roles).await;
    let whole = crate::demo_agents::conformance_agent::extended_card();
    let ids: Vec<String> = whole.skills.iter().map(|skill| skill.id.clone()).collect();
    assert!(
        ids.len() > 1 && ids.iter().any(|id| id == "conformance"),
        "{ids:?}"
    );
    for wire in Wire::ALL {
        let seen = async |scope: &str| {
            let request = GetExtendedAgentCardRequest {
                tenant: "conformance".to_owned(),
            };
            let card = client(&world, wire, &file, scope).call(request).await;
            card.map(|card| card.skills.into_iter().map(|skill| skill.id).collect::<Vec<_>>())
        };
        assert_eq!(seen("all").await.unwrap(), ids);
        assert_eq!(seen("some").await.unwrap(), ["conformance"]);
        assert!(seen("look").await.unwrap().is_empty());
        seen("none").await.unwrap_err().is(Kind::PermissionDenied);
    }
}

#[tokio::test]
async fn a_webhook_that_comes_with_a_message_needs_leave_as_well() {
    let file = FileIssuer::new();
    let roles = vec![
        ("send", scope_role("send", &["send"])),
        ("push", scope_role("push", &["push"])),
    ];
    let world = world(&file, roles).await;
    for wire in Wire::ALL {
        let request = || {
            at_once(configured(send("conformance", "m", "hello"), |configuration| {
                configuration.task_push_notification_config = Some(TaskPushNotificationConfig {
                    url: "http://127.0.0.1:1/".to_owned(),
                    ..TaskPushNotificationConfig::default()
                });
            }))
        };
        let refused = client(&world, wire, &file, "send").call(request()).await;
        refused.unwrap_err().is(Kind::PermissionDenied);
        task(
            client(&world, wire, &file, "send push")
                .call(request())
                .await
                .unwrap(),
        );
    }
}

#[tokio::test]
async fn claims_and_names_make_members_too() {
    let file = FileIssuer::new();
    let by_claim = AccessRole {
        claims: texts(&["realm_access.roles=reader", "https://example.com/team=red"]),
        operations: texts(&["ListTasks"]),
        ..AccessRole::default()
    };
    let by_name = AccessRole {
        principals: texts(&["jwt:https://idp.example.com#root"]),
        operations: texts(&["*"]),
        ..AccessRole::default()
    };
    let world = world(&file, vec![("claim", by_claim), ("name", by_name)]).await;
    for (name, claims, may) in [
        ("ada", json!({}), false),
        ("ada", json!({"realm_access": {"roles": ["x", "reader"]}}), true),
        ("ada", json!({"realm_access": {"roles": "reader"}}), true),
        (
            "ada",
            json!({"realm_access": {"roles": ["Reader", "reader2"]}}),
            false,
        ),
        ("ada", json!({"realm_access": "reader"}), false),
        ("ada", json!({"https://example.com/team": "red"}), true),
        ("ada", json!({"https://example.com/team": ["blue"]}), false),
        ("root", json!({}), true),
        ("root2", json!({}), false),
    ] {
        let token = file.issuer.token_of(name, claims.clone());
        for wire in Wire::ALL {
            let client = world
                .client(wire)
                .with("authorization", &format!("Bearer {token}"));
            let answer = client.call(ListTasksRequest::default()).await;
            assert_eq!(answer.is_ok(), may, "{name} {claims} {wire:?}: {answer:?}");
        }
    }
}
