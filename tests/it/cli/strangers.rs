//! Agents that are not ours: what they answer is scripted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Response;
use http_body_util::Full;
use serde_json::{Value, json};

use super::harness::{Run, User};
use crate::client::script::{Got, Script};

/// What an agent answers a method with the how manieth call of it.
type Answer = fn(&str, usize) -> Reply;

enum Reply {
    One(Value),
    /// Events of a stream, which ends behind them.
    Events(Vec<Value>),
}

/// An agent by JSON-RPC whose card says whether it has streams.
async fn agent(streaming: bool, answer: Answer) -> Script {
    let calls = Arc::new(AtomicUsize::new(0));
    Script::new(move |got| respond(got, streaming, answer, &calls)).await
}

fn respond(got: &Got, streaming: bool, answer: Answer, calls: &AtomicUsize) -> Response<Full<bytes::Bytes>> {
    let typed = |kind: &str, body: String| {
        let response = Response::builder().header("content-type", kind);
        response.body(Full::new(body.into())).unwrap()
    };
    if got.head.method == http::Method::GET {
        let host = got.head.headers["host"].to_str().unwrap();
        let card = json!({
            "name": "Stranger", "description": "Scripted", "version": "1", "skills": [],
            "defaultInputModes": ["*/*"], "defaultOutputModes": ["*/*"], "capabilities": {"streaming": streaming},
            "supportedInterfaces": [
                {"url": format!("http://{host}/"), "protocolBinding": "JSONRPC", "protocolVersion": "1.0"},
            ],
        });
        return typed("application/json", card.to_string());
    }
    let request: Value = serde_json::from_slice(&got.body).unwrap();
    let method = request["method"].as_str().unwrap();
    let number = match method {
        "GetTask" => calls.fetch_add(1, Ordering::SeqCst),
        _ => 0,
    };
    let wrapped = |result: Value| json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
    match answer(method, number) {
        Reply::One(result) => typed("application/json", wrapped(result).to_string()),
        Reply::Events(events) => {
            let text = events
                .into_iter()
                .map(|event| format!("data: {}\n\n", wrapped(event)));
            typed("text/event-stream", text.collect())
        }
    }
}

fn task(state: &str) -> Value {
    json!({"id": "t", "contextId": "c", "status": {"state": state}})
}

fn message() -> Value {
    json!({"message": {"messageId": "m", "role": "ROLE_AGENT", "contextId": "c", "parts": [{"text": "hi"}]}})
}

async fn run(agent: &Script, arguments: &[&str]) -> (Run, User) {
    let more = ["-a", &agent.address.to_string(), "--poll-interval", "20ms"].map(str::to_owned);
    let arguments: Vec<String> = arguments
        .iter()
        .map(|word| (*word).to_owned())
        .chain(more)
        .collect();
    let ran = tokio::task::spawn_blocking(move || {
        let user = User::new();
        let run = user.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        (run, user)
    });
    ran.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_instead_of_a_task_is_a_result() {
    for streaming in [true, false] {
        let agent = agent(streaming, |method, _| match method {
            "SendMessage" => Reply::One(message()),
            _ => Reply::Events(vec![message()]),
        })
        .await;
        for more in [&[][..], &["--stream"], &["--async"]] {
            let (run, _) = run(&agent, &[&["send", "hello", "-o", "json"], more].concat()).await;
            assert_eq!(run.code, 0, "{} {}", run.out, run.err);
            assert_eq!(run.json()["message"]["parts"][0]["text"], "hi");
            let (run, _) = run_text(&agent, more).await;
            assert_eq!(
                (run.code, &*run.out),
                (0, "Context: c\nMessage: agent\nText:\nhi\n\n"),
                "{}",
                run.err
            );
        }
    }
}

async fn run_text(agent: &Script, more: &[&str]) -> (Run, User) {
    run(agent, &[&["send", "hello"], more].concat()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_ends_too_early_is_replaced_by_questions() {
    let agent = agent(true, |method, number| match (method, number) {
        ("GetTask", 0) => Reply::One(task("TASK_STATE_WORKING")),
        // Neither an end nor a question.
        ("GetTask", 1) => Reply::One(task("TASK_STATE_UNSPECIFIED")),
        ("GetTask", _) => Reply::One(task("TASK_STATE_COMPLETED")),
        _ => Reply::Events(vec![json!({"task": task("TASK_STATE_SUBMITTED")})]),
    })
    .await;
    let (run, _) = run(&agent, &["send", "hello", "-o", "json"]).await;
    assert_eq!(run.code, 0, "{} {}", run.out, run.err);
    assert_eq!(run.json()["task"]["status"]["state"], "TASK_STATE_COMPLETED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_says_steers_no_terminal_and_no_path() {
    let agent = agent(false, |_, _| {
        let mut done = task("TASK_STATE_COMPLETED");
        done["artifacts"] = json!([{
            "artifactId": "a", "name": "red\u{1b}[31m\nState: FAILED",
            "parts": [
                {"text": "one\n\nState: FAILED\u{7}\u{202e}"},
                {"raw": "AAEC", "filename": "../../.ssh/authorized_keys\u{0}.txt"},
                {"raw": "AAEC", "filename": "/etc/cron.d/x"},
                {"url": "http://169.254.169.254/"},
            ],
        }]);
        Reply::One(done)
    })
    .await;
    let (shown, _) = run(&agent, &["task", "get", "t", "--verbose"]).await;
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(
        !shown
            .out
            .chars()
            .any(|letter| letter.is_control() && letter != '\n'),
        "{:?}",
        shown.out
    );
    assert!(!shown.out.contains('\u{202e}'), "{:?}", shown.out);
    // Whoever reads fields and skips blocks sees one state.
    let mut is_block = false;
    let states = shown.out.lines().filter(|line| {
        let was_block = is_block;
        is_block = if was_block {
            !line.is_empty()
        } else {
            line.ends_with(':')
        };
        !was_block && line.starts_with("State: ")
    });
    assert_eq!(states.collect::<Vec<_>>(), ["State: COMPLETED"], "{}", shown.out);
    let (saved, user) = run(&agent, &["task", "download", "t", "--dir", "saved"]).await;
    assert_eq!(saved.code, 0, "{}", saved.err);
    let mut names: Vec<String> = std::fs::read_dir(user.work().join("saved"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["authorized_keys_.txt", "red__31m_State__FAILED.txt", "x"]);
    assert_eq!(std::fs::read_dir(user.work()).unwrap().count(), 1);
    assert!(
        saved.err.contains("not fetched: http://169.254.169.254/"),
        "{}",
        saved.err
    );
}
