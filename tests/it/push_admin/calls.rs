//! The admin service: pages, changes, what is refused, and what is recorded.

use a2ad::audit::Kind as RecordKind;
use a2ad::error::Kind;
use a2ad::pb::admin::{
    DeliveryFilter, DeliveryState, DiscardDeliveriesRequest, ListDeliveriesRequest,
    RedeliverDeliveriesRequest,
};
use serde_json::json;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use super::{Post, of_agent, told};
use crate::audit::program::stored;
use crate::support::raw::Raw;
use crate::support::wire::Wire;
use crate::support::world::{Scenario, World, on_postgres};

fn dead() -> DeliveryFilter {
    DeliveryFilter {
        state: DeliveryState::Dead.into(),
        ..DeliveryFilter::default()
    }
}

#[tokio::test]
async fn pages_of_every_size_hold_the_same() {
    pages_hold_the_same(Post::new().await).await;
    pages_hold_the_same(Post::of(Scenario::new()).await).await;
}

#[tokio::test]
async fn pages_of_every_size_hold_the_same_on_postgres() {
    on_postgres(async { pages_hold_the_same(Post::of(Scenario::new()).await).await }).await;
}

async fn pages_hold_the_same(post: Post) {
    let chief = post.chief();
    let all = chief.all(DeliveryFilter::default(), None).await.unwrap();
    let names: Vec<&str> = all.iter().map(|one| &*one.name).collect();
    assert!(names.len() > 5, "more than a page: {names:?}");
    assert!(
        names.is_sorted_by_key(|name| name.rsplit_once('/').map(|(stream, _)| stream)),
        "{names:?}"
    );
    for size in 1..=5 {
        let paged = chief.all(DeliveryFilter::default(), Some(size)).await.unwrap();
        let paged: Vec<&str> = paged.iter().map(|one| &*one.name).collect();
        assert_eq!(paged, names, "pages of {size}");
    }
    let own = chief.all(of_agent("echo"), None).await.unwrap();
    assert!(own.len() < all.len() && own.iter().all(|one| one.agent == "echo"));
    for filter in [
        DeliveryFilter {
            owner: own[0].owner.clone(),
            task_id: post.task_id.clone(),
            config_id: "hook".to_owned(),
            host: "127.0.0.1:1".to_owned(),
            state: DeliveryState::Waiting.into(),
            ..of_agent("echo")
        },
        DeliveryFilter {
            task_id: post.task_id.clone(),
            ..DeliveryFilter::default()
        },
    ] {
        assert_eq!(chief.all(filter, None).await.unwrap().len(), own.len());
    }
    for nobodys in [of_agent("plain"), dead()] {
        assert!(chief.all(nobodys, None).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_dead_letter_is_shown_whole_and_sent_anew() {
    let post = Post::new().await;
    let (name, chief) = (post.kill_the_first().await, post.chief());
    let shown = chief.get(&name).await.unwrap();
    assert_eq!((&*shown.name, shown.state()), (&*name, DeliveryState::Dead));
    assert_eq!((&*shown.event, &*shown.host), ("task", "127.0.0.1:1"));
    assert_eq!((shown.attempts, shown.last_status), (7, Some(503)));
    assert_eq!((&*shown.last_cause, shown.due_time), ("busy", None));
    assert_eq!(shown.dead_time.map(|at| at.seconds), Some(1_700_000_000));
    assert!(shown.owner.starts_with("org:acme/jwt:"), "{}", shown.owner);
    assert!(
        shown.task_state.starts_with("TASK_STATE_"),
        "{}",
        shown.task_state
    );
    let listed = chief.all(dead(), None).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&*listed[0].event, &*listed[0].name), ("", &*name));

    let request = RedeliverDeliveriesRequest {
        filter: Some(dead()),
        ..RedeliverDeliveriesRequest::default()
    };
    assert_eq!(chief.redeliver(request.clone()).await.unwrap().count, 1);
    assert_eq!(chief.redeliver(request).await.unwrap().count, 0);
    let again = chief.get(&name).await.unwrap();
    assert_eq!((again.state(), again.dead_time), (DeliveryState::Waiting, None));
    assert!(again.due_time.is_some() && again.since_time.unwrap().seconds > 1_700_000_000);
}

#[tokio::test]
async fn changes_go_in_turns_and_end() {
    let post = Post::new().await;
    let chief = post.chief();
    let all = chief.all(DeliveryFilter::default(), None).await.unwrap();
    for discards in [false, true] {
        let (mut total, mut page_token) = (0, String::new());
        loop {
            let page_size = Some(2);
            let (count, next) = if discards {
                let request = DiscardDeliveriesRequest {
                    all: true,
                    page_size,
                    page_token,
                    ..DiscardDeliveriesRequest::default()
                };
                let turn = chief.discard(request).await.unwrap();
                (turn.count, turn.next_page_token)
            } else {
                let request = RedeliverDeliveriesRequest {
                    all: true,
                    page_size,
                    page_token,
                    ..RedeliverDeliveriesRequest::default()
                };
                let turn = chief.redeliver(request).await.unwrap();
                (turn.count, turn.next_page_token)
            };
            assert!(count <= 2);
            total += count.unsigned_abs() as usize;
            page_token = next;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(total, all.len(), "discards: {discards}");
    }
    let name = all[0].name.clone();
    let one = DiscardDeliveriesRequest {
        name: name.clone(),
        ..DiscardDeliveriesRequest::default()
    };
    chief.discard(one).await.unwrap_err().is(Kind::NotFound);
    chief.get(&name).await.unwrap_err().is(Kind::NotFound);
    let one = RedeliverDeliveriesRequest {
        name,
        ..RedeliverDeliveriesRequest::default()
    };
    chief.redeliver(one).await.unwrap_err().is(Kind::NotFound);
}

#[tokio::test]
async fn bad_input_changes_nothing_and_says_what_to_do() {
    let post = Post::new().await;
    let chief = post.chief();
    let before = chief.all(DeliveryFilter::default(), None).await.unwrap();
    for (page_size, page_token, field) in [
        (Some(0), "", "pageSize"),
        (Some(-1), "", "pageSize"),
        (Some(6), "", "pageSize"),
        (None, "x", "pageToken"),
        (None, "dC9j", "pageToken"),
    ] {
        let request = ListDeliveriesRequest {
            page_size,
            page_token: page_token.to_owned(),
            ..ListDeliveriesRequest::default()
        };
        let error = chief.list(request).await.unwrap_err().is(Kind::InvalidParams);
        assert_eq!(error.fields, [field]);
        let request = DiscardDeliveriesRequest {
            all: true,
            page_size,
            page_token: page_token.to_owned(),
            ..DiscardDeliveriesRequest::default()
        };
        let error = chief.discard(request).await.unwrap_err().is(Kind::InvalidParams);
        assert_eq!(error.fields, [field]);
    }
    let strange = DeliveryFilter {
        state: 9,
        ..DeliveryFilter::default()
    };
    let long = of_agent(&"a".repeat(5_000));
    for (name, filter, all, field) in [
        ("", None, false, "filter"),
        ("", Some(DeliveryFilter::default()), false, "filter"),
        ("", Some(of_agent("echo")), true, "all"),
        ("t/c", None, false, "name"),
        ("", Some(long), false, "filter.agent"),
        ("", Some(strange), true, "filter.state"),
    ] {
        let request = RedeliverDeliveriesRequest {
            name: name.to_owned(),
            filter: filter.clone(),
            all,
            ..RedeliverDeliveriesRequest::default()
        };
        let error = chief
            .redeliver(request)
            .await
            .unwrap_err()
            .is(Kind::InvalidParams);
        assert_eq!(error.fields, [field]);
        let request = DiscardDeliveriesRequest {
            name: name.to_owned(),
            filter,
            all,
            ..DiscardDeliveriesRequest::default()
        };
        let error = chief.discard(request).await.unwrap_err().is(Kind::InvalidParams);
        assert_eq!(error.fields, [field]);
    }
    for name in ["", "x", "t/c/x"] {
        chief.get(name).await.unwrap_err().is(Kind::InvalidParams);
    }
    chief.get("t/c/1").await.unwrap_err().is(Kind::NotFound);
    let after = chief.all(DeliveryFilter::default(), None).await.unwrap();
    assert_eq!(before.len(), after.len());
}

async fn services(world: &World) -> String {
    let mut client = ServerReflectionClient::new(world.client(Wire::Grpc).channel());
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = client.server_reflection_info(tokio_stream::iter([request])).await;
    let answer = answers.unwrap().into_inner().message().await;
    format!("{answer:?}")
}

#[tokio::test]
async fn it_is_there_where_it_is_switched_on_and_by_grpc_only() {
    let post = Post::new().await;
    assert!(services(&post.world).await.contains("a2ad.admin.v1.PushService"));
    for wire in [Wire::JsonRpc, Wire::HttpJson] {
        let client = post
            .world
            .client(wire)
            .with("authorization", &post.chief().authorization);
        let path = match wire {
            Wire::JsonRpc => "/",
            _ => "/a2ad.admin.v1.PushService/ListDeliveries",
        };
        let body = br#"{"jsonrpc":"2.0","id":1,"method":"ListDeliveries","params":{}}"#;
        let reply = client.http("POST", path, &body[..]).await;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(
            text.contains("METHOD_NOT_FOUND") || reply.status == 404,
            "{wire:?}: {text}"
        );
    }

    let off = Scenario::new()
        .sqlite()
        .set(|config| post.file.trust(config))
        .set(|config| config.access.default = a2ad::config::DefaultAccess::Allow)
        .start()
        .await;
    assert!(!services(&off).await.contains("PushService"));
    let channel = off.client(Wire::Grpc).channel();
    let mut client = a2ad::pb::admin::client::PushServiceClient::new(channel);
    let request = post.chief().request(ListDeliveriesRequest::default());
    let error = told(client.list_deliveries(request).await).unwrap_err();
    assert_eq!(format!("{:?}", error.code), "Grpc(Unimplemented)");
}

#[test]
fn it_is_not_for_callers_who_need_not_say_who_they_are() {
    let mut config = a2ad::config::Config::default();
    config.admin.enabled = true;
    let error = config.validate().unwrap_err().to_string();
    assert!(
        error.contains("admin.enabled") && error.contains("push-admin"),
        "{error}"
    );
}

#[tokio::test]
async fn every_call_has_its_record() {
    let mut post = Post::new().await;
    let name = post.kill_the_first().await;
    let chief = post.chief();
    chief.get(&name).await.unwrap();
    let filter = DeliveryFilter {
        host: "127.0.0.1:1".to_owned(),
        ..dead()
    };
    let discard = DiscardDeliveriesRequest {
        filter: Some(filter),
        ..DiscardDeliveriesRequest::default()
    };
    let reader = post.operator(json!({"scope": "read", "org": "acme"}));
    reader
        .discard(discard.clone())
        .await
        .unwrap_err()
        .is(Kind::PermissionDenied);
    chief.discard(discard).await.unwrap();
    let nothing = RedeliverDeliveriesRequest::default();
    chief
        .redeliver(nothing)
        .await
        .unwrap_err()
        .is(Kind::InvalidParams);
    post.operator(json!({"scope": "operate", "org": "acme"}))
        .list(ListDeliveriesRequest::default())
        .await
        .unwrap();
    post.world.stop();
    post.world.ended().await;

    let raw = Raw::open(&post.world.database()).await;
    let mut records = stored(&raw).await;
    records.retain(|record| record.kind == RecordKind::Admin);
    let told: Vec<_> = records
        .iter()
        .map(|record| {
            assert_eq!(
                record.principal.as_deref(),
                Some("jwt:https://idp.example.com#ada")
            );
            assert_eq!(record.binding.as_deref(), Some("GRPC"));
            assert!(record.request_id.is_some() && record.peer.is_some());
            let text =
                |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().unwrap_or_default().to_owned();
            (
                text(&record.method),
                text(&record.filter),
                record.outcome.to_string(),
            )
        })
        .collect();
    let expected = [
        ("GetDelivery", &*format!("name={name}"), "ok"),
        (
            "DiscardDeliveries",
            "state=dead host=127.0.0.1:1",
            "PERMISSION_DENIED",
        ),
        ("DiscardDeliveries", "state=dead host=127.0.0.1:1", "ok"),
        ("RedeliverDeliveries", "", "INVALID_PARAMS"),
        ("ListDeliveries", "all", "ok"),
    ]
    .map(|(method, filter, outcome)| (method.to_owned(), filter.to_owned(), outcome.to_owned()));
    assert_eq!(told, expected);
}

/// A state that nobody knows means none, and by no means all.
#[tokio::test]
async fn an_unknown_state_is_refused() {
    let post = Post::new().await;
    let chief = post.chief();
    let names = async || {
        let all = chief.all(DeliveryFilter::default(), None).await.unwrap();
        all.into_iter().map(|one| one.name).collect::<Vec<_>>()
    };
    let before = names().await;
    for state in [3, -1, i32::MAX] {
        let of_state = DeliveryFilter {
            state,
            ..of_agent("echo")
        };
        let filter = Some(of_state.clone());
        let refused = chief.all(of_state, None).await.err();
        refused.unwrap().is(Kind::InvalidParams);
        let discard = DiscardDeliveriesRequest {
            filter,
            ..DiscardDeliveriesRequest::default()
        };
        let refused = chief.discard(discard).await.err();
        refused.unwrap().is(Kind::InvalidParams);
    }
    assert_eq!(names().await, before);
}
