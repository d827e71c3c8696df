//! Following tasks: line by line, to the end, and no longer than asked.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use super::harness::{Run, Story, User};
use crate::binary::Server;

fn lines(run: &Run) -> Vec<Value> {
    let lines = run.out.lines();
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn streams() {
    let server = Server::start(&["--database", "memory"]);
    let mut story = Story::new("streams", &server);
    let send = ["send", "-a", "AGENT/conformance", "--stream"];
    for prefix in [
        "tck-stream-artifact-chunked",
        "tck-message-response",
        "tck-input-required",
        "tck-task-failure",
    ] {
        story.tell(&[&send[..], &[prefix]].concat());
        story.tell(&[&send[..], &[prefix, "-o", "json"]].concat());
    }
    story.end();
}

#[test]
fn each_event_is_written_when_it_happens() {
    let server = Server::start(&["--database", "memory"]);
    let user = User::new();
    let agent = format!("{}/bench", server.addr);
    let mut child = user
        .command(&["send", "-a", &agent, "hold:600", "-o", "json", "--stream"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let id = first["task"]["id"].as_str().unwrap().to_owned();
    let working: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(working["statusUpdate"]["status"]["state"], "TASK_STATE_WORKING");
    // The agent would say nothing for minutes more.
    let canceled = user.run(&["task", "cancel", "-a", &agent, &id]);
    assert_eq!(canceled.code, 0, "{}", canceled.err);
    let last: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(last["statusUpdate"]["status"]["state"], "TASK_STATE_CANCELED");
    assert!(lines.next().is_none());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_wait_ends_with_its_time_and_says_how_to_go_on() {
    let server = Server::start(&["--database", "memory"]);
    let user = User::new();
    let agent = format!("{}/bench", server.addr);
    let begun = user.run(&["send", "-a", &agent, "hold:600", "-o", "json", "--async"]);
    let id = begun.json()["task"]["id"].as_str().unwrap().to_owned();
    let short = [
        "-a",
        &*agent,
        "-o",
        "json",
        "--timeout",
        "300ms",
        "--poll-interval",
        "50ms",
    ];
    for (line, more) in [
        (["task", "get", &id], "--wait"),
        (["task", "subscribe", &id], "--verbose"),
        (["task", "subscribe", &id], "--stream"),
    ] {
        let run = user.run(&[&line[..], &short, &[more]].concat());
        assert_eq!(run.code, 5, "{} {}", run.out, run.err);
        let last = lines(&run).pop().unwrap();
        assert_eq!(last["error"]["code"], "A2ACLI_ERR_TIMEOUT");
        let hint = last["error"]["hint"].as_str().unwrap();
        assert_eq!(hint, format!("a2ad task get {id} --wait -a {agent}"));
    }
}

#[test]
fn who_stops_waiting_knows_the_task() {
    let server = Server::start(&["--database", "memory"]);
    let user = User::new();
    let agent = format!("{}/bench", server.addr);
    let mut child = user
        .command(&["send", "-a", &agent, "hold:600", "-o", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = told.next().unwrap().unwrap();
    child.kill().unwrap();
    assert!(child.wait_with_output().unwrap().stdout.is_empty());
    let id = line
        .strip_prefix("waiting for task ")
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    let state = user.run(&["task", "get", id, "-a", &agent, "-o", "json"]).json();
    assert_eq!(
        (&state["id"], &state["status"]["state"]),
        (&id.into(), &"TASK_STATE_WORKING".into())
    );
}

#[test]
fn an_agent_without_streams_is_asked_again() {
    let server = Server::start(&["--database", "memory", "--card-capabilities", "none"]);
    let user = User::new();
    let agent = format!("{}/conformance", server.addr);
    let send = ["send", "-a", &agent, "-o", "json", "--poll-interval", "50ms"];
    let run = user.run(&[&send[..], &["tck-delayed-complete"]].concat());
    assert_eq!(
        run.json()["task"]["status"]["state"],
        "TASK_STATE_COMPLETED",
        "{}",
        run.err
    );
    let run = user.run(&[&send[..], &["tck-delayed-complete", "--stream"]].concat());
    let last = lines(&run).pop().unwrap();
    assert_eq!(
        (run.code, &last["task"]["status"]["state"]),
        (0, &"TASK_STATE_COMPLETED".into())
    );
    assert!(run.err.contains("has no streams"), "{}", run.err);
    let run = user.run(&[&send[..], &["tck-multi-turn"]].concat());
    let task = run.json()["task"].clone();
    assert_eq!(task["status"]["state"], "TASK_STATE_INPUT_REQUIRED");
    let run = user.run(&[&send[..], &["done", "--task-id", task["id"].as_str().unwrap()]].concat());
    assert_eq!(
        run.json()["task"]["status"]["state"],
        "TASK_STATE_COMPLETED",
        "{}",
        run.err
    );
}

#[test]
fn a_stream_goes_on_behind_what_was_seen() {
    let server = Server::start(&["--database", "memory"]);
    let user = User::new();
    let agent = format!("{}/bench", server.addr);
    let sent = user.run(&["send", "-a", &agent, "turn:one", "-o", "json"]);
    let id = sent.json()["task"]["id"].as_str().unwrap().to_owned();
    let subscribe = ["task", "subscribe", "-a", &agent, &id];
    let run = user.run(&[&subscribe[..], &["-o", "json"]].concat());
    assert_eq!(
        run.json()["status"]["state"],
        "TASK_STATE_INPUT_REQUIRED",
        "{}",
        run.err
    );
    let all = user.run(&[&subscribe[..], &["-o", "json", "--stream", "--after", "1"]].concat());
    let events = lines(&all);
    assert!(
        events.iter().all(|event| event.get("task").is_none()),
        "{}",
        all.out
    );
    let last = &events.last().unwrap()["statusUpdate"];
    assert_eq!(last["status"]["state"], "TASK_STATE_INPUT_REQUIRED");
    assert_eq!(last["taskId"], id.as_str());
}
