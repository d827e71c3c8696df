//! `a2ad push`, on a database beside its server and through the server.

use std::process::Command;

use a2ad::audit::Kind;
use serde_json::{Value, json};

use super::{Post, tells_no_secret};
use crate::audit::program::stored;
use crate::binary::PROGRAM;
use crate::support::raw::Raw;

/// The way that a command takes to the deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Database,
    Server,
}

const WAYS: [Way; 2] = [Way::Database, Way::Server];

/// Runs `a2ad push`: its exit code, and what it printed.
async fn push(post: &Post, way: Way, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(PROGRAM);
    command.arg("push").args(arguments).env_remove("A2ACLI_API_KEY");
    match way {
        Way::Database => command
            .arg("--database")
            .arg(format!("sqlite://{}", post.world.database().display())),
        Way::Server => {
            let token = post.file.issuer.token_of("ada", json!({"scope": "operate"}));
            command
                .arg("--server")
                .arg(post.world.address.to_string())
                .env("A2ACLI_BEARER", token)
        }
    };
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let code = output.status.code().unwrap();
    let text = if code == 0 { output.stdout } else { output.stderr };
    let text = String::from_utf8(text).unwrap();
    tells_no_secret(&text);
    (code, text)
}

async fn done(post: &Post, way: Way, arguments: &[&str]) -> String {
    let (code, text) = push(post, way, arguments).await;
    assert_eq!(code, 0, "{way:?} {arguments:?}: {text}");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_list_and_show_the_same() {
    let post = Post::new().await;
    let name = post.kill_the_first().await;
    let owner = "org:acme/jwt:https://idp.example.com#ada";
    let mut seen = Vec::new();
    for way in WAYS {
        let line = format!(
            "{name}  dead 2023-11-14T22:13:20Z  echo of {owner}  to 127.0.0.1:1  7 failed attempts, the last: \
             status 503: busy\n"
        );
        assert_eq!(done(&post, way, &["list", "--state", "dead"]).await, line);
        let page = format!(
            "delivery      {name}\nstate         dead\nagent         echo\nowner         {owner}\n\
             host          127.0.0.1:1\nevent         task SUBMITTED\nsince         2020-09-13T12:26:40Z\n\
             attempts      7 failed\nlast failure  status 503: busy\ndead          2023-11-14T22:13:20Z\n"
        );
        assert_eq!(done(&post, way, &["show", &name]).await, page);
        let shown = done(&post, way, &["show", &name, "--json"]).await;
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let expected = json!({
            "name": name, "agent": "echo", "owner": owner, "taskId": post.task_id, "configId": "hook",
            "host": "127.0.0.1:1", "state": "DELIVERY_STATE_DEAD", "sinceTime": "2020-09-13T12:26:40.000Z",
            "attempts": 7, "deadTime": "2023-11-14T22:13:20.000Z", "lastStatus": 503, "lastCause": "busy",
            "event": "task", "taskState": "TASK_STATE_SUBMITTED",
        });
        assert_eq!(shown, expected);
        for (filter, some) in [
            (&["--agent", "echo"][..], true),
            (&["--agent", "plain"], false),
            (&["--owner", owner], true),
            (&["--owner", "org:acme/"], false),
            (&["--task", &post.task_id], true),
            (&["--config-id", "hook", "--state", "waiting"], true),
            (&["--config-id", "hoo"], false),
            (&["--host", "127.0.0.1:1"], true),
            (&["--host", "127.0.0.1"], false),
        ] {
            let list = done(&post, way, &[&["list"], filter].concat()).await;
            assert_eq!(!list.is_empty(), some, "{way:?} {filter:?}: {list}");
        }
        let list = done(&post, way, &["list", "--json"]).await;
        let names: Vec<String> = list
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["name"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert!(names.len() > 5, "more than a page of the server: {names:?}");
        seen.push(names);
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_need_to_know_what_is_meant() {
    for way in WAYS {
        let post = Post::new().await;
        let name = post.kill_the_first().await;
        for verb in ["redeliver", "discard"] {
            for (arguments, said) in [
                (&[][..], "--all"),
                (&["--all", "--state", "dead"], "one of"),
                (&[&*name, "--all"], "one of"),
                (&[&*name, "--agent", "echo"], "one of"),
                (&["t/c/1"], "no "),
            ] {
                let (code, text) = push(&post, way, &[&[verb], arguments].concat()).await;
                assert!(
                    code == 1 && text.contains(said),
                    "{way:?} {verb} {arguments:?}: {code} {text}"
                );
            }
            let (code, text) = push(&post, way, &[verb, "t/c"]).await;
            assert!(
                code == 2 && text.contains("TASK/CONFIG/GENERATION"),
                "{code} {text}"
            );
        }
        let (code, text) = push(&post, way, &["show", "t/c/1"]).await;
        assert!(
            code == 1 && text.contains("t/c/1") || text.contains("NOT_FOUND"),
            "{code} {text}"
        );
        let before = done(&post, way, &["list"]).await.lines().count();
        let words = done(&post, way, &["redeliver", "--state", "dead"]).await;
        assert_eq!(words, "1 deliveries are due now\n");
        assert_eq!(
            done(&post, way, &["redeliver", "--state", "dead", "--json"]).await,
            "{\"count\":0}\n"
        );
        assert_eq!(
            done(&post, way, &["discard", &name]).await,
            "1 deliveries discarded\n"
        );
        let rest = format!("{} deliveries discarded\n", before - 1);
        assert_eq!(done(&post, way, &["discard", "--all"]).await, rest);
        assert_eq!(done(&post, way, &["list"]).await, "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_changed_beside_a_server_is_recorded() {
    let post = Post::new().await;
    let name = post.kill_the_first().await;
    done(&post, Way::Database, &["list"]).await;
    done(
        &post,
        Way::Database,
        &["redeliver", "--state", "dead", "--agent", "echo"],
    )
    .await;
    done(&post, Way::Database, &["discard", &name]).await;
    assert_eq!(push(&post, Way::Database, &["discard", &name]).await.0, 1);
    let raw = Raw::open(&post.world.database()).await;
    let told: Vec<String> = stored(&raw)
        .await
        .into_iter()
        .filter(|record| record.kind == Kind::Admin)
        .map(|record| format!("{} {}", record.method.unwrap(), record.outcome))
        .collect();
    let discard = format!("push discard task={} config=hook generation=1", post.task_id);
    let redeliver = "push redeliver state=dead agent=echo";
    let expected = [
        format!("{redeliver} INTENDED"),
        format!("{redeliver} ok"),
        format!("{discard} INTENDED"),
        format!("{discard} ok"),
        format!("{discard} INTENDED"),
        format!("{discard} FAILED"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_database_that_is_not_there_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.db");
    for (url, said) in [
        (format!("sqlite://{}", file.display()), "there is no database"),
        ("memory".to_owned(), "--server"),
    ] {
        let output = Command::new(PROGRAM)
            .args(["push", "list", "--database", &url])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && text.contains(said), "{text}");
    }
    assert!(!file.exists());
    let both = ["push", "list", "--database", "memory", "--server", "127.0.0.1:1"];
    let output = Command::new(PROGRAM).args(both).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn postgres_is_looked_after_as_well() {
    let database = crate::support::postgres::database();
    for (arguments, printed) in [
        (&["list"][..], ""),
        (&["redeliver", "--all"], "0 deliveries are due now\n"),
        (&["discard", "--all"], "0 deliveries discarded\n"),
    ] {
        let output = Command::new(PROGRAM)
            .arg("push")
            .args(arguments)
            .env("A2AD__DATABASE__URL", database.url())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), printed);
        let hint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            hint.contains("push.poll_ms"),
            arguments[0] == "redeliver",
            "{hint}"
        );
    }
}
