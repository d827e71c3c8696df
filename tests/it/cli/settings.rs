//! Where settings come from, and what becomes of secrets.

use std::os::unix::fs::PermissionsExt as _;

use super::harness::{Story, User};
use crate::binary::Server;

/// What `config show` says of a setting: its value and its source.
fn shown(user: &User, arguments: &[&str], name: &str) -> (String, String) {
    let run = user.run(&[&["config", "show", "-o", "json"][..], arguments].concat());
    assert_eq!(run.code, 0, "{}", run.err);
    let all = run.json();
    let one = all
        .as_array()
        .unwrap()
        .iter()
        .find(|setting| setting["name"] == name)
        .unwrap();
    let text = |member: &str| one[member].as_str().unwrap_or("-").to_owned();
    (text("value"), text("source"))
}

#[test]
fn the_higher_source_wins() {
    let mut user = User::new();
    let name = "timeout";
    assert_eq!(shown(&user, &[], name), ("10m".into(), "default".into()));
    let global = user.home().join(".config/a2a-cli/.env");
    std::fs::create_dir_all(global.parent().unwrap()).unwrap();
    std::fs::write(&global, "A2ACLI_TIMEOUT=1s\nA2ACLI_CA=global.pem\n").unwrap();
    assert_eq!(
        shown(&user, &[], name),
        ("1s".into(), format!("file {}", global.display()))
    );
    let local = user.work().parent().unwrap().join(".env");
    std::fs::write(&local, "OTHER='open\nA2ACLI_TIMEOUT=2s\n").unwrap();
    assert_eq!(
        shown(&user, &[], name),
        ("2s".into(), format!("file {}", local.display()))
    );
    assert_eq!(shown(&user, &[], "ca").0, "global.pem");
    let named = user.home().join("named.env");
    std::fs::write(&named, "A2ACLI_TIMEOUT=3s\n").unwrap();
    let config = ["--config", named.to_str().unwrap()];
    assert_eq!(
        shown(&user, &config, name),
        ("3s".into(), format!("file {}", named.display()))
    );
    user.environment.push(("A2ACLI_TIMEOUT".into(), "4s".into()));
    assert_eq!(
        shown(&user, &config, name),
        ("4s".into(), "environment A2ACLI_TIMEOUT".into())
    );
    let flag = [&config[..], &["--timeout", "5s"]].concat();
    assert_eq!(shown(&user, &flag, name), ("5s".into(), "flag".into()));
}

#[test]
fn settings_are_shown_without_secrets() {
    let server = Server::start(&["--database", "memory"]);
    let mut story = Story::new("settings", &server);
    for (name, value) in [
        ("A2ACLI_AGENT_CARD", "AGENT"),
        ("A2ACLI_BEARER", "hunter2"),
        ("A2ACLI_TRANSPORT", "jsonrpc,grpc"),
        ("A2ACLI_STREAM", "true"),
        ("A2ACLI_VERBOSE", "yes"),
    ] {
        story.user.environment.push((name.into(), value.into()));
    }
    let file = story.user.work().join(".env");
    std::fs::write(
        &file,
        "A2ACLI_API_KEY=hunter3\nA2ACLI_STREAM=true\nA2ACLI_NOTHING=1\n",
    )
    .unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let run = story.tell(&["config", "show"]);
    assert!(!run.out.contains("hunter") && !run.err.contains("hunter"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let run = story.tell(&["config", "show", "-o", "json", "--svc-param", "x-key:hunter4"]);
    assert!(!run.out.contains("hunter") && !run.err.contains("hunter"));
    let help = story.user.run(&["send", "--help"]);
    assert!(
        help.code == 0 && help.out.contains("[default: true]"),
        "{}",
        help.out
    );
    assert!(
        !help.out.contains("hunter") && help.err.is_empty(),
        "{} {}",
        help.out,
        help.err
    );
    std::fs::write(&file, "A2ACLI_OUTPUT=yaml\n").unwrap();
    story.tell(&["config", "show"]);
    std::fs::write(&file, "A2ACLI_OUTPUT=json\n").unwrap();
    story.tell(&["task", "get", "--nonsense"]);
    std::fs::write(&file, "A2ACLI_OUTPUT='json\n").unwrap();
    story.tell(&["task", "get", "x"]);
    story.end();
}

#[test]
fn waiting_is_a_setting_and_streaming_is_none() {
    let server = Server::start(&["--database", "memory"]);
    let address = server.addr.to_string();
    let mut user = User::new();
    let send = ["send", "-a", &address, "hello", "-o", "json"];
    user.environment.push(("A2ACLI_STREAM".into(), "true".into()));
    let run = user.run(&send);
    assert_eq!(run.out.lines().count(), 1);
    assert_eq!(run.json()["task"]["status"]["state"], "TASK_STATE_COMPLETED");
    user.environment.push(("A2ACLI_ASYNC".into(), "true".into()));
    let conformance = format!("{address}/conformance");
    let slow = ["send", "-a", &conformance, "tck-delayed-complete", "-o", "json"];
    let is_over = |run: &super::harness::Run| run.json()["task"]["status"]["state"] == "TASK_STATE_COMPLETED";
    assert!(!is_over(&user.run(&slow)));
    assert!(is_over(&user.run(&[&slow[..], &["--wait"]].concat())));
    user.environment.push(("A2ACLI_WAIT".into(), "true".into()));
    assert!(!is_over(&user.run(&[&slow[..], &["--async"]].concat())));
}

#[test]
fn no_secret_is_in_what_debugging_prints() {
    let server = Server::start(&["--database", "memory"]);
    let address = server.addr.to_string();
    let mut user = User::new();
    let secrets = ["bearer-hunter2", "parameter-hunter3", "metadata-hunter4"];
    user.environment.push(("A2ACLI_BEARER".into(), secrets[0].into()));
    let parameter = format!("x-session:{}", secrets[1]);
    let metadata = format!("{{\"apiKey\":\"{}\"}}", secrets[2]);
    let text = format!("echo {} and {}", secrets[0], secrets[1]);
    let run = user.run(&[
        "send",
        "-a",
        &address,
        &text,
        "--debug",
        "--verbose",
        "--svc-param",
        &parameter,
        "--metadata",
        &metadata,
    ]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(
        run.err.contains("debug: > SendStreamingMessage by "),
        "{}",
        run.err
    );
    assert!(run.err.contains("debug: > x-session: ***"), "{}", run.err);
    assert!(run.err.contains("\"text\":\"echo *** and ***\""), "{}", run.err);
    assert!(run.err.contains("\"apiKey\":\"***\""), "{}", run.err);
    for secret in secrets {
        assert!(!run.err.contains(secret), "{secret}: {}", run.err);
    }
    // What the agent says is the result, whatever it is.
    assert!(run.out.contains(&text));
}

#[test]
fn a_file_that_lay_there_does_not_lead_a_credential_away_unnoticed() {
    let server = Server::start(&["--database", "memory"]);
    let mut user = User::new();
    user.environment.push(("A2ACLI_BEARER".into(), "hunter2".into()));
    std::fs::write(
        user.work().join(".env"),
        format!("A2ACLI_AGENT_CARD={}\n", server.addr),
    )
    .unwrap();
    let warning = "a credential of yours goes where file";
    let run = user.run(&["send", "hello"]);
    assert!(run.code == 0 && run.err.contains(warning), "{}", run.err);
    let run = user.run(&["send", "hello", "--config", ".env"]);
    assert!(run.code == 0 && !run.err.contains(warning), "{}", run.err);
    let run = user.run(&["send", "hello", "-a", &server.addr.to_string()]);
    assert!(run.code == 0 && !run.err.contains(warning), "{}", run.err);
}
