//! Agent cards.

use a2ad::signature::{SigningKey, jwk_set, sign};
use serde_json::{Value, json};

use super::super::site::{Reply, Site, card, task};
use super::super::world::{Checked, World, ensure, field};

/// From a host, a URL and files; and what is called is what the card says.
pub fn get(world: &World) -> Checked {
    let hands = world.user();
    let host = world.server.addr.to_string();
    let url = format!("http://{host}/.well-known/agent-card.json");
    let document = hands.json(&["card", "get", "-a", &host])?;
    ensure!(document["name"] == "Echo", "{document}");
    let file = hands.user.work().join("card.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let file = file.display().to_string();
    let as_url = format!("file://{file}");
    for reference in [&*host, &world.server.url(), &url, &file, &as_url, "./card.json"] {
        let found = hands.json(&["card", "get", "-a", reference])?;
        ensure!(found == document, "{reference}: {found}");
        hands.good(&["send", "-a", reference, "hello"])?;
    }
    let text = hands.good(&["card", "get", "-a", &host])?.out;
    for label in ["Name", "Version", "Streaming", "Interface", "Skill"] {
        field(&text, label)?;
    }
    Ok(())
}

pub fn validate(world: &World) -> Checked {
    let hands = world.user();
    hands.good(&["card", "get", "-a", &world.agent("echo"), "--validate"])?;
    let file = hands.user.work().join("bad.json");
    for (broken, at) in [
        ("name", json!(null)),
        ("supportedInterfaces", json!([])),
        ("version", json!(null)),
    ] {
        let mut bad = card("http://127.0.0.1:1", &json!({}));
        bad[broken] = at;
        std::fs::write(&file, bad.to_string()).unwrap();
        let error = hands.fails(
            &["card", "get", "-a", "./bad.json", "--validate"],
            "A2ACLI_ERR_CARD_INVALID",
            1,
        )?;
        let told = error.to_string();
        ensure!(told.contains(broken), "{broken} is not named: {told}");
    }
    Ok(())
}

/// Only with a scheme that the public card has, and a credential for it.
pub fn extended(world: &World) -> Checked {
    let mut hands = world.user();
    let found = hands.json(&["card", "get", "-a", &world.agent("conformance"), "--extended"]);
    // Our server asks nobody who they are here: the card is shown.
    ensure!(found.is_ok(), "{found:?}");
    let site = Site::agent(
        json!({
            "capabilities": {"extendedAgentCard": true},
            "securitySchemes": {"token": {"httpAuthSecurityScheme": {"scheme": "Bearer"}}},
            "securityRequirements": [{"schemes": {"token": {"list": []}}}],
        }),
        |asked, base| match asked.header("authorization") {
            Some("Bearer t-1") => Reply::Json(200, card(base, &json!({"name": "Extended"}))),
            _ => Reply::Json(
                401,
                json!({"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "no"}}),
            ),
        },
    );
    let get = ["card", "get", "-a", &site.url(), "--extended"];
    hands.fails(&get, "A2ACLI_ERR_CREDENTIALS_MISSING", 4)?;
    ensure!(
        site.asked("/extendedAgentCard").is_empty(),
        "it was asked for without a credential"
    );
    hands
        .user
        .environment
        .push(("A2ACLI_BEARER".into(), "t-1".into()));
    let shown = hands.json(&get)?;
    ensure!(shown["name"] == "Extended", "{shown}");
    let public = site.asked("/.well-known/agent-card.json");
    ensure!(
        public.iter().all(|asked| asked.header("authorization").is_none()),
        "the public card was asked for with a credential"
    );
    let none = Site::agent(json!({}), |_, _| Reply::Json(200, json!({})));
    let refused = hands.run(&["card", "get", "-a", &none.url(), "--extended"]);
    ensure!(
        refused.code == 1,
        "a card that declares no extended one: {}",
        refused.out
    );
    ensure!(
        none.asked("/extendedAgentCard").is_empty(),
        "it was asked for all the same"
    );
    Ok(())
}

pub fn signature(world: &World) -> Checked {
    let hands = world.user();
    let key = SigningKey::of_seed(&[7; 32]).unwrap();
    let other = SigningKey::of_seed(&[8; 32]).unwrap();
    let unsigned: a2ad::pb::AgentCard =
        a2ad::pb::json::from_str(&card("http://127.0.0.1:1", &json!({})).to_string()).unwrap();
    let mut signed = unsigned.clone();
    signed.signatures.push(sign(&unsigned, &key).unwrap());
    let mut forged = signed.clone();
    forged.name = "Somebody else".into();
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(hands.user.work().join(name), bytes).unwrap();
    for (name, card) in [
        ("plain.json", &unsigned),
        ("signed.json", &signed),
        ("forged.json", &forged),
    ] {
        write(name, a2ad::pb::json::to_vec(card).unwrap());
    }
    write("keys.json", jwk_set([&key]).into_bytes());
    write("other.json", jwk_set([&other]).into_bytes());
    for (card, keys, outcome) in [
        ("./signed.json", "keys.json", "verified"),
        ("./signed.json", "other.json", "unverifiable"),
        ("./forged.json", "keys.json", "unverifiable"),
        ("./plain.json", "keys.json", "absent"),
    ] {
        let run = hands.good(&["card", "get", "-a", card, "--verify", keys])?;
        let told = field(&run.out, "Signature")?;
        ensure!(told.starts_with(outcome), "{card} {keys}: {told}");
    }
    let unasked = hands.good(&["card", "get", "-a", "./signed.json"])?;
    ensure!(
        field(&unasked.out, "Signature")?.starts_with("unverifiable"),
        "{}",
        unasked.out
    );
    Ok(())
}

/// A catalog's entry wherever a reference goes.
pub fn catalog(world: &World) -> Checked {
    let hands = world.user();
    let url = world.server.url();
    let catalog = json!({"agents": [
        {"name": "first", "url": format!("{url}/echo/.well-known/agent-card.json")},
        {"name": "second", "url": format!("{url}/conformance/.well-known/agent-card.json")},
    ]});
    std::fs::write(hands.user.work().join("catalog.json"), catalog.to_string()).unwrap();
    for (entry, name) in [("first", "Echo"), ("second", "Conformance")] {
        let reference = format!("./catalog.json#{entry}");
        let card = hands.json(&["card", "get", "-a", &reference])?;
        ensure!(
            card["name"].as_str().is_some_and(|found| found.contains(name)),
            "{entry}: {}",
            card["name"]
        );
        hands.good(&["send", "-a", &reference, "hello"])?;
    }
    let missing = hands.run(&["card", "get", "-a", "./catalog.json#third", "-o", "json"]);
    ensure!(missing.code == 3, "{} {}", missing.code, missing.out);
    Ok(())
}

/// What the card does not declare is not called.
pub fn capabilities(world: &World) -> Checked {
    let hands = world.user();
    let site = Site::agent(json!({}), |asked, _| match asked.path() {
        "/message:send" => Reply::Json(200, json!({"task": task("t-1", "COMPLETED")})),
        "/tasks/t-1" => Reply::Json(200, task("t-1", "COMPLETED")),
        _ => Reply::Json(500, json!({})),
    });
    let url = site.url();
    hands.good(&["send", "-a", &url, "--stream", "hello"])?;
    let push = [
        "task",
        "push-config",
        "create",
        "-a",
        &url,
        "t-1",
        "--url",
        "https://example.com/",
    ];
    hands
        .fails(&push, "PushNotificationNotSupportedError", 1)
        .or_else(|_| hands.fails(&push, "UnsupportedOperationError", 1))?;
    let card = hands.run(&["card", "get", "-a", &url, "--extended"]);
    ensure!(card.code == 1, "{}", card.out);
    let wrong: Vec<String> = site
        .all()
        .into_iter()
        .map(|asked| asked.target)
        .filter(|target| target.contains(":stream") || target.contains("push") || target.contains("extended"))
        .collect();
    ensure!(wrong.is_empty(), "asked for all the same: {wrong:?}");
    Ok(())
}

/// Extensions that the card requires are declared with every call.
pub fn extensions(world: &World) -> Checked {
    let hands = world.user();
    let uri = "https://extensions.example.com/traced";
    let site = Site::agent(
        json!({"capabilities": {"extensions": [{"uri": uri, "required": true}]}}),
        |_, _| Reply::Json(200, json!({"task": task("t-1", "COMPLETED")})),
    );
    // What a user has not agreed to is not declared.
    let silent = hands.run(&["send", "-a", &site.url(), "hello", "-o", "json"]);
    let asked = site.asked("/message:send");
    ensure!(
        asked.iter().all(|one| one.header("a2a-extensions").is_none()),
        "declared without being told to: {}",
        silent.out
    );
    hands.good(&["send", "-a", &site.url(), "--extension", uri, "hello"])?;
    let asked = site.asked("/message:send");
    let declared = asked.last().and_then(|one| one.header("a2a-extensions"));
    ensure!(declared == Some(uri), "{declared:?}");
    Ok(())
}

/// A card that is none, and one that is not there.
pub fn broken(world: &World) -> Result<Value, String> {
    let hands = world.user();
    std::fs::write(hands.user.work().join("bad.json"), "{\"name\":1}").unwrap();
    hands.fails(&["card", "get", "-a", "./bad.json"], "A2ACLI_ERR_CARD_INVALID", 1)
}
