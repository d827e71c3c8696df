//! Whole runs, compared with golden files.

use super::harness::Story;
use crate::binary::Server;

fn server() -> Server {
    Server::start(&["--database", "memory", "--allow-loopback-webhooks"])
}

#[test]
fn cards() {
    let server = server();
    let mut story = Story::new("cards", &server);
    story.tell(&["card", "get", "-a", "AGENT"]);
    story.tell(&["card", "get", "-a", "AGENT/conformance", "--verbose"]);
    story.tell(&["card", "get", "-a", "AGENT", "-o", "json"]);
    story.tell(&["card", "get", "-a", "AGENT/nobody"]);
    story.tell(&["card", "get", "-a", "AGENT/nobody", "-o", "json"]);
    story.tell(&["card", "get", "-a", "127.0.0.1:1", "-o", "json"]);
    story.tell(&["card", "get", "-a", "./none.json"]);
    std::fs::write(story.user.work().join("bad.json"), "{\"name\":1}").unwrap();
    story.tell(&["card", "get", "-a", "./bad.json"]);
    story.tell(&["card", "get"]);
    story.end();
}

#[test]
fn messages() {
    let server = server();
    let mut story = Story::new("messages", &server);
    story.tell(&["send", "-a", "AGENT", "hello world"]);
    story.tell(&["send", "-a", "AGENT", "hello world", "-o", "json"]);
    std::fs::write(story.user.work().join("a.bin"), [0, 1, 2]).unwrap();
    std::fs::write(story.user.work().join("b.json"), "{\"key\":[1,true]}").unwrap();
    let parts = [
        "--file",
        "a.bin",
        "--media-type",
        "application/pdf",
        "--text",
        "two\n\nlines",
        "--data",
        "b.json",
        "--file",
        "https://example.com/c.png",
    ];
    story.tell(&[&["send", "-a", "AGENT"][..], &parts].concat());
    story.tell(
        &[
            &["send", "-a", "AGENT", "--verbose", "--history", "1"][..],
            &parts,
        ]
        .concat(),
    );
    for prefix in [
        "tck-message-response",
        "tck-artifact-file",
        "tck-artifact-file-url",
        "tck-artifact-data",
        "tck-task-failure",
        "tck-reject-task",
    ] {
        story.tell(&["send", "-a", "AGENT/conformance", prefix]);
        story.tell(&["send", "-a", "AGENT/conformance", prefix, "-o", "json"]);
    }
    story.end();
}

#[test]
fn turns() {
    let server = server();
    let mut story = Story::new("turns", &server);
    let asked = story.tell(&["send", "-a", "AGENT/conformance", "tck-multi-turn"]);
    assert_eq!(asked.code, 0);
    let id = asked
        .out
        .lines()
        .next()
        .unwrap()
        .strip_prefix("Task: ")
        .unwrap()
        .to_owned();
    story.tell(&["send", "-a", "AGENT/conformance", "--task-id", &id, "go on"]);
    story.tell(&[
        "send",
        "-a",
        "AGENT/conformance",
        "--task-id",
        &id,
        "done",
        "-o",
        "json",
    ]);
    story.tell(&["send", "-a", "AGENT/conformance", "--task-id", &id, "more"]);
    story.tell(&[
        "send",
        "-a",
        "AGENT/conformance",
        "--task-id",
        &id,
        "more",
        "-o",
        "json",
        "--stream",
    ]);
    story.tell(&[
        "send",
        "-a",
        "AGENT/conformance",
        "--task-id",
        "no-such-task",
        "more",
    ]);
    story.tell(&[
        "send",
        "-a",
        "AGENT/conformance",
        "tck-auth-required",
        "-o",
        "json",
    ]);
    story.end();
}

#[test]
fn tasks() {
    let server = server();
    let mut story = Story::new("tasks", &server);
    let begun = story.tell(&[
        "send",
        "-a",
        "AGENT/conformance",
        "tck-cancel",
        "--async",
        "-o",
        "json",
    ]);
    let task = begun.json()["task"].clone();
    let (id, context) = (task["id"].as_str().unwrap(), task["contextId"].as_str().unwrap());
    story.tell(&["task", "cancel", "-a", "AGENT/conformance", id]);
    story.tell(&["task", "cancel", "-a", "AGENT/conformance", id, "-o", "json"]);
    story.tell(&["task", "get", "-a", "AGENT/conformance", id, "--history", "5"]);
    story.tell(&[
        "task",
        "get",
        "-a",
        "AGENT/conformance",
        id,
        "-o",
        "json",
        "--stream",
    ]);
    story.tell(&["task", "get", "-a", "AGENT/conformance", id, "--wait"]);
    story.tell(&["task", "get", "-a", "AGENT/conformance", "nothing"]);
    story.tell(&[
        "send",
        "-a",
        "AGENT/conformance",
        "tck-complete-task",
        "--context-id",
        context,
    ]);
    let completed = story.tell(&[
        "task",
        "list",
        "-a",
        "AGENT/conformance",
        "-o",
        "json",
        "--status",
        "completed",
    ]);
    let done = completed.json()["tasks"][0]["id"].as_str().unwrap().to_owned();
    story.tell(&["task", "cancel", "-a", "AGENT/conformance", &done, "-o", "json"]);
    story.tell(&["task", "subscribe", "-a", "AGENT/conformance", &done]);
    story.tell(&[
        "task",
        "list",
        "-a",
        "AGENT/conformance",
        "--context-id",
        context,
        "--include-artifacts",
    ]);
    story.tell(&[
        "task",
        "list",
        "-a",
        "AGENT/conformance",
        "-o",
        "json",
        "--stream",
        "--page-size",
        "1",
    ]);
    story.tell(&[
        "task",
        "list",
        "-a",
        "AGENT/conformance",
        "--page-token",
        "nonsense",
    ]);
    story.end();
}

#[test]
fn usage() {
    let server = server();
    let mut story = Story::new("usage", &server);
    for line in [
        &["send", "-a", "AGENT"][..],
        &["send", "-a", "AGENT", "hi", "--nonsense"],
        &["send", "-a", "AGENT", "hi", "--nonsense", "-o", "json"],
        &[
            "send",
            "-a",
            "AGENT",
            "hi",
            "--output=json",
            "--media-type",
            "a/b",
            "--timeout",
            "soon",
        ],
        &["send", "-a", "AGENT", "--media-type", "a/b", "--text", "x"],
        &["send", "-a", "AGENT", "hi", "--async", "--wait"],
        &["send", "-a", "AGENT", "hi", "--async", "--stream", "-ojson"],
        &["send", "-a", "AGENT", "--file", "missing.txt"],
        &["send", "-a", "AGENT", "hi", "--metadata", "[1]"],
        &["send", "-a", "AGENT", "hi", "--a2a-version", "0.3"],
        &["send", "-a", "AGENT", "hi", "--svc-param", "Host:evil"],
        &["send", "-a", "AGENT", "hi", "--bearer", "not one word"],
        &["send", "-a", "AGENT", "hi", "--config", "missing.env"],
        &["send", "-a", "::", "hi"],
        &["task"],
        &["task", "get", "-a", "AGENT"],
        &["task", "list", "-a", "AGENT", "--status", "gone", "-o", "json"],
        &["completion", "tcsh"],
        &["nonsense", "-o", "json"],
        &["--version"],
        &["send", "--help"],
    ] {
        story.tell(line);
    }
    story.end();
}

#[test]
fn webhooks() {
    let server = server();
    let mut story = Story::new("webhooks", &server);
    let begun = story.tell(&[
        "send",
        "-a",
        "AGENT/conformance",
        "tck-input-required",
        "-o",
        "json",
    ]);
    let id = begun.json()["task"]["id"].as_str().unwrap().to_owned();
    let to = |words: &[&'static str]| -> Vec<String> {
        let words = ["task", "push-config"]
            .iter()
            .chain(words)
            .map(|word| (*word).to_owned());
        words
            .chain(["-a".into(), "AGENT/conformance".into(), id.clone()])
            .collect()
    };
    let mut tell = |words: Vec<String>, more: &[&str]| {
        let words: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .chain(more.iter().copied())
            .collect();
        story.tell(&words)
    };
    tell(
        to(&["create"]),
        &[
            "--url",
            "http://127.0.0.1:9/hook",
            "--id",
            "hook",
            "--webhook-credentials",
            "s3cret",
        ],
    );
    tell(to(&["get"]), &["hook"]);
    tell(to(&["list"]), &[]);
    tell(to(&["list"]), &["-o", "json"]);
    tell(to(&["delete"]), &["hook"]);
    tell(to(&["delete"]), &["hook", "-o", "json"]);
    tell(to(&["get"]), &["hook"]);
    tell(to(&["create"]), &["--url", "nonsense"]);
    story.end();
}

#[test]
fn downloads() {
    let server = server();
    let mut story = Story::new("downloads", &server);
    let sent = story.tell(&[
        "send",
        "-a",
        "AGENT/conformance",
        "tck-artifact-file",
        "-o",
        "json",
    ]);
    let id = sent.json()["task"]["id"].as_str().unwrap().to_owned();
    let download = ["task", "download", "-a", "AGENT/conformance", &*id];
    story.tell(&[&download[..], &["--dir", "saved"]].concat());
    story.tell(&[&download[..], &["--dir", "saved"]].concat());
    story.tell(&[&download[..], &["--dir", "saved", "--force", "-o", "json"]].concat());
    story.tell(&[&download[..], &["--artifact", "none"]].concat());
    let saved = story.user.work().join("saved/output.txt");
    assert_eq!(std::fs::read(saved).unwrap(), b"tck");
    story.end();
}
