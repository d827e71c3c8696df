//! `--debug` shows what went over the wire, and not what became of it.

use serde_json::json;

use super::compliance::site::{Reply, Site, task};
use super::harness::User;
use crate::binary::Server;

/// The lines of standard error that begin so, without what they begin with.
fn lines<'a>(err: &'a str, sign: &str) -> Vec<&'a str> {
    let start = format!("debug: {sign} ");
    err.lines().filter_map(|line| line.strip_prefix(&start)).collect()
}

#[test]
fn bodies_and_heads_are_shown_as_they_were_sent_and_as_they_came() {
    // What this program knows nothing of, in a form that it would not write.
    let answer = "{ \"task\" : {\"id\":\"t-1\",  \"contextId\":\"c\", \"notOurs\": 1,\n\"status\":{\"state\":\"TASK_STATE_COMPLETED\"}}}";
    let site = Site::agent(json!({}), move |_, _| {
        let headers = vec![
            ("Content-Type", "application/json; odd=yes".to_owned()),
            ("X-Odd", "as it is".to_owned()),
        ];
        Reply::Raw(200, headers, answer.to_owned())
    });
    let user = User::new();
    let run = user.run(&["send", "-a", &site.url(), "hello", "--debug"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let asked = site.asked("/message:send").pop().unwrap();
    let (out, back) = (lines(&run.err, ">"), lines(&run.err, "<"));
    let head = format!("POST {}/message:send", site.url());
    for sent in [
        &*head,
        &*asked.body,
        "content-type: application/a2a+json",
        "a2a-version: 1.0",
    ] {
        assert!(out.contains(&sent), "{sent}: {}", run.err);
    }
    let escaped = answer.replace('\n', "\\n");
    for came in [
        "HTTP/1.1 200 OK",
        "content-type: application/json; odd=yes",
        "x-odd: as it is",
        &escaped,
    ] {
        assert!(back.contains(&came), "{came}: {}", run.err);
    }
}

#[test]
fn what_is_no_answer_of_the_protocol_is_shown_and_steers_nothing() {
    let site = Site::agent(json!({}), |_, _| {
        let body = "<html>\u{1b}[31mteapot\u{202e}</html>".to_owned();
        Reply::Raw(502, vec![("Content-Type", "text/html".to_owned())], body)
    });
    let user = User::new();
    let run = user.run(&["task", "get", "-a", &site.url(), "t-1", "--debug"]);
    assert_ne!(run.code, 0);
    let back = lines(&run.err, "<");
    assert!(
        back.contains(&"<html>\\u{1b}[31mteapot\\u{202e}</html>"),
        "{}",
        run.err
    );
    assert!(!run.err.contains('\u{1b}'), "a control sequence");
}

#[test]
fn no_more_of_a_long_body_is_shown_than_anybody_reads() {
    let site = Site::agent(json!({}), |_, _| {
        let mut done = task("t-1", "COMPLETED");
        done["artifacts"] = json!([{"artifactId": "a", "parts": [{"text": "x".repeat(1 << 20)}]}]);
        Reply::Json(200, done)
    });
    let user = User::new();
    let run = user.run(&["task", "get", "-a", &site.url(), "t-1", "--debug"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let longest = run.err.lines().map(str::len).max().unwrap();
    assert!((16 << 10..17 << 10).contains(&longest), "{longest} bytes");
    assert!(run.err.contains(" bytes more"), "{longest} bytes");
    assert!(run.out.len() > 1 << 20);
}

#[test]
fn a_stream_is_shown_line_by_line() {
    let site = Site::agent(
        json!({"capabilities": {"streaming": true}}),
        |asked, _| match asked.path() {
            "/message:stream" => {
                let done = json!({"task": task("t-1", "COMPLETED")});
                let body = format!(
                    ": still there\r\nid: 7\r\nevent: unheard-of\r\ndata: {{\"odd\":{{}}}}\r\n\r\ndata: {done}\n\n"
                );
                Reply::Raw(200, vec![("Content-Type", "text/event-stream".to_owned())], body)
            }
            _ => Reply::Json(200, task("t-1", "COMPLETED")),
        },
    );
    let user = User::new();
    let run = user.run(&["send", "-a", &site.url(), "hello", "--stream", "--debug"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let back = lines(&run.err, "<");
    let done = format!("data: {}", json!({"task": task("t-1", "COMPLETED")}));
    for line in [
        ": still there",
        "id: 7",
        "event: unheard-of",
        "data: {\"odd\":{}}",
        &done,
    ] {
        assert!(back.contains(&line), "{line}: {}", run.err);
    }
}

#[test]
fn grpc_shows_messages_as_json_and_heads_as_they_are() {
    let server = Server::start(&["--database", "memory"]);
    let user = User::new();
    let agent = server.addr.to_string();
    let by = ["-a", &*agent, "--transport", "grpc", "--debug"];
    let run = user.run(&[&["send", "hello"][..], &by].concat());
    assert_eq!(run.code, 0, "{}", run.err);
    let (out, back) = (lines(&run.err, ">"), lines(&run.err, "<"));
    let url = format!("POST http://{agent}/lf.a2a.v1.A2AService/SendStreamingMessage");
    for sent in [
        &*url,
        "content-type: application/grpc",
        "te: trailers",
        "a2a-version: 1.0",
    ] {
        assert!(out.contains(&sent), "{sent}: {}", run.err);
    }
    assert!(
        out.iter().any(|line| line.contains("\"text\":\"hello\"")),
        "{}",
        run.err
    );
    assert!(
        out.iter().any(|line| line.starts_with("frames of gRPC, ")),
        "{}",
        run.err
    );
    for came in ["HTTP/2.0 200 OK", "grpc-status: 0"] {
        assert!(back.contains(&came), "{came}: {}", run.err);
    }
    assert!(
        back.iter().any(|line| line.contains("TASK_STATE_COMPLETED")),
        "{}",
        run.err
    );
    let failed = user.run(&[&["task", "get", "none"][..], &by].concat());
    assert_eq!(failed.code, 1, "{}", failed.err);
    let back = lines(&failed.err, "<");
    assert!(back.contains(&"grpc-status: 5"), "{}", failed.err);
    assert!(
        back.iter()
            .any(|line| line.starts_with("grpc-status-details-bin: ")),
        "{}",
        failed.err
    );
}

/// The JSON of a message by gRPC has not the bytes of a file, which the bodies of the other bindings have.
#[test]
fn a_file_is_told_in_the_body_or_beside_it() {
    let server = Server::start(&["--database", "memory"]);
    let user = User::new();
    std::fs::write(user.work().join("note.bin"), b"seven b").unwrap();
    let agent = server.addr.to_string();
    for (binding, is_beside) in [("grpc", true), ("jsonrpc", false), ("http+json", false)] {
        let run = user.run(&[
            "send",
            "hello",
            "--file",
            "note.bin",
            "-a",
            &agent,
            "--transport",
            binding,
            "--debug",
        ]);
        assert_eq!(run.code, 0, "{binding}: {}", run.err);
        let out = lines(&run.err, ">");
        let beside = out.contains(&"part 1 is sent behind it: 7 bytes of note.bin");
        // What the agent says of the message has the bytes as well, but comes the other way.
        let within = out.iter().any(|line| line.contains("c2V2ZW4gYg=="));
        assert_eq!(
            (beside, within),
            (is_beside, !is_beside),
            "{binding}: {}",
            run.err
        );
    }
}

#[test]
fn a_secret_of_the_protocols_own_is_not_shown_either() {
    let server = Server::start(&["--database", "memory", "--allow-loopback-webhooks"]);
    let mut user = User::new();
    let agent = format!("{}/bench", server.addr);
    let begun = user.run(&["send", "-a", &agent, "hold:600", "-o", "json", "--async"]);
    let id = begun.json()["task"]["id"].as_str().unwrap().to_owned();
    let secrets = ["webhook-token-4716", "webhook-credentials-4717"];
    user.environment = vec![
        ("A2ACLI_WEBHOOK_TOKEN".to_owned(), secrets[0].to_owned()),
        ("A2ACLI_WEBHOOK_CREDENTIALS".to_owned(), secrets[1].to_owned()),
    ];
    for binding in ["grpc", "jsonrpc", "http+json"] {
        let by = ["-a", &*agent, "--transport", binding, "--debug", &*id];
        let create = ["task", "push-config", "create", "--url", "http://127.0.0.1:9/"];
        let run = user.run(&[&create[..], &by].concat());
        assert_eq!(run.code, 0, "{}", run.err);
        // Those who look at it later do not know what to look for.
        let stranger = User::new();
        let list = stranger.run(&[&["task", "push-config", "list"][..], &by].concat());
        assert_eq!(list.code, 0, "{}", list.err);
        for (run, sign) in [(&run, "> "), (&list, "< ")] {
            assert!(
                secrets.iter().all(|secret| !run.err.contains(secret)),
                "{}",
                run.err
            );
            let told = format!("debug: {sign}{{");
            let body = run.err.lines().find(|line| line.starts_with(&told));
            assert!(
                body.is_some_and(|line| line.contains("\"***\"")),
                "{binding}: {}",
                run.err
            );
        }
    }
}
