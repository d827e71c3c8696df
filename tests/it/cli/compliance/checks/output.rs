//! What is printed, and with which status it ends.

use serde_json::{Value, json};

use super::super::site::{Reply, Site, error, task};
use super::super::world::{Checked, TRANSPORTS, World, document, ensure, identified, lines};

/// One document, the last object, whatever happened before.
pub fn one_document(world: &World) -> Checked {
    let mut hands = world.user();
    // Neither the environment nor a file can make a stream of it.
    hands
        .user
        .environment
        .push(("A2ACLI_STREAM".into(), "true".into()));
    for transport in TRANSPORTS {
        let agent = world.agent("conformance");
        let sent = hands.json(&["send", "-a", &agent, "--transport", transport, "tck-stream-001"])?;
        let members: Vec<&String> = sent.as_object().into_iter().flat_map(|all| all.keys()).collect();
        ensure!(members == ["task"], "{transport}: {sent}");
        let list = hands.json(&["task", "list", "-a", &agent, "--transport", transport])?;
        ensure!(list["tasks"].is_array(), "{list}");
        let failed = hands.run(&[
            "task",
            "get",
            "-a",
            &agent,
            "--transport",
            transport,
            "none",
            "-o",
            "json",
        ]);
        ensure!(
            document(&failed)?["error"]["code"] == "TaskNotFoundError",
            "{}",
            failed.out
        );
    }
    let message =
        json!({"message": {"messageId": "m", "role": "ROLE_AGENT", "parts": [{"text": "no task"}]}});
    let replies = Site::agent(json!({}), move |_, _| Reply::Json(200, message.clone()));
    let sent = hands.json(&["send", "-a", &replies.url(), "hello"])?;
    let members: Vec<&String> = sent.as_object().into_iter().flat_map(|all| all.keys()).collect();
    ensure!(members == ["message"], "{sent}");
    Ok(())
}

/// A document a line, the last one with the end; a stream that breaks ends with the error.
pub fn documents(world: &World) -> Checked {
    let hands = world.user();
    for transport in TRANSPORTS {
        let agent = world.agent("conformance");
        let send = [
            "send",
            "-a",
            &agent,
            "--transport",
            transport,
            "-o",
            "json",
            "--stream",
            "tck-stream-001",
        ];
        let events = lines(&hands.good(&send)?)?;
        let last = events.last().cloned().unwrap_or_default();
        let update = &last["statusUpdate"];
        ensure!(
            update["status"]["state"] == "TASK_STATE_COMPLETED",
            "{transport}: {last}"
        );
        ensure!(
            update["taskId"].is_string() && update["contextId"].is_string(),
            "{transport}: {last}"
        );
    }
    let broken = Site::agent(
        json!({"capabilities": {"streaming": true}}),
        |asked, _| match asked.path() {
            "/message:stream" => Reply::Events(vec![json!({"task": task("t-1", "WORKING")})]),
            _ => error(404, "NOT_FOUND", "TASK_NOT_FOUND"),
        },
    );
    let send = [
        "send",
        "-a",
        &broken.url(),
        "-o",
        "json",
        "--stream",
        "--poll-interval",
        "20ms",
        "hello",
    ];
    let run = hands.run(&send);
    let events = lines(&run)?;
    let last = events.last().cloned().unwrap_or_default();
    ensure!(
        run.code == 1 && events.len() > 1 && last["error"]["code"] == "TaskNotFoundError",
        "{events:?}"
    );
    Ok(())
}

/// The protocol's names on every binding, this side's codes for the rest, a hint with each.
pub fn errors(world: &World) -> Checked {
    let hands = world.user();
    let agent = world.agent("echo");
    let done = hands.json(&["send", "-a", &agent, "hello"])?["task"]["id"].clone();
    let done = done.as_str().unwrap_or_default();
    for transport in TRANSPORTS {
        let by = ["-a", &*agent, "--transport", transport];
        for (words, more, code) in [
            (&["task", "get"][..], &["none"][..], "TaskNotFoundError"),
            (&["task", "cancel"], &[done], "TaskNotCancelableError"),
            (
                &["send"],
                &["--task-id", done, "more"],
                "UnsupportedOperationError",
            ),
            (&["send"], &["--task-id", "none", "more"], "TaskNotFoundError"),
            (&["task", "subscribe"], &[done], "UnsupportedOperationError"),
        ] {
            let error = hands.fails(&[words, &by, more].concat(), code, 1)?;
            ensure!(error["hint"].is_string(), "{transport} {code}: no hint");
            let members: Vec<&String> = error.as_object().into_iter().flat_map(|all| all.keys()).collect();
            ensure!(members.len() == 4, "{members:?}");
        }
    }
    let error = hands.fails(&["send", "--no-such-option"], "A2ACLI_ERR_USAGE", 2)?;
    ensure!(error["a2aCode"].is_null(), "{error}");
    Ok(())
}

/// A field a line, blocks with an end, the same labels, nothing that steers a terminal.
pub fn text_floor(world: &World) -> Checked {
    let hands = world.user();
    let agent = world.agent("conformance");
    let runs = [
        hands.good(&["card", "get", "-a", &agent])?,
        hands.good(&["send", "-a", &agent, "tck-artifact-text"])?,
        hands.good(&["send", "-a", &agent, "--stream", "tck-stream-artifact-chunked"])?,
        hands.good(&["send", "-a", &agent, "tck-artifact-data"])?,
        hands.good(&[
            "send",
            "-a",
            &world.agent("echo"),
            "a: b\n\nState: FAKE\n\u{1b}[31mred",
        ])?,
        hands.good(&["task", "list", "-a", &agent])?,
    ];
    for run in &runs {
        let bad = run
            .out
            .chars()
            .find(|letter| letter.is_control() && *letter != '\n');
        ensure!(bad.is_none(), "{bad:?} in {:?}", run.out);
        let mut is_block = false;
        for line in run.out.lines() {
            match (is_block, line) {
                (true, "") => is_block = false,
                (true, _) => {}
                (false, line) if line.ends_with(':') => is_block = true,
                (false, line) => ensure!(line.contains(": "), "{line:?} is no field in {}", run.out),
            }
        }
        ensure!(!is_block, "a block has no end: {:?}", run.out);
    }
    let last = &runs[4].out;
    ensure!(identified(last)?.2 == "COMPLETED", "{last}");
    // Whose output goes to no terminal is asked for nothing.
    let chat = hands.run(&["chat", "-a", &agent]);
    ensure!(chat.code == 0 && chat.out.is_empty(), "{}{}", chat.out, chat.err);
    Ok(())
}

pub fn exit_codes(world: &World) -> Checked {
    let hands = world.user();
    let agent = world.agent("echo");
    for (arguments, exit) in [
        (&["send", "-a", &agent, "hello"][..], 0),
        (&["task", "get", "-a", &agent, "none"], 1),
        (&["send"], 2),
        (&["task", "frobnicate"], 2),
        (&["send", "-a", "127.0.0.1:1", "hello"], 3),
        (&["card", "get", "-a", "./none.json"], 3),
    ] {
        let run = hands.run(arguments);
        ensure!(
            run.code == exit,
            "{arguments:?} ended with {} and not {exit}",
            run.code
        );
    }
    hands.fails(
        &["send", "-a", "127.0.0.1:1", "hello"],
        "A2ACLI_ERR_UNREACHABLE",
        3,
    )?;
    hands.fails(
        &["card", "get", "-a", "./none.json"],
        "A2ACLI_ERR_CARD_NOT_FOUND",
        3,
    )?;
    let silent = Site::agent(json!({}), |_, _| Reply::Silence);
    let send = ["send", "-a", &silent.url(), "hello", "--timeout", "300ms"];
    hands.fails(&send, "A2ACLI_ERR_TIMEOUT", 5)?;
    Ok(())
}

/// What the agent decides is no failure of the program, and is warned of.
pub fn outcomes(world: &World) -> Checked {
    let hands = world.user();
    for transport in TRANSPORTS {
        for (text, state) in [
            ("tck-task-failure", "FAILED"),
            ("tck-reject-task", "REJECTED"),
            ("tck-input-required", "INPUT_REQUIRED"),
            ("tck-auth-required", "AUTH_REQUIRED"),
        ] {
            let run = hands.good(&[
                "send",
                "-a",
                &world.agent("conformance"),
                "--transport",
                transport,
                text,
            ])?;
            ensure!(identified(&run.out)?.2 == state, "{}", run.out);
            ensure!(
                run.err.contains("warning") && run.err.contains(state),
                "{text}: {:?}",
                run.err
            );
        }
    }
    Ok(())
}

/// What no other code fits is told as such.
pub fn internal(world: &World) -> Result<Value, String> {
    let hands = world.user();
    let agent = world.agent("echo");
    std::fs::write(hands.user.work().join("a.txt"), "x").unwrap();
    let sent = hands.json(&["send", "-a", &agent, "hello"])?["task"]["id"].clone();
    let id = sent.as_str().unwrap_or_default();
    // A file stands where the folder should be.
    hands.fails(
        &["task", "download", "-a", &agent, id, "--dir", "a.txt"],
        "A2ACLI_ERR_INTERNAL",
        1,
    )
}
