//! Going on with what was begun.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::site::{Reply, Site, task};
use super::super::world::{Checked, TRANSPORTS, World, ensure, field, finished, identified};

pub fn by_context(world: &World) -> Checked {
    let hands = world.user();
    for transport in TRANSPORTS {
        let agent = world.agent("echo");
        let send = ["send", "-a", &agent, "--transport", transport, "hello"];
        let text = hands.good(&send)?.out;
        let (first, context, _) = identified(&text)?;
        let next = hands.good(&[&send[..], &["--context-id", context]].concat())?.out;
        let (second, same, _) = identified(&next)?;
        ensure!(first != second && same == context, "{transport}: {text} {next}");
    }
    Ok(())
}

/// With and without the context; what the agent rejects is told and nothing is begun instead.
pub fn by_task(world: &World) -> Checked {
    let hands = world.user();
    let agent = world.agent("conformance");
    for transport in TRANSPORTS {
        let send = ["send", "-a", &agent, "--transport", transport];
        let asked = hands.good(&[&send[..], &["tck-multi-turn"]].concat())?.out;
        let (task, context, state) = identified(&asked)?;
        ensure!(state == "INPUT_REQUIRED", "{asked}");
        let more = hands
            .good(&[&send[..], &["--task-id", task, "more"]].concat())?
            .out;
        ensure!(identified(&more)?.0 == task, "{more}");
        let done = hands
            .good(&[&send[..], &["--task-id", task, "--context-id", context, "done"]].concat())?
            .out;
        ensure!(identified(&done)? == (task, context, "COMPLETED"), "{done}");
        let count = || {
            hands
                .json(&["task", "list", "-a", &agent, "--context-id", context])
                .map(|list| list["tasks"].as_array().map_or(0, Vec::len))
        };
        let before = count()?;
        for (more, code) in [
            (vec!["--task-id", task], "UnsupportedOperationError"),
            (vec!["--task-id", "no-such-task"], "TaskNotFoundError"),
            (
                vec!["--task-id", task, "--context-id", "other"],
                "InvalidParamsError",
            ),
        ] {
            let error = hands.fails(&[&send[..], &more, &["again"]].concat(), code, 1)?;
            let hint = error["hint"].as_str().unwrap_or_default();
            ensure!(hint.contains("--debug"), "{transport} {more:?}: {error}");
        }
        ensure!(count()? == before, "{transport}: a task was begun");
    }
    Ok(())
}

/// What is sent names no task and no context unless the caller does.
pub fn invents_nothing(world: &World) -> Checked {
    let hands = world.user();
    let site = Site::agent(json!({}), |_, _| {
        Reply::Json(200, json!({"task": task("t-1", "COMPLETED")}))
    });
    for _ in 0..2 {
        hands.good(&["send", "-a", &site.url(), "hello"])?;
    }
    let mut ids = Vec::new();
    for asked in site.asked("/message:send") {
        let message = asked.json()["message"].clone();
        for name in ["taskId", "contextId"] {
            let value = message[name].as_str().unwrap_or_default();
            ensure!(value.is_empty(), "{name} is {value:?}");
        }
        ids.push(message["messageId"].to_string());
    }
    ensure!(ids.len() == 2 && ids[0] != ids[1], "message ids {ids:?}");
    let help = hands.good(&["send", "--help"])?.out.to_lowercase();
    ensure!(
        !help.contains("session") && !help.contains("conversation"),
        "{help}"
    );
    Ok(())
}

/// Ids in fields of their own, and a command that goes on as it stands.
pub fn says_how_to_go_on(world: &World) -> Checked {
    let hands = world.user();
    let agent = world.agent("conformance");
    let asked = hands.good(&["send", "-a", &agent, "tck-multi-turn"])?;
    let (task, _, _) = identified(&asked.out)?;
    let next = field(&asked.out, "Next")?.replace("YOUR ANSWER", "done");
    let words: Vec<String> = split(&next);
    ensure!(words.first().is_some_and(|word| word == "a2ad"), "{next}");
    let arguments: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    let done = finished(hands.command(&arguments));
    ensure!(done.code == 0, "{next}: {}", done.err);
    ensure!(identified(&done.out)?.0 == task, "{}", done.out);
    let started = hands.good(&["send", "-a", &world.agent("bench"), "--async", "hold:600"])?;
    ensure!(
        field(&started.out, "Next")?.contains("task get"),
        "{}",
        started.out
    );
    Ok(())
}

/// The words of a command line, with simple quotes.
pub fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, piece) in line.split('\'').enumerate() {
        match number % 2 {
            0 => words.extend(piece.split_whitespace().map(str::to_owned)),
            _ => words.push(piece.to_owned()),
        }
    }
    words
}

/// Nothing is written, and nothing goes on that was not named.
pub fn is_stateless(world: &World) -> Checked {
    let hands = world.user();
    let agent = world.agent("conformance");
    let first = hands.good(&["send", "-a", &agent, "tck-multi-turn"])?.out;
    let second = hands.good(&["send", "-a", &agent, "tck-multi-turn"])?.out;
    let (first, second) = (identified(&first)?, identified(&second)?);
    ensure!(
        first.0 != second.0 && first.1 != second.1,
        "the second goes on with the first"
    );
    // Cards may be kept, and nothing of a task.
    for file in [files(&hands.user.home()), files(&hands.user.work())].concat() {
        let text = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&text);
        for id in [first.0, first.1, second.0, second.1] {
            ensure!(!text.contains(id), "{id} stands in {}", file.display());
        }
    }
    let run = hands.run(&["send", "-a", &agent, "--continue", "more"]);
    ensure!(run.code == 2, "--continue is known");
    Ok(())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

/// Turn after turn in one context, one task while it waits; without a terminal nothing is asked.
pub fn chat(world: &World) -> Checked {
    let hands = world.user();
    let agent = world.agent("conformance");
    for transport in TRANSPORTS {
        let chat = ["chat", "-a", &agent, "--transport", transport];
        let run = hands.told(
            &chat,
            "tck-multi-turn\nmore\ndone\ntck-complete-task\n/task\n/quit\nnever\n",
        );
        ensure!(run.code == 0, "{}{}", run.out, run.err);
        let of = |label: &str| {
            let start = format!("{label}: ");
            let found = run.out.lines().filter_map(|line| line.strip_prefix(&start));
            found.map(str::to_owned).collect::<Vec<_>>()
        };
        let mut contexts = of("Context");
        contexts.dedup();
        ensure!(contexts.len() == 1, "{transport}: contexts {contexts:?}");
        let mut tasks = of("Task");
        tasks.dedup();
        ensure!(tasks.len() == 2, "{transport}: tasks {tasks:?}");
        ensure!(
            !run.out.contains("> ") && !run.err.contains("> "),
            "a prompt: {}",
            run.err
        );
        ensure!(!run.out.contains('\u{1b}'), "a control sequence: {:?}", run.out);
    }
    let none = hands.run(&["chat", "-a", &agent]);
    ensure!(none.code == 0 && none.out.is_empty(), "{}", none.out);
    Ok(())
}
