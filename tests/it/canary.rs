//! No secret shows: one is planted in every place that can hold one, and then looked for wherever something is written.

mod credentials;
mod search;
mod webhooks;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use self::search::{Canary, Haystack, found_in};
use self::webhooks::{deliver_in_vain, push_config};
use crate::audit::program::{Caller, Place};
use crate::binary::PROGRAM;
use crate::support::engine::eventually;

/// The program with its output in files, at the level at which everything is logged.
struct Running {
    child: Child,
    port: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn start(place: &Place) -> Running {
    let output = |name: &str| File::create(place.files.path(name)).unwrap();
    let child = Command::new(PROGRAM)
        .args([
            "serve",
            "--demo",
            "--listen",
            "127.0.0.1:0",
            "--config",
            "a2ad.toml",
        ])
        .args(["--set", "log.format=json", "--set", "log.filter=trace"])
        .current_dir(place.files.path(""))
        .stdin(Stdio::null())
        .stdout(output("stdout"))
        .stderr(output("stderr"))
        .spawn()
        .unwrap();
    let address = || {
        let log = std::fs::read_to_string(place.files.path("stderr")).unwrap();
        let line = log
            .lines()
            .find_map(|line| line.strip_prefix("ready ").map(str::to_owned))?;
        line.trim().rsplit(':').next()?.parse().ok()
    };
    eventually(async || address().is_some()).await;
    Running {
        child,
        port: address().unwrap(),
    }
}

/// The secrets of the operator and of callers, by where they stand.
fn canaries() -> BTreeMap<&'static str, Canary> {
    let names = [
        "bearer token",
        "api key",
        "basic password",
        "cookie",
        "query token",
        "push token",
        "push credentials",
        "webhook query",
        "webhook password",
    ];
    let mut all: BTreeMap<_, _> = names.map(|name| (name, Canary::new(name))).into();
    all.insert("page token key", Canary::hex("page token key"));
    all
}

/// Calls that go well and calls that don't, on all bindings, with every header that holds a secret; the answers to errors.
async fn call_in_all_ways(caller: &Caller, canaries: &BTreeMap<&str, Canary>) -> Vec<String> {
    let bearer = format!("Bearer {}", canaries["bearer token"].text);
    let basic = format!(
        "Basic {}",
        search::base64(&format!("user:{}", canaries["basic password"].text))
    );
    let cookie = format!("session={}", canaries["cookie"].text);
    let key = canaries["api key"].text.as_str();
    let (mut errors, mut task_id) = (Vec::new(), String::new());
    for authorization in [&bearer, &basic] {
        let headers = [
            ("authorization", authorization.as_str()),
            ("x-api-key", key),
            ("cookie", cookie.as_str()),
        ];
        let message = json!({"messageId": "m", "role": "ROLE_USER", "parts": [{"text": search::CONTROL}]});
        let params = json!({"message": message, "tenant": "conformance"});
        let token = &canaries["query token"].text;
        let path = format!(
            "/conformance/message:send?access_token={}",
            search::percent(token)
        );
        let (_, text) = caller.http("POST", &path, &headers, &params).await;
        errors.push(text);
        let (status, text) = caller.http("POST", "/message:send", &headers, &params).await;
        assert_eq!(status, 200, "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        task_id = answer["task"]["id"].as_str().unwrap_or_default().to_owned();
        for (method, params) in [
            ("SendMessage", params.clone()),
            ("GetTask", json!({"id": "not-there", "tenant": "conformance"})),
            ("ListTasks", json!({"pageToken": token, "tenant": "conformance"})),
            ("Nonsense", json!({})),
        ] {
            let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
            let (_, text) = caller.http("POST", "/", &headers, &body).await;
            errors.push(text);
        }
        let mut request = tonic::Request::new(crate::support::messages::get("conformance", "not-there"));
        for (name, value) in &headers {
            let name: tonic::metadata::AsciiMetadataKey = name.parse().unwrap();
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        let status = caller.grpc().get_task(request).await.unwrap_err();
        errors.push(format!("{status:?}"));
    }
    let query = &canaries["webhook query"].text;
    let good = format!("https://hooks.example.com/a?token={}", search::percent(query));
    let config = push_config(canaries, good, &task_id);
    let stored = caller.grpc().create_task_push_notification_config(config).await;
    stored.expect("a configuration that is stored");
    let password = &canaries["webhook password"].text;
    for url in [
        format!("https://user:{}@hooks.example.com/a", search::percent(password)),
        format!("ftp://user:{}@hooks.example.com", search::percent(password)),
        format!("https://user:{}@", search::percent(password)),
    ] {
        let refused = caller
            .grpc()
            .create_task_push_notification_config(push_config(canaries, url, &task_id))
            .await;
        errors.push(format!("{:?}", refused.unwrap_err()));
    }
    let gone = push_config(canaries, "https://hooks.example.com/".to_owned(), "not-there");
    let refused = caller.grpc().create_task_push_notification_config(gone).await;
    errors.push(format!("{:?}", refused.unwrap_err()));
    errors
}

/// What another caller is told about these things.
async fn look_from_outside(caller: &Caller) -> Vec<String> {
    let list = a2ad::pb::ListTasksRequest {
        tenant: "conformance".to_owned(),
        ..Default::default()
    };
    let listed = caller.grpc().list_tasks(list).await;
    let get = a2ad::pb::GetTaskPushNotificationConfigRequest {
        tenant: "conformance".to_owned(),
        id: "config".to_owned(),
        ..Default::default()
    };
    let config = caller.grpc().get_task_push_notification_config(get).await;
    vec![format!("{listed:?}"), format!("{config:?}")]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_of_callers_or_of_the_operator_shows() {
    let canaries = canaries();
    let key = &canaries["page token key"].text;
    let place = Place::new(&format!(
        "[server]\npage_token_key = \"{key}\"\n[database]\nurl = \"sqlite://a2ad.db\"\n\
         [push]\nallow_loopback_webhooks = true\nbackoff_max_ms = 5\nbackoff_min_ms = 1\nrequest_timeout_ms = 100\n\
         retry_span_s = 5\nbreaker_failures = 1000\nreport_interval_ms = 100\n"
    ));
    let running = start(&place).await;
    let caller = place.caller_at(running.port, "a").await;
    let other = place.caller_at(running.port, "b").await;
    let errors = call_in_all_ways(&caller, &canaries).await;
    deliver_in_vain(&caller, &canaries).await;
    let outside = look_from_outside(&other).await;
    let read = |name: &str| std::fs::read(place.files.path(name)).unwrap();
    let says = |name: &str, word: &str| String::from_utf8_lossy(&read(name)).contains(word);
    eventually(async || says("audit.jsonl", "not-there") && says("audit.jsonl", "\"kind\":\"push\"")).await;
    // The last of them: what failed for its whole span is given up, and counted.
    eventually(async || says("stderr", "it is a dead letter now")).await;
    eventually(async || says("stderr", "push notifications since the start")).await;
    let database = [read("a2ad.db"), read("a2ad.db-wal")].concat();
    let checked = place.run(&["config", "check", "--config", "a2ad.toml"]);
    assert!(checked.status.success());
    drop(running);

    let private_keys = ["server.key", "client.key"].map(|name| Canary::of_pem(name, &read(name)));
    let database = Haystack::new(&database);
    let places: Vec<(&str, Vec<u8>)> = vec![
        ("standard output", read("stdout")),
        ("log", read("stderr")),
        ("audit file", read("audit.jsonl")),
        ("config check", [checked.stdout, checked.stderr].concat()),
        ("answers to others", outside.concat().into_bytes()),
        ("answers to errors", errors.concat().into_bytes()),
    ];
    let places: Vec<(&str, Haystack)> = places
        .into_iter()
        .map(|(name, bytes)| (name, Haystack::new(&bytes)))
        .collect();
    let mut shown: Vec<String> = Vec::new();
    let mut searches = 0;
    for canary in canaries.values().chain(&private_keys) {
        for (name, bytes) in &places {
            searches += 1;
            shown.extend(found_in(bytes, canary).map(|form| format!("{} in {name} ({form})", canary.name)));
        }
        searches += 1;
        shown.extend(
            found_in(&database, canary).map(|form| format!("{} in the database ({form})", canary.name)),
        );
    }
    assert!(shown.is_empty(), "{shown:#?}");
    // The search finds what is there.
    let control = Canary::exactly("message", search::CONTROL);
    assert!(
        found_in(&database, &control).is_some(),
        "the control in the database"
    );
    for (name, word) in [
        ("log", "TRACE"),
        ("log", "not delivered; it is tried again"),
        ("log", "the receiver answered with status 307"),
        ("log", "it is a dead letter now"),
        ("log", "push notifications since the start"),
        ("log", "the receiver answered 410"),
        ("audit file", "\"kind\":\"push\""),
        ("audit file", "not-there"),
        ("config check", "***"),
    ] {
        let bytes = &places.iter().find(|(place, _)| *place == name).unwrap().1;
        let control = Canary::exactly("control", word);
        assert!(found_in(bytes, &control).is_some(), "{word} in {name}");
    }
    println!(
        "{searches} searches for {} secrets, none shown",
        canaries.len() + private_keys.len()
    );
}

/// Runs a command that must fail, with these lines as its configuration; all that it says.
fn failing(folder: &Path, config: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Vec<u8> {
    std::fs::write(folder.join("bad.toml"), config).unwrap();
    let mut command = Command::new(PROGRAM);
    command
        .args(arguments)
        .current_dir(folder)
        .envs(variables.iter().copied());
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{config:?} {variables:?} {arguments:?}");
    [output.stdout, output.stderr].concat()
}

#[test]
fn no_error_about_the_configuration_shows_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let canary = Canary::new("secret");
    let secret = &canary.text;
    let check = ["config", "check", "--config", "bad.toml"];
    let configs = [
        format!("[server]\npage_token_key = \"{secret}\""),
        format!("[server]\npage_token_key = \"{secret}"),
        format!("[server]\npage_token_key = {secret}"),
        format!("[server]\npage_token_key = [\"{secret}\"]"),
        format!("[server]\npage_token_key = {{ a = \"{secret}\" }}"),
        format!("[server]\npage_token_kye = \"{secret}\""),
        format!("[server]\npage_token_key = \"x\"\npage_token_key = \"{secret}\""),
        format!("[sever]\npage_token_key = \"{secret}\""),
        format!("[database]\nurl = \"mysql://user:{secret}@db\""),
        format!("[database]\nurl = \"postgres://user:{secret}@db"),
        format!("[database]\nurl = 'postgres://user:{secret}@db' x"),
        format!("[database]\nurl = [\"postgres://user:{secret}@db\"]"),
        format!("[database]\nulr = \"postgres://user:{secret}@db\""),
    ];
    let mut shown = Vec::new();
    let mut tried = 0;
    let mut judge = |what: &str, said: Vec<u8>| {
        tried += 1;
        if found_in(&Haystack::new(&said), &canary).is_some() {
            shown.push(format!("{what}: {}", String::from_utf8_lossy(&said)));
        }
    };
    for config in &configs {
        judge(config, failing(folder.path(), config, &[], &check));
        let serve = ["serve", "--config", "bad.toml", "--listen", "127.0.0.1:0"];
        judge(config, failing(folder.path(), config, &[], &serve));
    }
    for (name, value) in [
        ("A2AD__SERVER__PAGE_TOKEN_KEY", secret.clone()),
        ("A2AD__DATABASE__URL", format!("mysql://user:{secret}@db")),
        ("A2AD__DATABASE__ULR", format!("postgres://user:{secret}@db")),
        ("A2AD__SERVER__PAGE_TOKEN_KYE", secret.clone()),
    ] {
        judge(name, failing(folder.path(), "", &[(name, &value)], &check));
        let key = name
            .trim_start_matches("A2AD__")
            .to_lowercase()
            .replace("__", ".");
        let set = format!("{key}={value}");
        let with_set = [&check[..], &["--set", &set]].concat();
        judge(&key, failing(folder.path(), "", &[], &with_set));
    }
    // A server that is not there, and a password in its URL.
    let url = format!("postgres://user:{secret}@127.0.0.1:1/db");
    for command in [
        &["migrate"][..],
        &["db", "stats"],
        &["serve", "--demo", "--listen", "127.0.0.1:0"],
    ] {
        judge(
            "postgres",
            failing(folder.path(), "", &[("A2AD__DATABASE__URL", &url)], command),
        );
    }
    assert!(shown.is_empty(), "{shown:#?}");
    println!("{tried} errors about the configuration, no secret in any");
}

#[test]
fn no_error_about_a_key_file_shows_the_key() {
    let files = crate::mtls_sockets::Files::new();
    let folder = files.path("");
    let key = std::fs::read(files.path("server.key")).unwrap();
    let canary = Canary::of_pem("server.key", &key);
    let broken = String::from_utf8(key.clone())
        .unwrap()
        .replace("-----END", "----END");
    files.write("broken.key", &broken);
    let cases = [
        ("server.key", "server.key", "ca.pem"),
        ("server.pem", "server.pem", "ca.pem"),
        ("server.pem", "broken.key", "ca.pem"),
        ("server.pem", "server.key", "server.key"),
        ("broken.key", "server.key", "ca.pem"),
        ("server.pem", "server.key", "broken.key"),
    ];
    for (cert, key, ca) in cases {
        let config =
            format!("[tls]\ncert_file = \"{cert}\"\nkey_file = \"{key}\"\nclient_ca_file = \"{ca}\"\n");
        let serve = ["serve", "--config", "bad.toml", "--listen", "127.0.0.1:0"];
        let said = failing(&folder, &config, &[("A2AD__LOG__FILTER", "trace")], &serve);
        let form = found_in(&Haystack::new(&said), &canary);
        assert!(
            form.is_none(),
            "{cert} {key} {ca}: {}",
            String::from_utf8_lossy(&said)
        );
    }
    println!("{} errors about key files, no key in any", cases.len());
}
