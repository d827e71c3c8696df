//! What stands around the calls: request ids, deadlines, compression, health, reflection, gRPC-Web.

use a2ad::error::Kind;
use a2ad::pb::{ListTasksRequest, ListTasksResponse};
use prost::Message as _;
use tonic::codec::CompressionEncoding;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::turns::said;
use crate::support::messages::{get, send, task};
use crate::support::wire::{Wire, for_each_binding, http::frame};
use crate::support::world::World;

for_each_binding!(
    a_request_id_is_taken_and_returned,
    a_trace_reaches_the_agent,
    a_caller_learns_its_span,
);

async fn a_request_id_is_taken_and_returned(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let named = client.clone().with("x-request-id", "my.id-1");
    let answer = named.full(send("echo", "m", "x")).await.unwrap();
    assert_eq!(answer.headers["x-request-id"], "my.id-1");
    let stream = named.stream(send("echo", "m", "x")).await.unwrap();
    assert_eq!(stream.headers["x-request-id"], "my.id-1");
    let errors = [
        named.call(get("echo", "nobody")).await.unwrap_err(),
        named
            .clone()
            .with("a2a-version", "9")
            .call(get("echo", "nobody"))
            .await
            .unwrap_err(),
        named
            .clone()
            .with("idempotency-key", "")
            .call(send("echo", "m", "x"))
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.headers["x-request-id"], "my.id-1", "{error:?}");
        assert_eq!(error.metadata["requestId"], "my.id-1");
    }
    for bad in ["", "a b", "a\"b", &"x".repeat(129)] {
        let answer = client
            .clone()
            .with("x-request-id", bad)
            .full(send("echo", "m", "x"))
            .await
            .unwrap();
        assert_eq!(answer.headers["x-request-id"].len(), 36, "{bad:?} is replaced");
    }
}

async fn a_trace_reaches_the_agent(wire: Wire) {
    let world = World::new().await;
    let traced = |traceparent| world.client(wire).with("traceparent", traceparent);
    let id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let good = format!("00-{id}-00f067aa0ba902b7-01");
    for (traceparent, expected) in [(good.as_str(), id), ("junk", "none")] {
        let seen = task(
            traced(traceparent)
                .call(send("puppet", "m", "seen"))
                .await
                .unwrap(),
        );
        assert!(
            said(&seen).ends_with(&format!("trace={expected}")),
            "{}",
            said(&seen)
        );
    }
}

async fn a_caller_learns_its_span(wire: Wire) {
    let world = World::new().await;
    let (id, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let client = world.client(wire);
    let traced = client.clone().with("traceparent", &format!("00-{id}-{span}-01"));
    let answer = traced.full(send("echo", "m", "x")).await.unwrap();
    let ours = &answer.headers["traceresponse"].to_str().unwrap();
    assert!(
        ours.starts_with(&format!("00-{id}-")) && !ours.contains(span),
        "{ours}"
    );
    let plain = client.full(send("echo", "m", "x")).await.unwrap();
    assert!(!plain.headers.contains_key("traceresponse"));
}

#[tokio::test]
async fn a_grpc_deadline_ends_the_wait_and_not_the_task() {
    let world = World::new().await;
    let client = world.client(Wire::Grpc);
    let message = frame(&send("puppet", "m", "hold").encode_to_vec());
    let late = client
        .clone()
        .with("grpc-timeout", "20m")
        .raw_grpc("SendMessage", message.clone())
        .await;
    late.error(Wire::Grpc).is(Kind::DeadlineExceeded);
    let tasks = ListTasksRequest {
        tenant: "puppet".to_owned(),
        ..ListTasksRequest::default()
    };
    assert_eq!(client.call(tasks).await.unwrap().total_size, 1);
    let junk = client
        .clone()
        .with("grpc-timeout", "soon")
        .raw_grpc("SendMessage", message)
        .await;
    let junk = junk.error(Wire::Grpc).is(Kind::InvalidParams);
    assert_eq!(junk.fields, ["grpc-timeout"]);
}

#[tokio::test]
async fn gzip_is_taken_and_given_on_grpc() {
    let world = World::new().await;
    let gzip = CompressionEncoding::Gzip;
    let mut client = world
        .client(Wire::Grpc)
        .grpc()
        .send_compressed(gzip)
        .accept_compressed(gzip);
    let answer = client
        .send_message(send("echo", "m", &"long ".repeat(10_000)))
        .await
        .unwrap();
    assert_eq!(answer.metadata().get("grpc-encoding").unwrap(), "gzip");
    assert!(said(&task(answer.into_inner())).starts_with("long long "));
}

#[tokio::test]
async fn reflection_knows_the_services() {
    let world = World::new().await;
    let mut client = ServerReflectionClient::new(world.client(Wire::Grpc).channel());
    let message_request = Some(MessageRequest::ListServices(String::new()));
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request,
    };
    let mut answers = client
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else {
        panic!("{answer:?}")
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for expected in ["lf.a2a.v1.A2AService", "grpc.health.v1.Health"] {
        assert!(names.contains(&expected), "{names:?}");
    }
}

#[tokio::test]
async fn grpc_web_is_grpc_over_http_1() {
    let world = World::new().await;
    let client = world
        .client(Wire::HttpJson)
        .with("content-type", "application/grpc-web+proto");
    let reply = client
        .http("POST", "/lf.a2a.v1.A2AService/ListTasks", frame(b""))
        .await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, "application/grpc-web+proto")
    );
    let length = u32::from_be_bytes(reply.body[1..5].try_into().unwrap()) as usize;
    let page = ListTasksResponse::decode(&reply.body[5..5 + length]).unwrap();
    assert_eq!(page.page_size, 50);
    let trailers = &reply.body[5 + length..];
    assert_eq!(trailers[0], 0x80, "a frame of trailers");
    assert!(String::from_utf8_lossy(&trailers[5..]).contains("grpc-status:0"));
}
