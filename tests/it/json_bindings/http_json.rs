//! HTTP+JSON from end to end: every operation, both media types, values in the path and in the body.

use std::io::Write as _;

use serde_json::json;

use super::harness::{World, message, request, with};

#[tokio::test]
async fn a_task_from_send_to_list() {
    let world = World::new().await;
    let sent = world
        .http("POST", "/message:send", &message("m", "hello world"))
        .await;
    assert_eq!(
        (sent.status, sent.header("content-type")),
        (200, "application/json")
    );
    let task = sent.json()["task"].clone();
    assert_eq!(task["status"]["state"], "TASK_STATE_COMPLETED");
    let id = task["id"].as_str().unwrap();
    let got = world
        .http("GET", &format!("/tasks/{id}?historyLength=0"), "")
        .await;
    assert_eq!(
        (got.status, got.header("content-type")),
        (200, "application/a2a+json")
    );
    assert_eq!(got.json()["artifacts"], task["artifacts"]);
    assert_eq!(got.json().get("history"), None);
    let listed = world
        .http("GET", "/tasks/?pageSize=1&status=TASK_STATE_COMPLETED", "")
        .await
        .json();
    assert_eq!(
        (&listed["tasks"][0]["id"], &listed["nextPageToken"]),
        (&json!(id), &json!(""))
    );
    // Another agent does not know the task.
    assert_eq!(
        world
            .http("GET", &format!("/conformance/tasks/{id}"), "")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn cancel_takes_an_empty_body_and_refuses_a_contradiction() {
    let world = World::new().await;
    let send = message("tck-input-required", "x");
    let task = world
        .http("POST", "/conformance/message:send", &send)
        .await
        .json()["task"]
        .clone();
    let id = task["id"].as_str().unwrap();
    let path = format!("/conformance/tasks/{id}:cancel");
    let contradiction = world.http("POST", &path, r#"{"id":"other"}"#).await;
    assert_eq!(
        (contradiction.status, contradiction.reason()),
        (400, "INVALID_PARAMS".to_owned())
    );
    let elsewhere = world.http("POST", &path, r#"{"tenant":"echo"}"#).await;
    assert_eq!(elsewhere.status, 400);
    let mut canceled = Vec::new();
    for body in ["", "{}", &format!(r#"{{"id":"{id}","tenant":"conformance"}}"#)] {
        canceled.push(world.http("POST", &path, body).await);
    }
    canceled.push(
        world
            .send(with(
                request("POST", &path, ""),
                "content-type",
                "application/a2a+json",
            ))
            .await,
    );
    for reply in canceled {
        assert_eq!(
            (reply.status, &reply.json()["status"]["state"]),
            (200, &json!("TASK_STATE_CANCELED"))
        );
    }
}

#[tokio::test]
async fn push_configurations_come_and_go() {
    let world = World::new().await;
    let task = world.task("conformance", "tck-input-required").await;
    let base = format!(
        "/conformance/tasks/{}/pushNotificationConfigs",
        task["id"].as_str().unwrap()
    );
    let created = world
        .http("POST", &base, r#"{"id":"c","url":"https://example.com/hook"}"#)
        .await;
    assert_eq!(
        (created.status, &created.json()["id"]),
        (200, &json!("c")),
        "{}",
        created.body
    );
    assert_eq!(
        world.http("GET", &format!("{base}/c"), "").await.json()["taskId"],
        task["id"]
    );
    assert_eq!(
        world.http("GET", &base, "").await.json()["configs"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    for _ in 0..2 {
        let deleted = world.http("DELETE", &format!("{base}/c"), "").await;
        assert_eq!((deleted.status, deleted.body.as_str()), (200, "{}"));
    }
    assert_eq!(world.http("GET", &format!("{base}/c"), "").await.status, 404);
}

#[tokio::test]
async fn answers_come_in_the_media_type_of_the_request() {
    let world = World::new().await;
    for media in ["application/json", "application/a2a+json"] {
        let send = with(
            request("POST", "/message:send", &message("m", "x")),
            "content-type",
            media,
        );
        assert_eq!(world.send(send).await.header("content-type"), media);
        let list = with(request("GET", "/tasks", ""), "accept", media);
        assert_eq!(world.send(list).await.header("content-type"), media);
        let bad = with(request("POST", "/message:send", "{"), "content-type", media);
        assert_eq!(world.send(bad).await.header("content-type"), media);
    }
}

#[tokio::test]
async fn a_gzipped_body_is_read() {
    let world = World::new().await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(message("m", "x").as_bytes()).unwrap();
    let mut send = with(request("POST", "/message:send", "{}"), "content-encoding", "gzip");
    *send.body_mut() = encoder.finish().unwrap().into();
    assert_eq!(world.send(send).await.status, 200);
}

#[tokio::test]
async fn the_request_id_is_the_callers_or_ours() {
    let world = World::new().await;
    let named = world
        .send(with(request("GET", "/tasks", ""), "x-request-id", "mine-1"))
        .await;
    assert_eq!(named.header("x-request-id"), "mine-1");
    let unnamed = world.http("GET", "/nowhere", "").await;
    assert_eq!(unnamed.header("x-request-id").len(), 36);
}
