//! `task get|list|cancel|subscribe|download`.

use serde_json::{Value, json};

use super::super::site::{Reply, Site, task};
use super::super::world::{Checked, TRANSPORTS, World, ensure, field, identified, lines};

/// A task of an agent, begun and left.
fn begun(world: &World, agent: &str, text: &str) -> Result<Value, String> {
    let sent = world
        .user()
        .json(&["send", "-a", &world.agent(agent), "--async", text])?;
    Ok(sent["task"].clone())
}

fn id(task: &Value) -> &str {
    task["id"].as_str().unwrap_or_default()
}

pub fn get(world: &World) -> Checked {
    let hands = world.user();
    let agent = world.agent("echo");
    let sent = hands.json(&["send", "-a", &agent, "hello"])?["task"].clone();
    for transport in TRANSPORTS {
        let get = ["task", "get", "-a", &agent, "--transport", transport, id(&sent)];
        let found = hands.json(&get)?;
        ensure!(found["artifacts"] == sent["artifacts"], "{transport}: {found}");
        ensure!(
            found.get("history").is_none(),
            "history without being asked for: {found}"
        );
        let with_history = hands.json(&[&get[..], &["--history", "5"]].concat())?;
        ensure!(
            with_history["history"][0]["parts"][0]["text"] == "hello",
            "{transport}: {with_history}"
        );
        let text = hands.good(&get)?.out;
        let (task, context, state) = identified(&text)?;
        let expected = (
            id(&sent),
            sent["contextId"].as_str().unwrap_or_default(),
            "COMPLETED",
        );
        ensure!((task, context, state) == expected, "{text}");
        ensure!(text.contains("\nText:\nhello\n\n"), "no artifact in {text:?}");
    }
    Ok(())
}

/// Canceled once; whoever asks again is told so by the protocol's error, and the task stays canceled.
pub fn cancel(world: &World) -> Checked {
    let hands = world.user();
    let agent = world.agent("bench");
    for transport in TRANSPORTS {
        let task = begun(world, "bench", "hold:600")?;
        let cancel = [
            "task",
            "cancel",
            "-a",
            &agent,
            "--transport",
            transport,
            id(&task),
        ];
        let text = hands.good(&cancel)?.out;
        ensure!(identified(&text)?.2 == "CANCELED", "{text}");
        let again = hands.run(&[&cancel[..], &["-o", "json"]].concat());
        let code = again.json()["error"]["code"].clone();
        ensure!(
            again.code == 0 || code == "TaskNotCancelableError",
            "{transport}: {}",
            again.out
        );
        let found = hands.json(&["task", "get", "-a", &agent, id(&task)])?;
        ensure!(found["status"]["state"] == "TASK_STATE_CANCELED", "{found}");
    }
    Ok(())
}

/// By pages and by the cursor, by state and by context.
pub fn list(world: &World) -> Checked {
    let hands = world.user();
    let agent = world.agent("conformance");
    let first = hands.json(&["send", "-a", &agent, "tck-complete-task"])?["task"].clone();
    let context = first["contextId"].as_str().unwrap_or_default();
    for text in ["tck-complete-task", "tck-input-required"] {
        hands.json(&["send", "-a", &agent, "--context-id", context, text])?;
    }
    for transport in TRANSPORTS {
        let list = [
            "task",
            "list",
            "-a",
            &agent,
            "--transport",
            transport,
            "--context-id",
            context,
        ];
        let whole = hands.json(&list)?;
        let count = |page: &Value| page["tasks"].as_array().map_or(0, Vec::len);
        ensure!(count(&whole) == 3, "{transport}: {whole}");
        let completed = hands.json(&[&list[..], &["--status", "completed"]].concat())?;
        ensure!(count(&completed) == 2, "{transport}: {completed}");
        let page = hands.json(&[&list[..], &["--page-size", "2"]].concat())?;
        let cursor = page["nextPageToken"].as_str().unwrap_or_default();
        ensure!(count(&page) == 2 && !cursor.is_empty(), "{transport}: {page}");
        let rest = hands.json(&[&list[..], &["--page-size", "2", "--page-token", cursor]].concat())?;
        ensure!(count(&rest) == 1, "{transport}: {rest}");
        let text = hands.good(&list)?.out;
        let tasks = text.lines().filter(|line| line.starts_with("Task: ")).count();
        ensure!(tasks == 3, "{text}");
    }
    Ok(())
}

pub fn subscribe(world: &World) -> Checked {
    let hands = world.user();
    let agent = world.agent("conformance");
    for transport in TRANSPORTS {
        let task = begun(world, "conformance", "test-resubscribe-message-id")?;
        let subscribe = [
            "task",
            "subscribe",
            "-a",
            &agent,
            "--transport",
            transport,
            id(&task),
        ];
        let events = lines(&hands.good(&[&subscribe[..], &["--stream", "-o", "json"]].concat())?)?;
        ensure!(events[0]["task"]["id"] == task["id"], "{transport}: {events:?}");
        let last = events.last().cloned().unwrap_or_default();
        ensure!(
            last["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED",
            "{transport}: {last}"
        );
    }
    let task = begun(world, "conformance", "tck-delayed-complete")?;
    let whole = hands.json(&["task", "subscribe", "-a", &agent, id(&task)])?;
    ensure!(whole["status"]["state"] == "TASK_STATE_COMPLETED", "{whole}");
    Ok(())
}

/// A stream that breaks is taken up again, with the task as its first event.
pub fn resumes(world: &World) -> Checked {
    let site = Site::agent(json!({"capabilities": {"streaming": true}}), {
        let count = std::sync::atomic::AtomicUsize::new(0);
        move |asked, _| match asked.path() {
            "/tasks/t-1:subscribe" => {
                let first = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
                let done = json!({"statusUpdate": {"taskId": "t-1", "contextId": "context-1",
                    "status": {"state": "TASK_STATE_COMPLETED"}}});
                let working = json!({"task": task("t-1", "WORKING")});
                Reply::Events(if first { vec![working] } else { vec![working, done] })
            }
            "/tasks/t-1" => Reply::Json(200, task("t-1", "COMPLETED")),
            _ => Reply::Json(404, json!({})),
        }
    });
    let hands = world.user();
    let url = site.url();
    let run = hands.good(&[
        "task",
        "subscribe",
        "-a",
        &url,
        "t-1",
        "--stream",
        "-o",
        "json",
        "--poll-interval",
        "50ms",
    ])?;
    let events = lines(&run)?;
    ensure!(events[0]["task"]["id"] == "t-1", "{events:?}");
    let last = events.last().cloned().unwrap_or_default().to_string();
    ensure!(last.contains("TASK_STATE_COMPLETED"), "{last}");
    // Who is cut off joins again, and has the whole task in the first event.
    let agent = world.agent("conformance");
    let task = begun(world, "conformance", "test-resubscribe-message-id")?;
    let mut child = hands
        .command(&["task", "subscribe", "-a", &agent, id(&task), "--stream"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let run = hands.good(&[
        "task",
        "subscribe",
        "-a",
        &agent,
        id(&task),
        "--stream",
        "-o",
        "json",
    ])?;
    ensure!(
        lines(&run)?[0]["task"]["contextId"] == task["contextId"],
        "{}",
        run.out
    );
    Ok(())
}

/// To files, none of them outside of the folder, none over another.
pub fn download(world: &World) -> Checked {
    let hands = world.user();
    let work = hands.user.work();
    let agent = world.agent("echo");
    std::fs::write(work.join("a.bin"), [0, 1, 2]).unwrap();
    let sent = hands.json(&["send", "-a", &agent, "--file", "a.bin", "--text", "hello"])?;
    let task_id = id(&sent["task"]).to_owned();
    let text = hands
        .good(&["task", "download", "-a", &agent, &task_id, "--dir", "made"])?
        .out;
    identified(&text)?;
    let mut contents: Vec<Vec<u8>> = std::fs::read_dir(work.join("made"))
        .map_err(|error| error.to_string())?
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    contents.sort();
    ensure!(contents.len() == 2 && contents[0] == [0, 1, 2], "{contents:?}");
    let again = hands.run(&["task", "download", "-a", &agent, &task_id, "--dir", "made"]);
    ensure!(again.code != 0, "files were overwritten");
    let site = Site::agent(json!({}), |_, _| {
        let mut evil = task("t-1", "COMPLETED");
        evil["artifacts"] =
            json!([{"artifactId": "a", "parts": [{"raw": "AAEC", "filename": "../../evil"}]}]);
        Reply::Json(200, evil)
    });
    let _ = hands.run(&["task", "download", "-a", &site.url(), "t-1", "--dir", "made/deep"]);
    ensure!(
        !work.join("evil").exists() && !work.join("../evil").exists(),
        "a file outside of the folder"
    );
    Ok(())
}

/// The three fields in every answer about a task, in both forms; what is no data goes to standard error.
pub fn identified_everywhere(world: &World) -> Checked {
    let hands = world.user();
    for transport in TRANSPORTS {
        let agent = world.agent("conformance");
        let by = ["-a", &*agent, "--transport", transport];
        let asked = hands.good(&[&["send"][..], &by, &["tck-input-required"]].concat())?;
        let (task, context, state) = identified(&asked.out)?;
        ensure!(state == "INPUT_REQUIRED", "{}", asked.out);
        ensure!(asked.err.contains("warning"), "no warning in {:?}", asked.err);
        ensure!(!asked.out.contains("warning"), "{}", asked.out);
        let get = hands.good(&[&["task", "get"][..], &by, &[task]].concat())?.out;
        ensure!(identified(&get)? == (task, context, state), "{get}");
        let json = hands.good(&[&["task", "get"][..], &by, &[task, "-o", "json", "--debug"]].concat())?;
        let document: Value = serde_json::from_str(&json.out).map_err(|error| error.to_string())?;
        ensure!(
            document["id"] == task && document["contextId"] == context,
            "{transport}: {document}"
        );
        ensure!(!json.err.is_empty(), "--debug says nothing");
        let canceled = hands.good(&[&["task", "cancel"][..], &by, &[task]].concat())?.out;
        ensure!(
            identified(&canceled)? == (task, context, "CANCELED"),
            "{canceled}"
        );
    }
    field(
        &hands
            .good(&["send", "-a", &world.agent("echo"), "--stream", "hi"])?
            .out,
        "State",
    )?;
    Ok(())
}
