//! Nobody who reads results can tell by which binding they came.

use serde_json::Value;

use super::harness::User;
use crate::binary::Server;

const BINDINGS: [&str; 3] = ["grpc", "jsonrpc", "http+json"];

/// A result without what is different each time: ids, times, and the code that the binding itself has.
fn plain(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.map(stripped).collect()
}

fn stripped(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(name, _)| {
                !["id", "taskId", "contextId", "messageId", "timestamp", "a2aCode"].contains(&name.as_str())
            });
            Value::Object(members.map(|(name, member)| (name, stripped(member))).collect())
        }
        Value::Array(members) => Value::Array(members.into_iter().map(stripped).collect()),
        other => other,
    }
}

#[test]
fn results_and_failures_are_the_same_on_every_binding() {
    let server = Server::start(&["--database", "memory", "--allow-loopback-webhooks"]);
    let user = User::new();
    let agent = format!("{}/conformance", server.addr);
    let run = |binding: &str, line: &[&str]| {
        let more = ["-a", &agent, "--transport", binding, "-o", "json"];
        user.run(&[line, &more].concat())
    };
    let (asked, ended) = ("tck-input-required", "tck-complete-task");
    let id = |prefix: &str| {
        let sent = run("grpc", &["send", prefix]);
        sent.json()["task"]["id"].as_str().unwrap().to_owned()
    };
    let (asked, ended) = (id(asked), id(ended));
    let lines: Vec<(Vec<&str>, i32, Option<&str>)> = vec![
        (vec!["send", "tck-message-response"], 0, None),
        (vec!["send", "tck-artifact-data"], 0, None),
        (vec!["send", "tck-artifact-file", "--stream"], 0, None),
        (vec!["send", "tck-task-failure"], 0, None),
        (vec!["send", "tck-complete-task", "--async"], 0, None),
        (vec!["task", "get", &asked, "--history", "3"], 0, None),
        (vec!["task", "subscribe", &asked], 0, None),
        (vec!["task", "subscribe", &asked, "--stream"], 0, None),
        (vec!["task", "list", "--context-id", "none"], 0, None),
        (vec!["card", "get", "--extended"], 0, None),
        (vec!["task", "push-config", "list", &asked], 0, None),
        (vec!["task", "get", "none"], 1, Some("TaskNotFoundError")),
        (vec!["task", "cancel", &ended], 1, Some("TaskNotCancelableError")),
        (
            vec!["task", "subscribe", &ended],
            1,
            Some("UnsupportedOperationError"),
        ),
        (
            vec!["send", "more", "--task-id", &ended],
            1,
            Some("UnsupportedOperationError"),
        ),
        (
            vec!["send", "more", "--task-id", "none"],
            1,
            Some("TaskNotFoundError"),
        ),
        (
            vec!["send", "more", "--task-id", &asked, "--context-id", "other"],
            1,
            Some("InvalidParamsError"),
        ),
        (
            vec!["task", "list", "--page-token", "nonsense"],
            1,
            Some("InvalidParamsError"),
        ),
        (
            vec!["task", "get", &asked, "--a2a-version", "1.7"],
            1,
            Some("VersionNotSupportedError"),
        ),
        (
            vec!["task", "push-config", "get", &asked, "none"],
            1,
            Some("TaskNotFoundError"),
        ),
        (
            vec!["task", "push-config", "create", &asked, "--url", "nonsense"],
            1,
            Some("InvalidParamsError"),
        ),
    ];
    for (line, code, failure) in lines {
        let runs = BINDINGS.map(|binding| run(binding, &line));
        for (binding, run) in BINDINGS.iter().zip(&runs) {
            assert_eq!(run.code, code, "{binding} {line:?}: {} {}", run.out, run.err);
            assert_eq!(plain(&run.out), plain(&runs[0].out), "{binding} {line:?}");
            if let Some(failure) = failure {
                let error = &plain(&run.out).pop().unwrap()["error"];
                assert_eq!(error["code"], failure, "{binding} {line:?}: {}", run.out);
                assert!(error["hint"].is_string(), "{binding} {line:?}: {}", run.out);
            }
        }
    }
}

#[test]
fn the_binding_is_the_first_one_that_is_preferred_and_offered() {
    let server = Server::start(&["--database", "memory"]);
    let user = User::new();
    let address = server.addr.to_string();
    let used = |card: &str, preferred: &[&str]| {
        let mut line = vec!["send", "-a", card, "hello", "--debug"];
        preferred
            .iter()
            .for_each(|binding| line.extend(["--transport", binding]));
        let run = user.run(&line);
        assert_eq!(run.code, 0, "{}", run.err);
        let by = run
            .err
            .lines()
            .find_map(|line| line.split_once("SendStreamingMessage by "));
        by.unwrap().1.split(' ').next().unwrap().to_owned()
    };
    let card = user.run(&["card", "get", "-a", &address, "-o", "json"]).json();
    let first = card["supportedInterfaces"][0]["protocolBinding"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(used(&address, &[]), first);
    for (flag, name) in BINDINGS.iter().zip(["GRPC", "JSONRPC", "HTTP+JSON"]) {
        assert_eq!(used(&address, &[flag]), name);
    }
    // A card in a file that offers two of them in another order.
    let mut less = card.clone();
    let mut interfaces = card["supportedInterfaces"].as_array().unwrap().clone();
    interfaces.retain(|interface| interface["protocolBinding"] != "GRPC");
    interfaces.reverse();
    less["supportedInterfaces"] = interfaces.clone().into();
    let file = user.work().join("card.json");
    std::fs::write(&file, less.to_string()).unwrap();
    let first = interfaces[0]["protocolBinding"].as_str().unwrap();
    assert_eq!(used("./card.json", &[]), first);
    assert_eq!(used("./card.json", &["grpc"]), first);
    assert_eq!(
        used("./card.json", &["grpc", "http+json", "jsonrpc"]),
        "HTTP+JSON"
    );
}
