//! Agents that give more than anybody asked for.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::compliance::site::{Asked, Reply, Site, task};
use super::harness::User;

/// An agent whose task has these artifacts.
fn with_artifacts(artifacts: Value) -> Site {
    Site::agent(json!({}), move |_, _| {
        let mut done = task("t-1", "COMPLETED");
        done["artifacts"] = artifacts.clone();
        Reply::Json(200, done)
    })
}

fn files(user: &User) -> usize {
    std::fs::read_dir(user.work()).unwrap().count()
}

#[test]
fn a_download_is_all_or_nothing_within_its_limits() {
    let mut user = User::new();
    // 5 bytes, 3 bytes, and 14 bytes as they are written; what is elsewhere is no byte here.
    let site = with_artifacts(json!([
        {"artifactId": "a", "parts": [{"text": "hello"}, {"raw": "AAEC", "filename": "../../a.bin"}]},
        {"artifactId": "b", "parts": [{"data": {"key": 1}}, {"url": "https://example.com/x"}]},
    ]));
    let url = site.url();
    let download = ["task", "download", "-a", &url, "t-1", "-o", "json"];
    for (more, hint) in [
        (&["--parts-max", "3"][..], "--parts-max 4"),
        (&["--bytes-max", "21"], "--bytes-max 22"),
        (&["--artifact", "a", "--bytes-max", "7"], "--bytes-max 8"),
        (
            &["--artifact", "a", "--parts-max", "1", "--force"],
            "--parts-max 2",
        ),
    ] {
        let run = user.run(&[&download[..], more].concat());
        assert_eq!(
            (run.code, &*run.failure()),
            (1, "A2ACLI_ERR_INTERNAL"),
            "{}",
            run.out
        );
        let told = run.json()["error"]["hint"].as_str().unwrap().to_owned();
        assert!(told.contains(hint), "{more:?}: {told}");
        assert_eq!(files(&user), 0, "{more:?}");
    }
    user.environment.push(("A2ACLI_BYTES_MAX".into(), "21".into()));
    assert_eq!(user.run(&download).code, 1, "the environment counts");
    let run = user.run(&[&download[..], &["--bytes-max", "22", "--parts-max", "4"]].concat());
    assert_eq!((run.code, files(&user)), (0, 3), "{} {}", run.out, run.err);
}

/// An answer of a few megabytes, which would be some hundred as a file.
#[test]
fn data_that_grows_as_it_is_written_comes_to_the_usual_limit() {
    let user = User::new();
    let deep = (0..60).fold(json!(1), |inner, _| json!([inner]));
    let site = with_artifacts(json!([{"artifactId": "a", "parts": [{"data": vec![deep; 12_000]}]}]));
    let run = user.run(&["task", "download", "-a", &site.url(), "t-1"]);
    assert_eq!((run.code, files(&user)), (1, 0), "{}", run.err);
    assert!(run.err.contains("--bytes-max is 67108864"), "{}", run.err);
}

#[test]
fn more_parts_than_anybody_wants_are_not_saved_unless_asked_for() {
    let user = User::new();
    let parts = vec![json!({"text": ""}); 1_001];
    let site = with_artifacts(json!([{"artifactId": "a", "parts": parts}]));
    let url = site.url();
    let download = ["task", "download", "-a", &url, "t-1"];
    let run = user.run(&download);
    assert_eq!((run.code, files(&user)), (1, 0), "{}", run.err);
    assert!(
        run.err.contains("1001 parts, and --parts-max is 1000"),
        "{}",
        run.err
    );
    let run = user.run(&[&download[..], &["--parts-max", "1001"]].concat());
    assert_eq!((run.code, files(&user)), (0, 1_001), "{}", run.err);
}

/// The pages of a list whose tokens come out of this, one for each question.
fn pages(of: &'static str, token: impl Fn(usize) -> String + Send + Sync + 'static) -> Site {
    let count = AtomicUsize::new(0);
    let push = json!({"capabilities": {"pushNotifications": true}});
    Site::agent(push, move |asked: &Asked, _| match asked.path() {
        "/tasks/t-1" => Reply::Json(200, task("t-1", "WORKING")),
        _ => {
            let next = token(count.fetch_add(1, Ordering::SeqCst));
            let one = match of {
                "tasks" => task("t-1", "WORKING"),
                _ => json!({"id": "c", "taskId": "t-1", "url": "https://example.com/"}),
            };
            Reply::Json(200, json!({of: [one], "nextPageToken": next}))
        }
    })
}

const LISTS: [(&str, &[&str]); 2] = [
    ("tasks", &["task", "list"]),
    ("configs", &["task", "push-config", "list", "t-1"]),
];

#[test]
fn an_agent_that_goes_in_circles_is_left() {
    for (of, list) in LISTS {
        for circle in [1, 3] {
            let site = pages(of, move |number| format!("page-{}", number % circle));
            let user = User::new();
            let run = user.run(&[list, &["-a", &site.url(), "-o", "json"]].concat());
            assert_eq!(run.code, 0, "{} {}", run.out, run.err);
            let all = run.json();
            assert_eq!(all[of].as_array().map(Vec::len), Some(circle + 1), "{of}: {all}");
            assert!(all["nextPageToken"].as_str().is_none_or(str::is_empty), "{all}");
            assert!(run.err.contains("that was there already"), "{}", run.err);
        }
    }
}

#[test]
fn a_list_that_never_ends_is_left_off_and_told_so() {
    for (of, list) in LISTS {
        let site = pages(of, |number| format!("page-{number}"));
        let mut user = User::new();
        let url = site.url();
        let limited = [list, &["-a", &url, "-o", "json", "--pages-max", "3"]].concat();
        let all = user.run(&limited).json();
        assert_eq!(all[of].as_array().map(Vec::len), Some(3), "{of}: {all}");
        assert_eq!(all["nextPageToken"], "page-2", "{of}");
        user.environment.push(("A2ACLI_PAGES_MAX".into(), "2".into()));
        let run = user.run(&[list, &["-a", &url]].concat());
        assert_eq!(run.code, 0, "{}", run.err);
        assert!(run.err.contains("there are more"), "{of}: {}", run.err);
    }
}

/// The first events may say nothing of the state.
fn quiet_events() -> [Value; 3] {
    let chunk = json!({"artifactUpdate": {"taskId": "t-1", "contextId": "context-1",
        "artifact": {"artifactId": "a", "parts": [{"text": "x"}]}}});
    let working = json!({"statusUpdate": {"taskId": "t-1", "contextId": "context-1",
        "status": {"state": "TASK_STATE_WORKING"}}});
    [chunk.clone(), working, chunk]
}

#[test]
fn a_state_that_nobody_has_told_is_not_shown() {
    let site = Site::agent(json!({"capabilities": {"streaming": true}}), |asked, _| {
        let done = json!({"statusUpdate": {"taskId": "t-1", "contextId": "context-1",
            "status": {"state": "TASK_STATE_COMPLETED"}}});
        match asked.path() {
            "/tasks/t-1:subscribe" => Reply::Events(quiet_events().into_iter().chain([done]).collect()),
            _ => Reply::Json(200, task("t-1", "COMPLETED")),
        }
    });
    let user = User::new();
    let subscribe = [
        "task",
        "subscribe",
        "t-1",
        "-a",
        &site.url(),
        "--stream",
        "--after",
        "1",
    ];
    let run = user.run(&subscribe);
    assert_eq!(run.code, 0, "{}", run.err);
    let identified: Vec<&str> = run
        .out
        .lines()
        .filter(|line| ["Task: ", "State: "].iter().any(|label| line.starts_with(label)))
        .collect();
    let (task, working) = ("Task: t-1", "State: WORKING");
    let expected = [task, task, working, task, working, task, "State: COMPLETED"];
    assert_eq!(identified, expected, "{}", run.out);
}

/// The same of events that come to a webhook, where the state is that of the task that they are of.
#[test]
fn a_webhook_shows_the_state_that_it_knows() {
    let user = User::new();
    let mut child = user
        .command(&[
            "task",
            "push-config",
            "listen",
            "--webhook-token",
            "t0ken",
            "--count",
            "4",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let url = told.find_map(|line| {
        line.unwrap()
            .strip_prefix("listening at http://")
            .map(str::to_owned)
    });
    let address = url.unwrap().trim_end_matches('/').to_owned();
    let other = json!({"artifactUpdate": {"taskId": "t-2", "contextId": "context-1",
        "artifact": {"artifactId": "a", "parts": [{"text": "x"}]}}});
    for event in quiet_events().into_iter().chain([other]) {
        let body = event.to_string();
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/a2a+json\r\nX-A2A-Notification-Token: \
             t0ken\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let answer = BufReader::new(stream).lines().next().unwrap().unwrap();
        assert!(answer.contains(" 2"), "{answer}");
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let out = String::from_utf8(output.stdout).unwrap();
    let states: Vec<&str> = out.lines().filter(|line| line.starts_with("State: ")).collect();
    assert_eq!(states, ["State: WORKING", "State: WORKING"], "{out}");
    assert_eq!(out.matches("Task: t-").count(), 4, "{out}");
}
