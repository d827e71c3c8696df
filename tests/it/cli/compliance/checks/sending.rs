//! `send`.

use serde_json::json;

use super::super::site::{Reply, Site, task};
use super::super::world::{Checked, TRANSPORTS, World, block, ensure, identified, lines};

pub fn starts(world: &World) -> Checked {
    let hands = world.user();
    for transport in TRANSPORTS {
        let sent = hands.json(&[
            "send",
            "-a",
            &world.agent("echo"),
            "--transport",
            transport,
            "hello",
        ])?;
        let task = &sent["task"];
        ensure!(
            task["status"]["state"] == "TASK_STATE_COMPLETED",
            "{transport}: {sent}"
        );
        ensure!(
            task["artifacts"][0]["parts"][0]["text"] == "hello",
            "{transport}: {sent}"
        );
    }
    Ok(())
}

/// Waits unless told otherwise, and then gives the identifiers at once.
pub fn waits(world: &World) -> Checked {
    let hands = world.user();
    for transport in TRANSPORTS {
        let bench = world.agent("bench");
        let send = ["send", "-a", &bench, "--transport", transport];
        let waited = hands.json(&[&send[..], &["hold:1"]].concat())?;
        ensure!(
            waited["task"]["status"]["state"] == "TASK_STATE_COMPLETED",
            "{transport}: {waited}"
        );
        for flag in ["--async", "--return-immediately", "--no-wait"] {
            let sent = hands.json(&[&send[..], &["hold:600", flag]].concat())?;
            let state = sent["task"]["status"]["state"].as_str().unwrap_or_default();
            ensure!(
                ["TASK_STATE_SUBMITTED", "TASK_STATE_WORKING"].contains(&state),
                "{transport} {flag}: {sent}"
            );
        }
    }
    Ok(())
}

/// Streams where the agent has them, does without where it has none, and ends with a message.
pub fn streams(world: &World) -> Checked {
    let hands = world.user();
    for transport in TRANSPORTS {
        let agent = world.agent("conformance");
        let send = [
            "send",
            "-a",
            &agent,
            "--transport",
            transport,
            "--stream",
            "-o",
            "json",
        ];
        let events = lines(&hands.good(&[&send[..], &["tck-stream-001"]].concat())?)?;
        ensure!(
            events.len() >= 3 && events[0]["task"].is_object(),
            "{transport}: {events:?}"
        );
    }
    let message =
        json!({"message": {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "no task"}]}});
    let replies = Site::agent(json!({"capabilities": {"streaming": true}}), move |_, _| {
        Reply::Events(vec![message.clone()])
    });
    let said = lines(&hands.good(&["send", "-a", &replies.url(), "--stream", "-o", "json", "hello"])?)?;
    ensure!(said.len() == 1 && said[0]["message"].is_object(), "{said:?}");
    let site = Site::agent(json!({}), |asked, _| match asked.path() {
        "/message:send" => Reply::Json(200, json!({"task": task("t-1", "COMPLETED")})),
        _ => Reply::Json(404, json!({})),
    });
    let events = lines(&hands.good(&["send", "-a", &site.url(), "--stream", "-o", "json", "hello"])?)?;
    let last = events.last().cloned().unwrap_or_default();
    ensure!(last["task"]["id"] == "t-1", "{events:?}");
    Ok(())
}

/// Text as text, data as JSON, files by name, type and size; nothing is left out and nothing is written.
pub fn renders(world: &World) -> Checked {
    let hands = world.user();
    let work = hands.user.work();
    std::fs::write(work.join("a.bin"), [0, 1, 2]).unwrap();
    std::fs::write(work.join("b.json"), "{\"key\":[1,true]}").unwrap();
    let run = hands.good(&[
        "send",
        "-a",
        &world.agent("echo"),
        "--text",
        "two\n\nlines",
        "--data",
        "b.json",
        "--file",
        "a.bin",
        "--file",
        "https://example.com/c.png",
    ])?;
    let artifact = run
        .out
        .split_once("Artifact: ")
        .map(|(_, rest)| rest)
        .unwrap_or_default();
    ensure!(block(artifact, "Text")? == "two\n \nlines", "{}", run.out);
    let data: serde_json::Value =
        serde_json::from_str(&block(&run.out, "Data")?).map_err(|e| e.to_string())?;
    ensure!(data == json!({"key": [1, true]}), "{data}");
    for file in ["a.bin, 3 bytes", "https://example.com/c.png"] {
        ensure!(run.out.contains(file), "{file} is missing: {}", run.out);
    }
    let files = std::fs::read_dir(&work).unwrap().count();
    ensure!(files == 2, "{files} files are in the folder");
    Ok(())
}

/// `--media-type` belongs to the part before it.
pub fn media_types(world: &World) -> Checked {
    let hands = world.user();
    for name in ["a.png", "b.png"] {
        std::fs::write(hands.user.work().join(name), [1]).unwrap();
    }
    let sent = hands.json(&[
        "send",
        "-a",
        &world.agent("echo"),
        "--file",
        "a.png",
        "--media-type",
        "application/pdf",
        "--file",
        "b.png",
        "--text",
        "t",
        "--media-type",
        "text/markdown",
    ])?;
    let parts = &sent["task"]["artifacts"][0]["parts"];
    let types = [
        &parts[0]["mediaType"],
        &parts[1]["mediaType"],
        &parts[2]["mediaType"],
    ];
    ensure!(
        types == ["application/pdf", "image/png", "text/markdown"],
        "{types:?}"
    );
    hands.fails(
        &["send", "-a", &world.agent("echo"), "--media-type", "a/b"],
        "A2ACLI_ERR_USAGE",
        2,
    )?;
    Ok(())
}

/// Parts in their order, several of a kind, data from standard input.
pub fn parts(world: &World) -> Checked {
    let hands = world.user();
    std::fs::write(hands.user.work().join("f"), "file").unwrap();
    let arguments = [
        "send",
        "-a",
        &world.agent("echo"),
        "-o",
        "json",
        "--text",
        "1",
        "--data",
        "-",
        "--text",
        "2",
        "--file",
        "f",
        "--text",
        "3",
    ];
    let run = hands.told(&arguments, "{\"n\":4}");
    ensure!(run.code == 0, "{}{}", run.out, run.err);
    let sent = run.json();
    let parts = sent["task"]["artifacts"][0]["parts"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let kinds: Vec<String> = parts
        .iter()
        .map(|part| match (&part["text"], &part["data"], &part["raw"]) {
            (text, ..) if text.is_string() => text.as_str().unwrap_or_default().to_owned(),
            (_, data, _) if data.is_object() => data["n"].to_string(),
            (.., raw) => raw.as_str().unwrap_or_default().to_owned(),
        })
        .collect();
    ensure!(kinds == ["1", "4", "2", "ZmlsZQ==", "3"], "{kinds:?}");
    Ok(())
}

/// An async send names what is needed later.
pub fn identifiers_at_once(world: &World) -> Checked {
    let hands = world.user();
    for transport in TRANSPORTS {
        let agent = world.agent("bench");
        let send = [
            "send",
            "-a",
            &agent,
            "--transport",
            transport,
            "--async",
            "hold:600",
        ];
        let text = hands.good(&send)?.out;
        let (id, context, _) = identified(&text)?;
        let sent = hands.json(&send)?;
        for name in ["id", "contextId"] {
            ensure!(sent["task"][name].is_string(), "{transport}: no {name} in {sent}");
        }
        let found = hands.json(&["task", "get", "-a", &agent, id])?;
        ensure!(found["contextId"] == context, "{transport}: {found}");
    }
    Ok(())
}
