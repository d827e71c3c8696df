//! What the specification leaves open, and this program promises: where secrets go, and that nothing is asked for ever.

use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::site::{Reply, Site, card, task};
use super::world::World;

/// An agent that answers sends and extended cards, with interfaces at these URLs; `BASE` is its own.
fn with_interfaces(urls: &[&str]) -> Site {
    let interface =
        |url: &&str| json!({"url": url, "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"});
    let interfaces: Vec<Value> = urls.iter().map(interface).collect();
    Site::agent(
        json!({"capabilities": {"extendedAgentCard": true}, "supportedInterfaces": interfaces}),
        |asked, base| match asked.path() {
            "/message:send" => Reply::Json(200, json!({"task": task("t-1", "COMPLETED")})),
            _ => Reply::Json(200, card(base, &json!({"name": "Extended"}))),
        },
    )
}

/// Whether a site was shown the parameter, in whatever was asked of it.
fn is_shown(site: &Site) -> bool {
    let all = site.all();
    all.iter()
        .any(|asked| format!("{asked:?}").contains("secret-4714"))
}

#[test]
fn parameters_go_to_no_origin_that_only_a_card_names() {
    let world = World::new();
    let hands = world.user();
    let (other, third) = (with_interfaces(&["BASE"]), with_interfaces(&["BASE"]));
    let (elsewhere, beyond) = (other.url(), third.url());
    for command in [&["send", "hello"][..], &["card", "get", "--extended"]] {
        // Wherever the card's own interface stands: it is the one that is used.
        for urls in [
            &["BASE", &elsewhere][..],
            &[&elsewhere, "BASE"],
            &[&beyond, &elsewhere, "BASE"],
        ] {
            let leads = with_interfaces(urls);
            let url = leads.url();
            let to = ["-a", &url, "--svc-param", "x-key:secret-4714"];
            hands.good(&[command, &to].concat()).unwrap();
            assert!(is_shown(&leads), "{urls:?}");
            assert!(other.all().is_empty() && third.all().is_empty(), "{urls:?}");
        }
        let leads = with_interfaces(&[&beyond, &elsewhere]);
        let url = leads.url();
        let to = ["-a", &url, "--svc-param", "x-key:secret-4714"];
        let failed = hands
            .fails(&[command, &to].concat(), "A2ACLI_ERR_USAGE", 2)
            .unwrap();
        let hint = failed["hint"].as_str().unwrap();
        assert!(hint.contains(&format!("--credential-origin {beyond}")), "{hint}");
        assert!(other.all().is_empty() && third.all().is_empty());
    }
}

#[test]
fn parameters_go_to_the_origin_that_the_user_allows_wherever_it_stands_in_the_card() {
    let world = World::new();
    let hands = world.user();
    for order in 0..2 {
        let (other, third) = (with_interfaces(&["BASE"]), with_interfaces(&["BASE"]));
        let (elsewhere, beyond) = (other.url(), third.url());
        let urls = [[&*beyond, &*elsewhere], [&*elsewhere, &*beyond]][order];
        let leads = with_interfaces(&urls);
        let url = leads.url();
        let to = [
            "-a",
            &url,
            "--svc-param",
            "x-key:secret-4714",
            "--credential-origin",
            &elsewhere,
        ];
        for command in [&["send", "hello"][..], &["card", "get", "--extended"]] {
            hands.good(&[command, &to].concat()).unwrap();
        }
        assert!(is_shown(&other), "{urls:?}");
        assert!(third.all().is_empty(), "{urls:?}: {:?}", third.all());
        assert!(!is_shown(&leads), "the card was asked for with it");
    }
    let wrong = [
        "send",
        "hello",
        "-a",
        "127.0.0.1:1",
        "--credential-origin",
        "no origin",
    ];
    hands.fails(&wrong, "A2ACLI_ERR_USAGE", 2).unwrap();
}

/// Checks are told of the binding that they were made by, and of no other.
#[test]
fn conformance_tells_of_no_binding_what_another_did() {
    let world = World::new();
    let hands = world.user();
    let interface = |binding: &str, version: &str| json!({"url": "BASE", "protocolBinding": binding, "protocolVersion": version});
    let site = Site::agent(
        json!({"supportedInterfaces": [interface("JSONRPC", "0.3"), interface("HTTP+JSON", "1.0")]}),
        |_, _| Reply::Json(200, json!({"task": task("t-1", "COMPLETED")})),
    );
    let report = hands.json(&["conformance", "-a", &site.url()]).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let on = |name: &str| {
        checks
            .iter()
            .filter(|check| check["on"] == name)
            .collect::<Vec<_>>()
    };
    let rpc = on("JSONRPC");
    assert_eq!(
        (rpc.len(), &rpc[0]["outcome"]),
        (1, &json!("skipped")),
        "{report}"
    );
    assert!(
        rpc[0]["reason"].as_str().unwrap().contains("HTTP+JSON"),
        "{report}"
    );
    assert_eq!(on("HTTP+JSON").len(), 14, "{report}");
}

#[test]
fn a_key_goes_into_a_header_that_the_user_allows() {
    let world = World::new();
    let mut hands = world.user();
    let environment = &mut hands.user.environment;
    environment.push(("A2ACLI_API_KEY".into(), "secret-key-4712".into()));
    let site = Site::agent(
        json!({
            "securitySchemes": {"k": {"apiKeySecurityScheme": {"location": "header", "name": "X-Other-Key"}}},
            "securityRequirements": [{"schemes": {"k": {"list": []}}}],
        }),
        |_, _| Reply::Json(200, json!({"task": task("t-1", "COMPLETED")})),
    );
    let url = site.url();
    let send = ["send", "-a", &url, "hello"];
    let failed = hands.fails(&send, "A2ACLI_ERR_CREDENTIALS_MISSING", 4).unwrap();
    let hint = failed["hint"].as_str().unwrap();
    assert!(hint.contains("--api-key-header x-other-key"), "{hint}");
    assert!(site.asked("/message:send").is_empty());
    let allowed = [&send[..], &["--api-key-header", "x-other-key"]].concat();
    hands.good(&allowed).unwrap();
    let asked = site.asked("/message:send");
    assert_eq!(asked[0].header("x-other-key"), Some("secret-key-4712"));
}

#[test]
fn a_list_that_never_ends_is_left_off() {
    let world = World::new();
    let hands = world.user();
    let count = AtomicUsize::new(0);
    let site = Site::agent(json!({}), move |_, _| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let tasks = json!([task("t-1", "WORKING")]);
        Reply::Json(
            200,
            json!({"tasks": tasks, "nextPageToken": format!("page-{number}")}),
        )
    });
    let list = ["task", "list", "-a", &site.url(), "--pages-max", "3"];
    let all = hands.json(&list).unwrap();
    assert_eq!(all["tasks"].as_array().map(Vec::len), Some(3), "{all}");
    assert_eq!(all["nextPageToken"], "page-2");
    let run = hands.good(&list).unwrap();
    assert!(run.err.contains("--page-token page-5"), "{}", run.err);
}

#[test]
fn mistakes_are_documents_wherever_json_is_asked_for() {
    let world = World::new();
    let hands = world.user();
    for line in [
        &["-o", "json", "--nonsense"][..],
        &["serve", "--nonsense", "-o", "json"],
        &["send", "--nonsense", "-ojson"],
        &["--output=json", "send", "hello"],
    ] {
        let run = hands.run(line);
        let document: serde_json::Value = serde_json::from_str(&run.out).unwrap();
        assert_eq!(document["error"]["code"], "A2ACLI_ERR_USAGE", "{line:?}");
        assert_eq!(run.code, 2, "{line:?}");
    }
}

#[test]
fn standard_error_that_nobody_reads_is_no_failure() {
    let world = World::new();
    let hands = world.user();
    let mut child = hands
        .command(&["send", "-a", "127.0.0.1:1", "hello"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(3));
}

#[test]
fn the_way_to_go_on_has_all_that_led_to_the_agent() {
    let world = World::new();
    let hands = world.user();
    let site = Site::agent(json!({}), |_, _| {
        Reply::Json(200, json!({"task": task("t-1", "INPUT_REQUIRED")}))
    });
    let file = hands.user.work().join("settings");
    std::fs::write(&file, format!("A2ACLI_AGENT_CARD={}\n", site.url())).unwrap();
    let origin = ["--credential-origin", "https://agents.example.com"];
    let send = [&["send", "--config", "settings", "hello"][..], &origin].concat();
    let run = hands.good(&send).unwrap();
    for word in ["--config settings", &origin.join(" ")] {
        assert!(run.out.contains(word), "{word}: {}", run.out);
    }
}
