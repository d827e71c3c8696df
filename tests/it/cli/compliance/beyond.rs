//! What the specification leaves open, and this program promises: where secrets go, and that nothing is asked for ever.

use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::site::{Reply, Site, card, task};
use super::world::World;

#[test]
fn parameters_do_not_follow_a_card_to_the_extended_one() {
    let world = World::new();
    let hands = world.user();
    let answer =
        |_: &super::site::Asked, base: &str| Reply::Json(200, card(base, &json!({"name": "Extended"})));
    let other = Site::agent(json!({}), answer);
    let at = |urls: &[&str]| {
        let interfaces: Vec<_> = urls
            .iter()
            .map(|url| json!({"url": url, "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"}))
            .collect();
        let more = json!({"capabilities": {"extendedAgentCard": true}, "supportedInterfaces": interfaces});
        Site::agent(more, answer)
    };
    let (elsewhere, both) = (other.url(), at(&["BASE", &other.url()]));
    let (own, leads) = (both.url(), at(&[&elsewhere]).url());
    let parameter = "x-key:secret-4714";
    let get = |url| ["card", "get", "-a", url, "--extended", "--svc-param", parameter];
    // Of two interfaces that are as good, the one of the host that the user named.
    hands.good(&get(&own)).unwrap();
    let asked = both.asked("/extendedAgentCard");
    assert_eq!(asked[0].header("x-key"), Some("secret-4714"));

    let failed = hands.fails(&get(&leads), "A2ACLI_ERR_USAGE", 2).unwrap();
    let hint = failed["hint"].as_str().unwrap();
    assert!(hint.contains("--credential-origin"), "{hint}");
    assert!(other.all().is_empty(), "{:?}", other.all());
    let allowed = [&get(&leads)[..], &["--credential-origin", &elsewhere]].concat();
    hands.good(&allowed).unwrap();
    let asked = other.asked("/extendedAgentCard");
    assert_eq!(asked[0].header("x-key"), Some("secret-4714"));
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
