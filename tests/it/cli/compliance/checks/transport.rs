//! Interfaces and versions.

use serde_json::json;

use super::super::site::{Reply, Site, task};
use super::super::world::{Checked, World, ensure};

fn agent(interfaces: serde_json::Value) -> Site {
    Site::agent(
        json!({ "supportedInterfaces": interfaces }),
        |asked, _| match asked.path() {
            "/rpc" => {
                let id = asked.json()["id"].clone();
                Reply::Json(
                    200,
                    json!({"jsonrpc": "2.0", "id": id, "result": {"task": task("t-1", "COMPLETED")}}),
                )
            }
            path if path.ends_with("/message:send") => {
                Reply::Json(200, json!({"task": task("t-1", "COMPLETED")}))
            }
            _ => Reply::Json(404, json!({})),
        },
    )
}

fn interface(path: &str, binding: &str, version: &str) -> serde_json::Value {
    json!({"url": format!("BASE{path}"), "protocolBinding": binding, "protocolVersion": version})
}

/// The first one of the card that is known, in whatever order.
pub fn by_card(world: &World) -> Checked {
    let hands = world.user();
    let rpc = interface("/rpc", "JSONRPC", "1.0");
    let rest = interface("/rest", "HTTP+JSON", "1.0");
    let other = interface("/other", "CARRIER-PIGEON", "1.0");
    for (interfaces, path) in [
        (json!([rpc, rest]), "/rpc"),
        (json!([rest, rpc]), "/rest/message:send"),
        (json!([other, rpc, rest]), "/rpc"),
    ] {
        let site = agent(interfaces);
        hands.good(&["send", "-a", &site.url(), "hello"])?;
        ensure!(
            site.asked(path).len() == 1,
            "{path} was not asked: {:?}",
            site.all()
        );
    }
    Ok(())
}

/// The user's order before the card's; what the card does not have is passed over.
pub fn by_preference(world: &World) -> Checked {
    let hands = world.user();
    let both = || {
        agent(json!([
            interface("/rpc", "JSONRPC", "1.0"),
            interface("/rest", "HTTP+JSON", "1.0")
        ]))
    };
    for (preferred, path) in [
        (&["http+json"][..], "/rest/message:send"),
        (&["grpc", "http+json", "jsonrpc"], "/rest/message:send"),
        (&["jsonrpc", "http+json"], "/rpc"),
        (&["grpc"], "/rpc"),
        (&[], "/rpc"),
    ] {
        let site = both();
        let url = site.url();
        let mut arguments = vec!["send", "-a", &url, "hello"];
        for binding in preferred {
            arguments.extend(["--transport", binding]);
        }
        hands.good(&arguments)?;
        ensure!(site.asked(path).len() == 1, "{preferred:?}: {path} was not asked");
    }
    Ok(())
}

/// The tenant of the interface, as it stands there, and none where none stands.
pub fn tenant(world: &World) -> Checked {
    let hands = world.user();
    let mut with = interface("/rpc", "JSONRPC", "1.0");
    with["tenant"] = json!("team-1");
    let site = agent(json!([with]));
    hands.good(&["send", "-a", &site.url(), "hello"])?;
    let asked = site
        .asked("/rpc")
        .pop()
        .map(|asked| asked.json())
        .unwrap_or_default();
    ensure!(asked["params"]["tenant"] == "team-1", "{asked}");
    let site = agent(json!([interface("/rpc", "JSONRPC", "1.0")]));
    hands.good(&["send", "-a", &site.url(), "hello"])?;
    let asked = site
        .asked("/rpc")
        .pop()
        .map(|asked| asked.json())
        .unwrap_or_default();
    ensure!(asked["params"].get("tenant").is_none(), "{asked}");
    // Our own server tells its agents apart by it, on all bindings.
    for transport in super::super::world::TRANSPORTS {
        hands.good(&[
            "send",
            "-a",
            &world.agent("conformance"),
            "--transport",
            transport,
            "tck-complete-task",
        ])?;
    }
    Ok(())
}

/// Named with every call, never one before 1.0, never another than the one that was asked for.
pub fn version(world: &World) -> Checked {
    let hands = world.user();
    for interfaces in [
        json!([interface("/rpc", "JSONRPC", "1.0")]),
        json!([interface("/rest", "HTTP+JSON", "1.0")]),
    ] {
        let site = agent(interfaces);
        hands.good(&["send", "-a", &site.url(), "hello"])?;
        let calls: Vec<_> = site
            .all()
            .into_iter()
            .filter(|asked| asked.method == "POST")
            .collect();
        ensure!(
            !calls.is_empty()
                && calls
                    .iter()
                    .all(|asked| asked.header("a2a-version") == Some("1.0")),
            "{calls:?}"
        );
    }
    let old = agent(json!([interface("/rpc", "JSONRPC", "0.3")]));
    let run = hands.run(&["send", "-a", &old.url(), "hello"]);
    ensure!(
        run.code != 0 && old.asked("/rpc").is_empty(),
        "0.3 was spoken: {}",
        run.out
    );
    let agent = world.agent("echo");
    hands.fails(
        &["send", "-a", &agent, "--a2a-version", "0.3", "hello"],
        "A2ACLI_ERR_USAGE",
        2,
    )?;
    for transport in super::super::world::TRANSPORTS {
        let send = [
            "send",
            "-a",
            &agent,
            "--transport",
            transport,
            "--a2a-version",
            "1.9",
            "hello",
        ];
        hands.fails(&send, "VersionNotSupportedError", 1)?;
    }
    Ok(())
}

pub fn several(world: &World) -> Checked {
    let hands = world.user();
    for (transport, code) in [
        ("jsonrpc", json!(-32001)),
        ("http+json", json!(404)),
        ("grpc", json!("NOT_FOUND")),
    ] {
        let get = [
            "task",
            "get",
            "-a",
            &world.agent("echo"),
            "--transport",
            transport,
            "none",
        ];
        let error = hands.fails(&get, "TaskNotFoundError", 1)?;
        // Each binding has a code of its own for it: what was asked for was used.
        ensure!(error["a2aCode"] == code, "{transport}: {error}");
    }
    Ok(())
}

pub fn grpc(world: &World) -> Checked {
    let hands = world.user();
    let agent = world.agent("conformance");
    let by = ["-a", &*agent, "--transport", "grpc"];
    let run = hands.good(&[&["send", "--debug"][..], &by, &["tck-artifact-file"]].concat())?;
    ensure!(run.err.contains("GRPC"), "{}", run.err);
    let streamed = hands.good(&[&["send", "--stream"][..], &by, &["tck-stream-001"]].concat())?;
    ensure!(streamed.out.contains("COMPLETED"), "{}", streamed.out);
    Ok(())
}
