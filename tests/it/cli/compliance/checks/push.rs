//! Push notifications.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use super::super::world::{Checked, TRANSPORTS, World, ensure, identified};

pub fn configurations(world: &World) -> Checked {
    let hands = world.user();
    let agent = world.agent("bench");
    for transport in TRANSPORTS {
        let by = ["-a", &*agent, "--transport", transport];
        let sent = hands.json(&[&["send"][..], &by, &["--async", "hold:600"]].concat())?;
        let task = sent["task"]["id"].as_str().unwrap_or_default();
        let url = "http://127.0.0.1:9/hook";
        let push = |words: &[&str]| {
            hands.json(&[&["task", "push-config"][..], &words[..1], &by, &words[1..]].concat())
        };
        let made = push(&["create", task, "--url", url])?;
        let id = made["id"].as_str().unwrap_or_default();
        ensure!(!id.is_empty() && made["url"] == url, "{transport}: {made}");
        ensure!(push(&["get", task, id])?["url"] == url, "{transport}");
        let list = push(&["list", task])?;
        ensure!(
            list["configs"].as_array().is_some_and(|all| all.len() == 1),
            "{transport}: {list}"
        );
        let text = hands
            .good(&[&["task", "push-config", "list"][..], &by, &[task]].concat())?
            .out;
        identified(&text)?;
        push(&["delete", task, id])?;
        let list = push(&["list", task])?;
        ensure!(
            list["configs"].as_array().is_none_or(Vec::is_empty),
            "{transport}: {list}"
        );
    }
    Ok(())
}

/// A webhook of this program gets the events of a task of our server, and makes and deletes its configuration.
pub fn receiver(world: &World) -> Checked {
    let hands = world.user();
    let agent = world.agent("conformance");
    let sent = hands.json(&["send", "-a", &agent, "--async", "test-resubscribe-message-id"])?;
    let task = sent["task"]["id"].as_str().unwrap_or_default();
    let mut child = hands
        .command(&[
            "task",
            "push-config",
            "listen",
            "-a",
            &agent,
            "--create",
            task,
            "-o",
            "json",
            "--stream",
            "--timeout",
            "60s",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let events: Vec<Value> = lines
        .map_while(Result::ok)
        .map(|line| serde_json::from_str(&line).unwrap_or_else(|_| json!(line)))
        .collect();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{told}");
    let last = events.last().cloned().unwrap_or_default();
    ensure!(
        last["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED",
        "{events:?} {told}"
    );
    let list = hands.json(&["task", "push-config", "list", "-a", &agent, task])?;
    ensure!(
        list["configs"].as_array().is_none_or(Vec::is_empty),
        "it is still there: {list}"
    );
    // What nobody can tell from a stranger's is not listened for.
    hands.fails(
        &["task", "push-config", "listen", "-a", &agent, "--stream"],
        "A2ACLI_ERR_USAGE",
        2,
    )?;
    Ok(())
}
