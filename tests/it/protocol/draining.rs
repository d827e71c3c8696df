//! The end of a runtime, as callers see it.

use std::time::Duration;

use a2ad::error::Kind;
use a2ad::pb::{ListTasksRequest, TaskState};
use bytes::Bytes;
use http_body_util::StreamBody;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::sockets::soon;
use crate::support::messages::{Event, label, send, state, task};
use crate::support::wire::{Wire, WireError, for_each_binding, http::frame};
use crate::support::world::{Scenario, World};

for_each_binding!(streams_end_with_their_cursor, what_was_asked_before_is_answered);

async fn streams_end_with_their_cursor(wire: Wire) {
    let mut world = World::new().await;
    let client = world.client(wire);
    let mut stream = client.stream(send("puppet", "m", "steps 1")).await.unwrap();
    let (_, Event::Task(begun)) = stream.event().await else {
        panic!("the task comes first")
    };
    assert_eq!(label(&stream.event().await.1), "WORKING");
    world.stop();
    let error = stream.next().await.expect("an error").unwrap_err();
    // A stream has begun: its status line is out, and only the error itself tells.
    assert_eq!(
        (error.reason.as_str(), error.retry),
        (Kind::Unavailable.reason(), true),
        "{error:?}"
    );
    assert_eq!(error.metadata["lastGeneration"], "2");
    if wire == Wire::Grpc {
        assert_eq!(error.headers["a2ad-last-generation"], "2");
    }
    assert!(stream.next().await.is_none());
    assert!(!begun.id.is_empty());
    // The execution is waited for.
    world.puppet.allow(2);
    world.ended().await;
}

async fn what_was_asked_before_is_answered(wire: Wire) {
    let mut world = World::new().await;
    let client = world.client(wire);
    let asked = async { task(client.call(send("puppet", "m", "hold")).await.unwrap()) };
    let puppet = world.puppet.clone();
    let shutdown = world.shutdown.clone();
    let stopping = async {
        soon("the run", async {
            while puppet.runs() == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        world.stop();
        soon("draining", shutdown.draining()).await;
        puppet.allow(1);
    };
    let (answered, ()) = tokio::join!(asked, stopping);
    assert_eq!(state(&answered), TaskState::Completed);
    world.ended().await;
}

/// A request that was on its way when draining began: on HTTP/1.1 the head has been read, the body is still missing.
#[tokio::test]
async fn a_request_that_comes_too_late_is_told_so_over_http() {
    for (wire, path) in [(Wire::JsonRpc, "/"), (Wire::HttpJson, "/message:send")] {
        let mut world = World::new().await;
        let body = r#"{"jsonrpc":"2.0","id":7,"method":"ListTasks"}"#;
        let mut tcp = TcpStream::connect(world.address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\na2a-version: 1.0\r\ncontent-type: application/json\r\n\
             expect: 100-continue\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        tcp.write_all(head.as_bytes()).await.unwrap();
        let mut told = [0; 25];
        soon("to go on", tcp.read_exact(&mut told)).await.unwrap();
        assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
        world.stop();
        soon("draining", world.shutdown.draining()).await;
        tcp.write_all(body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        soon("the answer", tcp.read_to_string(&mut answer)).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after: 1"),
            "{head}"
        );
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        WireError::from_json(wire, 503, http::HeaderMap::new(), &json["error"]).is(Kind::Unavailable);
        world.ended().await;
    }
}

/// The same on gRPC: the stream is open, its message comes late.
#[tokio::test]
async fn a_request_that_comes_too_late_is_told_so_over_grpc() {
    let mut world = World::new().await;
    let client = world.client(Wire::Grpc);
    let (late, body) = mpsc::channel::<Result<http_body::Frame<Bytes>, std::convert::Infallible>>(1);
    let body = StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(body));
    let request = http::Request::post(format!("http://{}/lf.a2a.v1.A2AService/ListTasks", world.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(body))
        .unwrap();
    let mut channel = client.channel();
    std::future::poll_fn(|cx| tower::Service::poll_ready(&mut channel, cx))
        .await
        .unwrap();
    let answer = tower::Service::call(&mut channel, request);
    let rest = async {
        // Behind it on the same connection: by its answer the first head has been read.
        client.call(ListTasksRequest::default()).await.unwrap();
        world.stop();
        soon("draining", world.shutdown.draining()).await;
        late.send(Ok(http_body::Frame::data(Bytes::from(frame(b"")))))
            .await
            .unwrap();
        drop(late);
    };
    let (answer, ()) = tokio::join!(answer, rest);
    let status = tonic::Status::from_header_map(answer.unwrap().headers()).unwrap();
    let error = WireError::from_status(status).is(Kind::Unavailable);
    assert!(error.retry);
    world.ended().await;
}

#[tokio::test]
async fn health_says_so_before_anything_is_refused() {
    let scenario = Scenario::new().set(|config| config.server.drain_delay_ms = 600_000);
    let mut world = scenario.start().await;
    let client = world.client(Wire::Grpc);
    let mut health = HealthClient::new(client.channel());
    for service in ["", "lf.a2a.v1.A2AService"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let mut watch = health.watch(request).await.unwrap().into_inner();
        let mut next = async || soon("a change", watch.message()).await.unwrap().unwrap().status();
        if service.is_empty() {
            assert_eq!(next().await, ServingStatus::Serving);
            world.stop();
        }
        while next().await != ServingStatus::NotServing {}
    }
    client
        .call(ListTasksRequest::default())
        .await
        .expect("still served while balancers look elsewhere");
    let plain = world.client(Wire::HttpJson).http("GET", "/healthz", "").await;
    assert_eq!(
        (plain.status, plain.json()["status"].as_str()),
        (503, Some("NOT_SERVING"))
    );
    world.shutdown.abort();
    tokio::time::timeout(Duration::from_secs(20), world.ended())
        .await
        .unwrap();
}
