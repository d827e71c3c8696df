//! The one payload: a message with 256 bytes of text, and the task that it becomes.

use a2ad::pb::part::Content;
use a2ad::pb::{
    Artifact, Message, Part, Role, SendMessageRequest, SendMessageResponse, StreamResponse, Task,
    TaskArtifactUpdateEvent, TaskState, TaskStatus, Timestamp, send_message_response, stream_response,
};
use bytes::{BufMut, Bytes, BytesMut};

use crate::Outcome;

/// The path of HTTP+JSON; JSON-RPC has `/`.
pub const HTTP_JSON_PATH: &str = "/message:send";
pub const SEND_MESSAGE: &str = "/lf.a2a.v1.A2AService/SendMessage";

pub const SEND_STREAMING_MESSAGE: &str = "/lf.a2a.v1.A2AService/SendStreamingMessage";
pub const SUBSCRIBE_TO_TASK: &str = "/lf.a2a.v1.A2AService/SubscribeToTask";

/// The length of the text in every echo.
const TEXT_BYTES: usize = 256;
/// As long as the identifiers that a2ad makes.
pub const TASK_ID: &str = "01936000-0000-7000-8000-000000000001";
pub const CONTEXT_ID: &str = "01936000-0000-7000-8000-000000000002";
pub const STATUS_MESSAGE_ID: &str = "01936000-0000-7000-8000-000000000003";
/// What the echo agent says about 256 bytes of these words.
pub const STATUS_TEXT: &str = "echo: 256 characters, 48 words";
const MESSAGE_ID: &str = "01936000-0000-7000-8000-000000000004";

/// The padding of a tick that is delivered to a webhook.
pub const PADDING: &str = "................................................................";

/// 256 bytes of words.
pub fn text() -> String {
    "a2ad carries it ".chars().cycle().take(TEXT_BYTES).collect()
}

pub fn request(text: String) -> SendMessageRequest {
    SendMessageRequest {
        message: Some(Message {
            message_id: MESSAGE_ID.to_owned(),
            role: Role::User.into(),
            parts: vec![text_part(text)],
            ..Message::default()
        }),
        ..SendMessageRequest::default()
    }
}

fn text_part(text: String) -> Part {
    Part {
        content: Some(Content::Text(text)),
        ..Part::default()
    }
}

/// The same request as HTTP+JSON takes it.
pub fn json(text: &str) -> String {
    format!(
        r#"{{"message":{{"messageId":"{MESSAGE_ID}","role":"ROLE_USER","parts":[{{"text":"{text}"}}]}}}}"#
    )
}

/// The same request as JSON-RPC takes it.
pub fn json_rpc(text: &str) -> String {
    let params = json(text);
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{params}}}"#)
}

/// A message as it stands in a gRPC body: not compressed, length, bytes.
pub fn grpc_frame(message: &impl prost::Message) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.encoded_len());
    frame.put_u8(0);
    frame.put_u32(message.encoded_len() as u32);
    frame.put_slice(&message.encode_to_vec());
    frame.freeze()
}

/// The message in a gRPC body that must hold exactly one.
pub fn unframe<M: prost::Message + Default>(frame: &[u8]) -> Outcome<M> {
    let (head, body) = frame.split_at_checked(5).ok_or("a gRPC body without a frame")?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if head[0] != 0 || length != body.len() {
        return Err("a gRPC body that is not one plain frame".into());
    }
    Ok(M::decode(body)?)
}

/// The order for the bench agent to stream as fast as it can.
pub fn ticks_order(count: u64, pad: usize) -> String {
    format!("ticks:{count}:0:0:{pad}")
}

/// Count and padding of such an order.
pub fn ticks_of(request: &SendMessageRequest) -> Option<(u64, usize)> {
    let Some(Content::Text(text)) = &request.message.as_ref()?.parts.first()?.content else {
        return None;
    };
    let (count, pad) = text.strip_prefix("ticks:")?.split_once(":0:0:")?;
    Some((count.parse().ok()?, pad.parse().ok()?))
}

/// When the ticks in a piece of a stream were made, in nanoseconds since the epoch. One that is cut by the end of the
/// piece is left out.
pub fn tick_times(piece: &[u8]) -> impl Iterator<Item = u64> {
    const HEAD: &[u8] = b"tick ";
    let heads = piece.windows(HEAD.len()).enumerate();
    let heads = heads.filter(|(_, bytes)| *bytes == HEAD);
    heads.filter_map(|(at, _)| {
        let mut fields = piece[at + HEAD.len()..].split(|byte| *byte == b' ');
        let (_index, time, _padding) = (fields.next()?, fields.next()?, fields.next()?);
        std::str::from_utf8(time).ok()?.parse().ok()
    })
}

/// What the bench agent sends for one tick of its `ticks` order, with the same number of bytes.
pub fn tick(index: u64, last: bool, padding: &str) -> StreamResponse {
    let update = TaskArtifactUpdateEvent {
        task_id: TASK_ID.to_owned(),
        context_id: CONTEXT_ID.to_owned(),
        artifact: Some(Artifact {
            artifact_id: "ticks".to_owned(),
            name: "ticks".to_owned(),
            parts: vec![text_part(format!("tick {index} 1795000000123456789 {padding}"))],
            ..Artifact::default()
        }),
        append: index > 0,
        last_chunk: last,
        metadata: None,
    };
    StreamResponse {
        payload: Some(stream_response::Payload::ArtifactUpdate(update)),
    }
}

/// What a subscriber gets first: the task as it is.
pub fn snapshot() -> StreamResponse {
    let task = answer(request(text())).and_then(|answer| match answer.payload {
        Some(send_message_response::Payload::Task(task)) => Some(stream_response::Payload::Task(task)),
        _ => None,
    });
    StreamResponse { payload: task }
}

/// What the echo agent's task looks like in the end, made by the bare servers with as little work as it can be.
pub fn answer(request: SendMessageRequest) -> Option<SendMessageResponse> {
    let mut message = request.message?;
    TASK_ID.clone_into(&mut message.task_id);
    CONTEXT_ID.clone_into(&mut message.context_id);
    let task = Task {
        id: TASK_ID.to_owned(),
        context_id: CONTEXT_ID.to_owned(),
        status: Some(status()),
        artifacts: vec![Artifact {
            artifact_id: "echo".to_owned(),
            name: "echo".to_owned(),
            parts: message.parts.clone(),
            ..Artifact::default()
        }],
        history: vec![message],
        metadata: None,
    };
    Some(SendMessageResponse {
        payload: Some(send_message_response::Payload::Task(task)),
    })
}

fn status() -> TaskStatus {
    TaskStatus {
        state: TaskState::Completed.into(),
        message: Some(Message {
            message_id: STATUS_MESSAGE_ID.to_owned(),
            context_id: CONTEXT_ID.to_owned(),
            task_id: TASK_ID.to_owned(),
            role: Role::Agent.into(),
            parts: vec![text_part(STATUS_TEXT.to_owned())],
            ..Message::default()
        }),
        timestamp: Some(Timestamp {
            seconds: 1_795_000_000,
            nanos: 123_000_000,
        }),
    }
}

/// Whether an answer is the finished task with the text in its artifact.
pub fn check(answer: &SendMessageResponse) -> Outcome {
    let Some(send_message_response::Payload::Task(task)) = &answer.payload else {
        return Err(format!("not a task: {answer:?}").into());
    };
    let done = task
        .status
        .as_ref()
        .is_some_and(|status| status.state() == TaskState::Completed);
    let echo = task.artifacts.first().and_then(|artifact| artifact.parts.first());
    if !done || echo.and_then(|part| part.content.clone()) != Some(Content::Text(text())) {
        return Err(format!("not the finished echo: {task:?}").into());
    }
    Ok(())
}

/// The same of an answer by either JSON binding.
pub fn check_json(answer: &[u8]) -> Outcome {
    let answer: serde_json::Value = serde_json::from_slice(answer)?;
    let task = answer.pointer("/result/task").or(answer.pointer("/task"));
    let text_of = |pointer: &str| task?.pointer(pointer)?.as_str();
    let done = text_of("/status/state") == Some("TASK_STATE_COMPLETED");
    if !done || text_of("/artifacts/0/parts/0/text") != Some(&text()) {
        return Err(format!("not the finished echo: {answer}").into());
    }
    Ok(())
}
