//! A bare axum service with types of its own: deserialize, answer, serialize.

use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::net::TcpListener;

use crate::{Outcome, payload};

/// Serves until it is killed.
pub async fn serve(listener: TcpListener) -> Outcome {
    let router = Router::new()
        .route("/", post(json_rpc))
        .route(payload::HTTP_JSON_PATH, post(http_json));
    let listener = listener.tap_io(|tcp| {
        // Without it the answers would be slower, which the figures would show.
        let _ = tcp.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

async fn http_json(Json(request): Json<Send>) -> Json<Answer> {
    Json(Answer::of(request))
}

async fn json_rpc(Json(request): Json<Call>) -> Json<Reply> {
    Json(Reply {
        jsonrpc: "2.0",
        id: request.id,
        result: Answer::of(request.params),
    })
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "reading them is part of the work")]
struct Call {
    jsonrpc: String,
    id: Box<RawValue>,
    method: String,
    params: Send,
}

#[derive(Serialize)]
struct Reply {
    jsonrpc: &'static str,
    id: Box<RawValue>,
    result: Answer,
}

#[derive(Deserialize)]
struct Send {
    message: Message,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    message_id: String,
    #[serde(default)]
    context_id: String,
    #[serde(default)]
    task_id: String,
    role: String,
    parts: Vec<Part>,
}

#[derive(Clone, Deserialize, Serialize)]
struct Part {
    text: String,
}

#[derive(Serialize)]
struct Answer {
    task: Task,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    id: String,
    context_id: String,
    status: Status,
    artifacts: Vec<Artifact>,
    history: Vec<Message>,
}

#[derive(Serialize)]
struct Status {
    state: String,
    message: Message,
    timestamp: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    artifact_id: String,
    name: String,
    parts: Vec<Part>,
}

impl Answer {
    /// The finished task of the echo agent.
    fn of(request: Send) -> Self {
        let mut message = request.message;
        payload::TASK_ID.clone_into(&mut message.task_id);
        payload::CONTEXT_ID.clone_into(&mut message.context_id);
        let task = Task {
            id: payload::TASK_ID.to_owned(),
            context_id: payload::CONTEXT_ID.to_owned(),
            status: status(),
            artifacts: vec![Artifact {
                artifact_id: "echo".to_owned(),
                name: "echo".to_owned(),
                parts: message.parts.clone(),
            }],
            history: vec![message],
        };
        Self { task }
    }
}

fn status() -> Status {
    Status {
        state: "TASK_STATE_COMPLETED".to_owned(),
        message: Message {
            message_id: payload::STATUS_MESSAGE_ID.to_owned(),
            context_id: payload::CONTEXT_ID.to_owned(),
            task_id: payload::TASK_ID.to_owned(),
            role: "ROLE_AGENT".to_owned(),
            parts: vec![Part {
                text: payload::STATUS_TEXT.to_owned(),
            }],
        },
        timestamp: "2026-11-18T10:40:00.123Z".to_owned(),
    }
}
