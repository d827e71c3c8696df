//! The access matrix: every operation, by every binding, by every kind of caller, on a task of somebody's and on none.
//!
//! What each cell has to answer follows from a policy that is written here a second time, in a few lines, and not from the
//! code under test. No answer to a caller who may not see a task holds a word of it, and a task that is somebody else's
//! is answered, apart from ids, byte for byte as one that does not exist.

use a2ad::access::Method;
use a2ad::config::{AccessRole, ClientCertificates, Config};
use a2ad::error::Kind;
use a2ad::pb::{
    CancelTaskRequest, DeleteTaskPushNotificationConfigRequest, GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest, ListTaskPushNotificationConfigsRequest, ListTasksRequest,
    SendMessageRequest, TaskPushNotificationConfig,
};
use a2ad::tls::dev::Names;
use serde_json::json;

use super::issuer::{FileIssuer, now_s};
use super::{scope_role, shared_by, texts};
use crate::mtls_sockets::Files;
use crate::support::messages::{at_once, get, reply, send, subscribe, task};
use crate::support::wire::{Dial, TestClient, Wire, WireError};
use crate::support::world::{Scenario, World};

/// What a cell has to come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Unauthenticated,
    Denied,
    NotFound,
    Served,
}

/// A kind of caller: how it comes, what it may do, and whether it shares the team whose tasks are tried.
struct Caller {
    name: &'static str,
    is_known: bool,
    operations: &'static [&'static str],
    in_team: bool,
    client: Box<dyn Fn(Wire) -> TestClient>,
}

/// The task that a cell is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// One that the team owns.
    Teams,
    /// None.
    Nobodys,
}

/// The words of the team's tasks that nobody else may read.
const CANARY: &str = "canary-of-the-red-team";
const AGENT: &str = "puppet";

fn group(method: Method) -> &'static str {
    match method {
        Method::SendMessage | Method::SendStreamingMessage => "send",
        Method::GetTask | Method::ListTasks | Method::SubscribeToTask => "read",
        Method::CancelTask => "cancel",
        Method::GetExtendedAgentCard => "extended-card",
        Method::CreateTaskPushNotificationConfig
        | Method::GetTaskPushNotificationConfig
        | Method::ListTaskPushNotificationConfigs
        | Method::DeleteTaskPushNotificationConfig => "push",
    }
}

/// The policy, the second time.
fn verdict(caller: &Caller, method: Method, target: Target) -> Verdict {
    let names_no_task = matches!(method, Method::ListTasks | Method::GetExtendedAgentCard);
    if !caller.is_known {
        Verdict::Unauthenticated
    } else if !caller.operations.contains(&group(method)) {
        Verdict::Denied
    } else if names_no_task || (caller.in_team && target == Target::Teams) {
        Verdict::Served
    } else {
        Verdict::NotFound
    }
}

fn configure(config: &mut Config, files: &Files, file: &FileIssuer) {
    config.tls.cert_file = Some(files.path("server.pem"));
    config.tls.key_file = Some(files.path("server.key"));
    config.tls.client_ca_file = Some(files.path("ca.pem"));
    config.tls.client_certificates = ClientCertificates::Optional;
    file.trust(config);
    let issuer = config.auth.issuers.get_mut("idp").unwrap();
    issuer.organisation_claim = Some("org".to_owned());
    config.push.allow_loopback_webhooks = true;
    config.access.spaces.insert("team".to_owned(), shared_by("team"));
    let service = AccessRole {
        principals: texts(&["spiffe://example.org/service"]),
        operations: texts(&["send", "read", "cancel"]),
        ..AccessRole::default()
    };
    let limited = AccessRole {
        skills: texts(&["one"]),
        ..scope_role("limited", &["send", "read"])
    };
    for (name, role) in [
        ("admin", scope_role("admin", &["*"])),
        ("writer", scope_role("write", &["send", "read", "push"])),
        ("reader", scope_role("read", &["read"])),
        ("canceler", scope_role("cancel", &["CancelTask"])),
        ("limited", limited),
        ("service", service),
    ] {
        config.access.roles.insert(name.to_owned(), role);
    }
}

const EVERYTHING: &[&str] = &["send", "read", "cancel", "push", "extended-card"];

async fn callers(world: &World, files: &Files, file: &FileIssuer) -> Vec<Caller> {
    let address = world.address;
    let bare = Dial::tls(&files.client_tls(None)).await;
    let member = files.client(&Names {
        uris: texts(&["spiffe://example.org/service"]),
        ..Names::default()
    });
    let service = Dial::tls(&files.client_tls(Some(&member))).await;
    let by_token = |dial: &Dial, token: String| -> Box<dyn Fn(Wire) -> TestClient> {
        let dial = dial.clone();
        Box::new(move |wire| {
            TestClient::over(address, wire, dial.clone()).with("authorization", &format!("Bearer {token}"))
        })
    };
    let token = |name: &str, scope: &str, org: &str, team: &str| {
        file.issuer
            .token_of(name, json!({"scope": scope, "org": org, "team": team}))
    };
    let unknown = |name, client| Caller {
        name,
        is_known: false,
        operations: &[],
        in_team: false,
        client,
    };
    let known = |name, operations, in_team, client| Caller {
        name,
        is_known: true,
        operations,
        in_team,
        client,
    };
    let open = bare.clone();
    let with_certificate = service.clone();
    let expired = file.issuer.token_of(
        "ada",
        json!({"scope": "admin", "org": "acme", "team": "red", "exp": now_s() - 120}),
    );
    let stranger = super::issuer::Issuer::new();
    let forged = stranger.token_of("ada", json!({"scope": "admin", "org": "acme", "team": "red"}));
    vec![
        unknown(
            "none",
            Box::new(move |wire| TestClient::over(address, wire, open.clone())),
        ),
        unknown("bad", by_token(&bare, "a.b.c".to_owned())),
        unknown("forged", by_token(&bare, forged)),
        unknown("expired", by_token(&bare, expired.clone())),
        unknown("expired, with a good certificate", by_token(&service, expired)),
        known(
            "admin of the team",
            EVERYTHING,
            true,
            by_token(&bare, token("ada", "admin", "acme", "red")),
        ),
        known(
            "writer of the team",
            &["send", "read", "push"],
            true,
            by_token(&bare, token("ann", "write", "acme", "red")),
        ),
        known(
            "reader of the team",
            &["read"],
            true,
            by_token(&bare, token("bob", "read", "acme", "red")),
        ),
        known(
            "canceler of the team",
            &["cancel"],
            true,
            by_token(&bare, token("cal", "cancel", "acme", "red")),
        ),
        known(
            "no scope, in the team",
            &[],
            true,
            by_token(&bare, token("ned", "", "acme", "red")),
        ),
        known(
            "other owner",
            EVERYTHING,
            false,
            by_token(&bare, token("eve", "admin", "acme", "blue")),
        ),
        known(
            "other organisation",
            EVERYTHING,
            false,
            by_token(&bare, token("ada", "admin", "evil", "red")),
        ),
        known(
            "no organisation",
            EVERYTHING,
            false,
            by_token(
                &bare,
                file.issuer
                    .token_of("ada", json!({"scope": "admin", "team": "red"})),
            ),
        ),
        known(
            "reader of another team",
            &["read"],
            false,
            by_token(&bare, token("bob", "read", "acme", "blue")),
        ),
        known(
            "no scope",
            &[],
            false,
            by_token(&bare, token("ned", "", "acme", "blue")),
        ),
        // Which skill is not named in these calls: sends are refused.
        known(
            "limited to a skill",
            &["read"],
            true,
            by_token(&bare, token("lea", "limited", "acme", "red")),
        ),
        known(
            "certificate only",
            &["send", "read", "cancel"],
            false,
            Box::new(move |wire| TestClient::over(address, wire, with_certificate.clone())),
        ),
        known(
            "token over a certificate",
            &["read"],
            true,
            by_token(&service, token("bob", "read", "acme", "red")),
        ),
    ]
}

/// Calls an operation; what it told, or the error.
async fn call(client: &TestClient, method: Method, id: &str) -> Result<String, WireError> {
    let (tenant, task_id) = (AGENT.to_owned(), id.to_owned());
    let told = |answer: &dyn std::fmt::Debug| format!("{answer:?}");
    match method {
        Method::SendMessage => {
            let answer = client.call(follow_up(id)).await?;
            Ok(told(&answer))
        }
        Method::SendStreamingMessage => {
            let mut events = client.stream(follow_up(id)).await?;
            Ok(told(&events.next().await))
        }
        Method::GetTask => Ok(told(&client.call(get(AGENT, id)).await?)),
        Method::ListTasks => {
            let request = ListTasksRequest {
                tenant,
                include_artifacts: Some(true),
                ..ListTasksRequest::default()
            };
            Ok(told(&client.call(request).await?))
        }
        Method::CancelTask => {
            let request = CancelTaskRequest {
                tenant,
                id: task_id,
                ..CancelTaskRequest::default()
            };
            Ok(told(&client.call(request).await?))
        }
        Method::SubscribeToTask => {
            let mut events = client.stream(subscribe(AGENT, id)).await?;
            Ok(told(&events.next().await))
        }
        Method::CreateTaskPushNotificationConfig => Ok(told(&client.call(webhook(id)).await?)),
        Method::GetTaskPushNotificationConfig => {
            let request = GetTaskPushNotificationConfigRequest {
                tenant,
                task_id,
                id: "hook".to_owned(),
            };
            Ok(told(&client.call(request).await?))
        }
        Method::ListTaskPushNotificationConfigs => {
            let request = ListTaskPushNotificationConfigsRequest {
                tenant,
                task_id,
                ..ListTaskPushNotificationConfigsRequest::default()
            };
            Ok(told(&client.call(request).await?))
        }
        Method::DeleteTaskPushNotificationConfig => {
            let request = DeleteTaskPushNotificationConfigRequest {
                tenant,
                task_id,
                id: "hook".to_owned(),
            };
            Ok(told(&client.call(request).await?))
        }
        Method::GetExtendedAgentCard => {
            let request = GetExtendedAgentCardRequest {
                tenant: "conformance".to_owned(),
            };
            Ok(told(&client.call(request).await?))
        }
    }
}

fn follow_up(id: &str) -> SendMessageRequest {
    let of = a2ad::pb::Task {
        id: id.to_owned(),
        ..a2ad::pb::Task::default()
    };
    at_once(reply(AGENT, &of, "more", "more"))
}

fn webhook(id: &str) -> TaskPushNotificationConfig {
    TaskPushNotificationConfig {
        tenant: AGENT.to_owned(),
        task_id: id.to_owned(),
        id: "hook".to_owned(),
        url: "http://127.0.0.1:1/".to_owned(),
        ..TaskPushNotificationConfig::default()
    }
}

/// A task of the team at work, with a webhook.
async fn new_task(owner: &TestClient, wire: Wire) -> String {
    let request = at_once(send(AGENT, &format!("m-{wire:?}"), &format!("hold {CANARY}")));
    let made = task(owner.call(request).await.unwrap());
    owner.call(webhook(&made.id)).await.unwrap();
    made.id
}

/// An error without what differs between two calls in any case.
fn bare(error: &WireError, id: &str) -> String {
    let mut error = error.clone();
    error.metadata.remove("requestId");
    for header in [
        "x-request-id",
        "date",
        "content-length",
        "grpc-status-details-bin",
    ] {
        error.headers.remove(header);
    }
    format!("{error:?}").replace(id, "ID")
}

#[tokio::test]
async fn every_cell_answers_as_the_policy_says() {
    let (files, file) = (Files::new(), FileIssuer::new());
    let world = Scenario::new()
        .set(|config| configure(config, &files, &file))
        .start()
        .await;
    let callers = callers(&world, &files, &file).await;
    let owner = callers
        .iter()
        .find(|caller| caller.name == "admin of the team")
        .unwrap();
    let (mut cells, mut wrong, mut leaks) = (0, Vec::new(), 0);
    for wire in Wire::ALL {
        let owner = (owner.client)(wire);
        for caller in &callers {
            let client = (caller.client)(wire);
            for method in Method::ALL {
                let mut answers = Vec::new();
                for target in [Target::Teams, Target::Nobodys] {
                    let id = match target {
                        Target::Teams => new_task(&owner, wire).await,
                        Target::Nobodys => "01a20000-0000-7000-8000-000000000000".to_owned(),
                    };
                    let answer = call(&client, method, &id).await;
                    let got = match &answer {
                        Ok(_) => Verdict::Served,
                        Err(error) if &*error.reason == Kind::Unauthenticated.reason() => {
                            Verdict::Unauthenticated
                        }
                        Err(error) if &*error.reason == Kind::PermissionDenied.reason() => Verdict::Denied,
                        Err(error) if &*error.reason == Kind::TaskNotFound.reason() => Verdict::NotFound,
                        Err(error) => panic!("{} {method:?} {wire:?} {target:?}: {error:?}", caller.name),
                    };
                    let wanted = verdict(caller, method, target);
                    cells += 1;
                    if got != wanted {
                        wrong.push(format!(
                            "{} {method:?} {wire:?} {target:?}: {got:?}, not {wanted:?}",
                            caller.name
                        ));
                    }
                    let may_read = caller.in_team && wanted == Verdict::Served;
                    if !may_read && format!("{answer:?}").contains(CANARY) {
                        leaks += 1;
                    }
                    answers.push(answer.err().map(|error| bare(&error, &id)));
                }
                if verdict(caller, method, Target::Teams) == Verdict::NotFound {
                    assert_eq!(answers[0], answers[1], "{} {method:?} {wire:?}", caller.name);
                }
            }
        }
    }
    println!("{cells} cells, {} wrong, {leaks} leaks", wrong.len());
    assert!(cells >= 1_000, "{cells}");
    assert!(wrong.is_empty() && leaks == 0, "{leaks} leaks, {wrong:#?}");
}
