//! Waiting for tasks.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::json;

use super::super::site::{Reply, Site, error, task};
use super::super::world::{Checked, Hands, World, ensure, identified};

/// An agent without streams whose task goes through these states, one for each question; the last one stays.
fn states(all: &'static [&'static str]) -> Site {
    let count = AtomicUsize::new(0);
    Site::agent(json!({}), move |asked, _| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let task = task("t-1", all[number.min(all.len() - 1)]);
        match asked.path() {
            "/message:send" => Reply::Json(200, json!({ "task": task })),
            "/tasks/t-1" => Reply::Json(200, task),
            _ => Reply::Json(404, json!({})),
        }
    })
}

pub fn available(world: &World) -> Checked {
    let hands = world.user();
    let site = states(&["WORKING", "WORKING", "WORKING", "COMPLETED"]);
    let once = hands.json(&["task", "get", "-a", &site.url(), "t-1"])?;
    ensure!(once["status"]["state"] == "TASK_STATE_WORKING", "{once}");
    ensure!(site.asked("/tasks/t-1").len() == 1, "asked more than once");
    let waited = hands.json(&[
        "task",
        "get",
        "-a",
        &site.url(),
        "t-1",
        "--wait",
        "--poll-interval",
        "20ms",
    ])?;
    ensure!(waited["status"]["state"] == "TASK_STATE_COMPLETED", "{waited}");
    let site = states(&["SUBMITTED", "WORKING", "COMPLETED"]);
    let sent = hands.json(&["send", "-a", &site.url(), "hello", "--poll-interval", "20ms"])?;
    ensure!(
        sent["task"]["status"]["state"] == "TASK_STATE_COMPLETED",
        "{sent}"
    );
    Ok(())
}

/// As often as asked and no longer than asked; the task is named before anybody gives up.
pub fn bounded(world: &World) -> Checked {
    let hands = world.user();
    let site = states(&["WORKING"]);
    let began = Instant::now();
    let send = [
        "send",
        "-a",
        &site.url(),
        "hello",
        "--timeout",
        "1s",
        "--poll-interval",
        "200ms",
    ];
    let failed = hands.fails(&send, "A2ACLI_ERR_TIMEOUT", 5)?;
    ensure!(began.elapsed().as_secs() < 30, "it took {:?}", began.elapsed());
    ensure!(
        failed["hint"].as_str().is_some_and(|hint| hint.contains("t-1")),
        "{failed}"
    );
    let asked = site.asked("/tasks/t-1").len();
    // At once, after 25, 50, 100 ms, and then every 200: a program that asked without a pause would be here by hundreds.
    ensure!((2..=10).contains(&asked), "asked {asked} times in a second");
    let mut child = hands
        .command(&["send", "-a", &site.url(), "hello"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let is_named = told.any(|line| line.contains("t-1"));
    child.kill().unwrap();
    child.wait().unwrap();
    ensure!(is_named, "the task is not named while it is waited for");
    Ok(())
}

/// What waits for somebody is not waited for; what nobody knows is.
pub fn stops(world: &World) -> Checked {
    let hands = world.user();
    for state in ["INPUT_REQUIRED", "AUTH_REQUIRED"] {
        for states in [
            states(&["WORKING", "INPUT_REQUIRED"]),
            states(&["WORKING", "AUTH_REQUIRED"]),
        ] {
            let run = hands.good(&["send", "-a", &states.url(), "hello", "--poll-interval", "20ms"])?;
            let found = identified(&run.out)?.2.to_owned();
            ensure!(
                ["INPUT_REQUIRED", "AUTH_REQUIRED"].contains(&&*found),
                "{}",
                run.out
            );
        }
        let name = format!("tck-{}", state.to_lowercase().replace('_', "-"));
        let sent = hands.good(&["send", "-a", &world.agent("conformance"), &name])?;
        ensure!(identified(&sent.out)?.2 == state, "{}", sent.out);
    }
    let site = states(&["UNSPECIFIED", "UNSPECIFIED", "COMPLETED"]);
    let get = [
        "task",
        "get",
        "-a",
        &site.url(),
        "t-1",
        "--wait",
        "--poll-interval",
        "20ms",
    ];
    ensure!(
        identified(&hands.good(&get)?.out)?.2 == "COMPLETED",
        "it did not go on"
    );
    let site = states(&["UNSPECIFIED"]);
    let once = hands.good(&["task", "get", "-a", &site.url(), "t-1"])?.out;
    ensure!(identified(&once)?.2 == "UNSPECIFIED", "{once}");
    let wait = [
        "task",
        "get",
        "-a",
        &site.url(),
        "t-1",
        "--wait",
        "--timeout",
        "300ms",
        "--poll-interval",
        "50ms",
    ];
    hands.fails(&wait, "A2ACLI_ERR_TIMEOUT", 5)?;
    Ok(())
}

/// A stream that breaks, or can't be opened, is replaced by questions.
pub fn falls_back(world: &World) -> Checked {
    let hands = world.user();
    let streaming = json!({"capabilities": {"streaming": true}});
    let breaks = Site::agent(streaming.clone(), |asked, _| match asked.path() {
        "/message:stream" => Reply::Events(vec![json!({"task": task("t-1", "WORKING")})]),
        "/tasks/t-1" => Reply::Json(200, task("t-1", "COMPLETED")),
        _ => Reply::Json(404, json!({})),
    });
    for more in [&[][..], &["--stream"]] {
        let send = ["send", "-a", &breaks.url(), "hello", "--poll-interval", "20ms"];
        let run = hands.good(&[&send[..], more].concat())?;
        let last = run.out.lines().rfind(|line| line.starts_with("State: "));
        ensure!(last == Some("State: COMPLETED"), "{more:?}: {}", run.out);
    }
    let refuses = Site::agent(streaming, |asked, _| match asked.path() {
        "/message:stream" => error(400, "UNIMPLEMENTED", "UNSUPPORTED_OPERATION"),
        "/message:send" => Reply::Json(200, json!({"task": task("t-1", "WORKING")})),
        "/tasks/t-1" => Reply::Json(200, task("t-1", "COMPLETED")),
        _ => Reply::Json(404, json!({})),
    });
    for more in [&[][..], &["--stream"]] {
        let send = ["send", "-a", &refuses.url(), "hello", "--poll-interval", "20ms"];
        let run = hands.good(&[&send[..], more].concat())?;
        ensure!(identified(&run.out)?.2 == "COMPLETED", "{more:?}: {}", run.out);
    }
    ensure!(refuses.asked("/message:send").len() == 2, "sent more than once");
    unknown_events_are_passed_over(&hands)
}

/// An event of a kind that nobody knows yet ends nothing.
fn unknown_events_are_passed_over(hands: &Hands) -> Checked {
    let site = Site::agent(
        json!({"capabilities": {"streaming": true}}),
        |asked, _| match asked.path() {
            "/message:stream" => Reply::Events(vec![
                json!({"task": task("t-1", "WORKING")}),
                json!({"futureUpdate": {"taskId": "t-1"}}),
                json!({"task": task("t-1", "COMPLETED")}),
            ]),
            "/tasks/t-1" => Reply::Json(200, task("t-1", "COMPLETED")),
            _ => Reply::Json(404, json!({})),
        },
    );
    let run = hands.good(&["send", "-a", &site.url(), "hello"])?;
    ensure!(identified(&run.out)?.2 == "COMPLETED", "{}", run.out);
    Ok(())
}
