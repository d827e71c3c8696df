//! The defaults, each with the option that overrides it.

use serde_json::json;

use super::super::site::{Reply, Site, task};
use super::super::world::{Checked, World, ensure, identified};
use super::{auth, sending, transport};

/// All of them, as the help shows them.
pub fn all(world: &World) -> Checked {
    for (_, _, check) in super::super::registry::DEFAULTS {
        check(world)?;
    }
    super::tools::help(world)
}

pub fn transport_order(world: &World) -> Checked {
    transport::by_card(world)?;
    transport::by_preference(world)
}

pub fn waiting(world: &World) -> Checked {
    sending::waits(world)?;
    let mut hands = world.user();
    hands
        .user
        .environment
        .push(("A2ACLI_ASYNC".into(), "true".into()));
    let agent = world.agent("bench");
    let started = hands.good(&["send", "-a", &agent, "hold:600"])?.out;
    ensure!(identified(&started)?.2 != "COMPLETED", "{started}");
    let waited = hands.good(&["send", "-a", &agent, "--wait", "hold:1"])?.out;
    ensure!(identified(&waited)?.2 == "COMPLETED", "{waited}");
    Ok(())
}

pub fn output_text(world: &World) -> Checked {
    let mut hands = world.user();
    let send = ["send", "-a", &world.agent("echo"), "hello"];
    ensure!(hands.good(&send)?.out.starts_with("Task: "), "not text");
    hands.json(&send)?;
    hands
        .user
        .environment
        .push(("A2ACLI_OUTPUT".into(), "json".into()));
    ensure!(
        hands.good(&send)?.out.starts_with('{'),
        "not JSON by the environment"
    );
    let text = hands.good(&[&send[..], &["--output", "text"]].concat())?.out;
    ensure!(text.starts_with("Task: "), "the option does not win");
    Ok(())
}

pub fn concise(world: &World) -> Checked {
    let hands = world.user();
    let send = ["send", "-a", &world.agent("echo"), "hello"];
    let short = hands.good(&send)?.out;
    let long = hands.good(&[&send[..], &["--verbose"]].concat())?.out;
    ensure!(
        !short.contains("Artifact id: ") && long.contains("Artifact id: "),
        "{short} {long}"
    );
    Ok(())
}

pub fn version(world: &World) -> Checked {
    transport::version(world)?;
    let site = Site::agent(json!({}), |_, _| {
        Reply::Json(200, json!({"task": task("t", "COMPLETED")}))
    });
    let interface = json!([{"url": site.url(), "protocolBinding": "HTTP+JSON", "protocolVersion": "1.1"}]);
    let hands = world.user();
    let card = super::super::site::card(&site.url(), &json!({ "supportedInterfaces": interface }));
    std::fs::write(hands.user.work().join("card.json"), card.to_string()).unwrap();
    hands.good(&["send", "-a", "./card.json", "--a2a-version", "1.1", "hello"])?;
    let asked = site.asked("/message:send").pop();
    let named = asked.as_ref().and_then(|asked| asked.header("a2a-version"));
    ensure!(named == Some("1.1"), "{named:?}");
    Ok(())
}

pub fn tls(world: &World) -> Checked {
    auth::insecure(world)
}
