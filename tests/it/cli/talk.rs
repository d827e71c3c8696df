//! `chat`: turns whose tasks do not stay as they were left, and somebody at a terminal.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::compliance::site::{Asked, Reply, Site, error, task};
use super::harness::{Run, User};
use crate::binary::{PROGRAM, Server};
use crate::python;

/// A chat to which these lines are said.
fn told(user: &User, arguments: &[&str], lines: &str) -> Run {
    let mut child = user
        .command(&[&["chat"][..], arguments].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A chat that has ended reads no more; what it said is judged.
    let _ = child.stdin.take().unwrap().write_all(lines.as_bytes());
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// An agent that asks back at first, and then refuses what is said to its task, which is in this state; nobody knows it if
/// there is none.
fn forgetful(refusal: (u16, &'static str, &'static str), state: Option<&'static str>) -> Site {
    Site::agent(json!({}), move |asked: &Asked, _| {
        let message = asked.json()["message"].clone();
        let (about, within) = (&message["taskId"], &message["contextId"]);
        match (asked.path(), state) {
            ("/message:send", _) if about.as_str().is_some_and(|id| !id.is_empty()) => {
                error(refusal.0, refusal.1, refusal.2)
            }
            ("/message:send", _) if within.as_str().is_some_and(|id| !id.is_empty()) => {
                Reply::Json(200, json!({"task": task("t-2", "COMPLETED")}))
            }
            ("/message:send", _) => Reply::Json(200, json!({"task": task("t-1", "INPUT_REQUIRED")})),
            (_, Some(state)) => Reply::Json(200, task("t-1", state)),
            _ => error(404, "NOT_FOUND", "TASK_NOT_FOUND"),
        }
    })
}

const REFUSALS: [(u16, &str, &str); 3] = [
    (400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION"),
    (404, "NOT_FOUND", "TASK_NOT_FOUND"),
    (400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
];

/// The messages that an agent was sent.
fn sent(site: &Site) -> Vec<Value> {
    let asked = site.asked("/message:send");
    asked.iter().map(|one| one.json()["message"].clone()).collect()
}

#[test]
fn a_task_that_ended_elsewhere_keeps_nobody_from_going_on() {
    let user = User::new();
    for refusal in REFUSALS {
        for (state, note) in [
            (Some("CANCELED"), "task t-1 has ended elsewhere as CANCELED"),
            (Some("COMPLETED"), "task t-1 has ended elsewhere as COMPLETED"),
            (None, "task t-1 is not known to the agent any more"),
        ] {
            let site = forgetful(refusal, state);
            let run = told(&user, &["-a", &site.url()], "one\ntwo\n");
            assert_eq!(run.code, 0, "{refusal:?} {state:?}: {} {}", run.out, run.err);
            assert!(run.err.contains(note), "{refusal:?} {state:?}: {}", run.err);
            assert!(run.out.contains("Task: t-2\n"), "{}", run.out);
            let sent = sent(&site);
            assert_eq!(sent.len(), 3, "{sent:?}");
            let last = &sent[2];
            assert_eq!(last["contextId"], "context-1", "{last}");
            assert!(last["taskId"].as_str().is_none_or(str::is_empty), "{last}");
            assert_eq!(last["parts"], sent[1]["parts"]);
        }
    }
}

/// What is refused for another reason is told, and so is what the user himself named.
#[test]
fn nothing_is_begun_in_the_place_of_a_task_that_goes_on_or_that_the_user_named() {
    let user = User::new();
    let site = forgetful(REFUSALS[0], Some("INPUT_REQUIRED"));
    let run = told(&user, &["-a", &site.url()], "one\ntwo\n");
    assert_eq!(run.code, 1, "{} {}", run.out, run.err);
    assert!(run.err.contains("code: UnsupportedOperationError"), "{}", run.err);
    assert_eq!(sent(&site).len(), 2);
    let site = forgetful(REFUSALS[0], Some("CANCELED"));
    let run = told(&user, &["-a", &site.url(), "--task-id", "t-1"], "one\n");
    assert_eq!(run.code, 1, "{} {}", run.out, run.err);
    assert_eq!(sent(&site).len(), 1);
}

/// An agent that asks back at first, takes what is said to its task, and then knows it no more: it says so where it is asked
/// for the task, or in the middle of a stream. Without a task a message completes one.
fn losing(streaming: bool) -> Site {
    let more = json!({"capabilities": {"streaming": streaming}});
    let gone = || error(404, "NOT_FOUND", "TASK_NOT_FOUND");
    Site::agent(more, move |asked: &Asked, _| {
        let message = asked.json()["message"].clone();
        let is_about = |name: &str| message[name].as_str().is_some_and(|id| !id.is_empty());
        let state = match (is_about("taskId"), is_about("contextId")) {
            (true, _) => "WORKING",
            (false, true) => "COMPLETED",
            (false, false) => "INPUT_REQUIRED",
        };
        let id = if state == "COMPLETED" { "t-2" } else { "t-1" };
        let answer = json!({"task": task(id, state)});
        match asked.path() {
            "/message:send" => Reply::Json(200, answer),
            "/message:stream" => Reply::Events(vec![answer]),
            _ => gone(),
        }
    })
}

#[test]
fn what_the_agent_has_taken_is_not_sent_again_whatever_becomes_of_the_task() {
    let user = User::new();
    for (streaming, path) in [(false, "/message:send"), (true, "/message:stream")] {
        let site = losing(streaming);
        let by = ["-a", &site.url(), "--poll-interval", "20ms"];
        let run = told(&user, &by, "one\ntwo\n");
        assert_eq!(run.code, 1, "{streaming}: {} {}", run.out, run.err);
        assert!(run.err.contains("code: TaskNotFoundError"), "{}", run.err);
        let said = "the agent had taken the message for task t-1, so it is not sent again";
        assert!(run.err.contains(said), "{streaming}: {}", run.err);
        let texts: Vec<Value> = site
            .asked(path)
            .iter()
            .map(|one| one.json()["message"]["parts"][0]["text"].clone())
            .collect();
        assert_eq!(texts, ["one", "two"], "{streaming}");
    }
}

/// The rule for the task that the user named holds for as long as the chat is about it.
#[test]
fn nothing_takes_the_place_of_the_task_that_the_user_named_behind_a_good_turn_either() {
    let user = User::new();
    let site = Site::agent(json!({}), |asked: &Asked, _| {
        let message = asked.json()["message"].clone();
        match message["parts"][0]["text"].as_str() {
            Some("one") => Reply::Json(200, json!({"task": task("t-1", "INPUT_REQUIRED")})),
            _ => error(404, "NOT_FOUND", "TASK_NOT_FOUND"),
        }
    });
    let run = told(&user, &["-a", &site.url(), "--task-id", "t-1"], "one\ntwo\n");
    assert_eq!(run.code, 1, "{} {}", run.out, run.err);
    assert_eq!(sent(&site).len(), 2);
}

#[test]
fn a_chat_outlives_the_cancellation_of_its_task_on_every_binding() {
    let server = Server::start(&["--database", "memory"]);
    let user = User::new();
    let agent = format!("{}/conformance", server.addr);
    for binding in ["grpc", "jsonrpc", "http+json"] {
        let mut child = user
            .command(&["chat", "-a", &agent, "--transport", binding])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = child.stdin.take().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        lines.write_all(b"tck-multi-turn\n").unwrap();
        let mut first = String::new();
        for line in out.by_ref() {
            if let Some(id) = line.strip_prefix("Task: ") {
                id.clone_into(&mut first);
            }
            if line == "State: INPUT_REQUIRED" {
                break;
            }
        }
        let canceled = user.run(&["task", "cancel", "-a", &agent, &first]);
        assert_eq!(canceled.code, 0, "{}", canceled.err);
        lines.write_all(b"tck-complete-task\n").unwrap();
        drop(lines);
        let rest: Vec<String> = out.collect();
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{binding}: {err}");
        assert!(
            err.contains(&format!("task {first} has ended elsewhere as CANCELED")),
            "{binding}: {err}"
        );
        let last = rest.iter().rev().find_map(|line| line.strip_prefix("Task: "));
        assert!(last.is_some_and(|id| id != first), "{binding}: {rest:?}");
        assert!(
            rest.contains(&"State: COMPLETED".to_owned()),
            "{binding}: {rest:?}"
        );
    }
}

/// Somebody at a terminal: what is said on it is told apart by `until`, and Ctrl-D is the end.
const SOMEBODY: &str = r#"
import os, pty, sys

seen, looked_at = b"", 0

def until(text):
    global seen, looked_at
    while (found := seen.find(text, looked_at)) < 0:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            piece = b""
        if not piece:
            sys.exit(f"ended before {text}: {seen}")
        seen += piece
    looked_at = found + len(text)

program, *arguments = sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    os.execv(program, [program, *arguments])
until(b"/quit ends")
until(b"> ")
os.write(terminal, b"tck-multi-turn\n")
until(b"INPUT_REQUIRED")
until(b"> ")
os.write(terminal, b"/nonsense\n")
until(b"is no command")
until(b"> ")
os.write(terminal, b"done\n")
until(b"COMPLETED")
until(b"> ")
os.write(terminal, b"\x04")
try:
    while piece := os.read(terminal, 4096):
        seen += piece
except OSError:
    pass
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
print(seen.decode())
"#;

#[test]
fn somebody_at_a_terminal_is_asked_answered_and_let_go() {
    let server = Server::start(&["--database", "memory"]);
    let user = User::new();
    let agent = format!("{}/conformance", server.addr);
    let output = Command::new(python::interpreter())
        .args(["-c", SOMEBODY, PROGRAM, "chat", "-a", &agent])
        .env_clear()
        .env("HOME", user.home())
        .env("TERM", "dumb")
        .current_dir(user.work())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    let (status, seen) = printed
        .split_once('\n')
        .unwrap_or_else(|| panic!("{printed} {err}"));
    assert_eq!(status, "0", "{seen} {err}");
    // One task from the question to the answer, in spite of the mistake between.
    let mut tasks: Vec<&str> = seen
        .lines()
        .filter_map(|line| line.strip_prefix("Task: "))
        .collect();
    tasks.dedup();
    assert_eq!(tasks.len(), 1, "{seen}");
}
