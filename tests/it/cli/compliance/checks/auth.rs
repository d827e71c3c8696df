//! Credentials that the caller has.

use serde_json::{Value, json};

use super::super::site::{Reply, Site, task};
use super::super::world::{Checked, Hands, TRANSPORTS, World, ensure};
use crate::binary::Server;

const TOKEN: &str = "secret-token-4711";
const KEY: &str = "secret-key-4712";
const PARAMETER: &str = "secret-parameter-4713";

/// An agent that says this of callers.
fn asking(schemes: Value) -> Site {
    let required: Vec<Value> = schemes
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| json!({"schemes": {name: {"list": []}}}))
        .collect();
    let more = json!({"securitySchemes": schemes, "securityRequirements": required});
    Site::agent(more, |_, _| {
        Reply::Json(200, json!({"task": task("t-1", "COMPLETED")}))
    })
}

fn bearer() -> Value {
    json!({"b": {"httpAuthSecurityScheme": {"scheme": "Bearer"}}})
}

fn api_key(location: &str, name: &str) -> Value {
    json!({"k": {"apiKeySecurityScheme": {"location": location, "name": name}}})
}

/// As the card's scheme says, from options and from the environment; parameters beside them.
pub fn attached(world: &World) -> Checked {
    let site = asking(bearer());
    let url = site.url();
    let shown = |site: &Site, name: &str| {
        let asked = site.asked("/message:send").pop();
        asked.and_then(|asked| asked.header(name).map(str::to_owned))
    };
    let mut hands = world.user();
    hands.fails(
        &["send", "-a", &url, "hello"],
        "A2ACLI_ERR_CREDENTIALS_MISSING",
        4,
    )?;
    hands.good(&["send", "-a", &url, "--bearer", TOKEN, "hello"])?;
    let expected = Some(format!("Bearer {TOKEN}"));
    ensure!(shown(&site, "authorization") == expected, "{:?}", site.all());
    hands
        .user
        .environment
        .push(("A2ACLI_BEARER".into(), TOKEN.into()));
    hands.good(&["send", "-a", &url, "hello"])?;
    ensure!(
        shown(&site, "authorization") == expected,
        "not from the environment"
    );
    let site = asking(api_key("header", "x-api-key"));
    hands.user.environment = vec![("A2ACLI_API_KEY".into(), KEY.into())];
    hands.good(&[
        "send",
        "-a",
        &site.url(),
        "--svc-param",
        &format!("x-more:{PARAMETER}"),
        "hello",
    ])?;
    ensure!(
        shown(&site, "x-api-key").as_deref() == Some(KEY),
        "{:?}",
        site.all()
    );
    ensure!(
        shown(&site, "x-more").as_deref() == Some(PARAMETER),
        "{:?}",
        site.all()
    );
    let site = asking(api_key("query", "key"));
    hands.good(&["send", "-a", &site.url(), "hello"])?;
    let asked = site.asked("/message:send").pop().map(|asked| asked.target);
    ensure!(
        asked
            .as_deref()
            .is_some_and(|target| target.contains(&format!("key={KEY}"))),
        "{asked:?}"
    );
    let help = hands.good(&["send", "--help"])?.out;
    let line = help.split("--svc-param").nth(1).unwrap_or_default();
    let about = line.lines().take(3).collect::<String>().to_lowercase();
    ensure!(
        !about.contains("credential") && !about.contains("auth"),
        "{about}"
    );
    Ok(())
}

/// A variable for each credential, a word on who sees arguments, and the option before the variable.
pub fn environment(world: &World) -> Checked {
    let mut hands = world.user();
    let help = hands.good(&["send", "--help"])?.out;
    for word in ["A2ACLI_BEARER", "A2ACLI_API_KEY"] {
        ensure!(help.contains(word), "{word} is not in the help");
    }
    ensure!(
        help.contains("other users see") || help.contains("seen by others"),
        "{help}"
    );
    let whole = hands.good(&["help", "send"])?.out;
    ensure!(
        whole.contains("history"),
        "nothing of the shell's history: {whole}"
    );
    let site = asking(bearer());
    hands
        .user
        .environment
        .push(("A2ACLI_BEARER".into(), "lower".into()));
    hands.good(&["send", "-a", &site.url(), "--bearer", "higher", "hello"])?;
    let asked = site.asked("/message:send").pop();
    let shown = asked.as_ref().and_then(|asked| asked.header("authorization"));
    ensure!(shown == Some("Bearer higher"), "{shown:?}");
    Ok(())
}

/// A server with TLS, and the files of its callers in the folder of the user.
fn tls(hands: &Hands<'_>) -> Result<Server, String> {
    hands.good(&["certs", "dev", "certs"])?;
    let folder = hands.user.work();
    Ok(Server::start_in(
        &folder,
        &[
            "--database",
            "memory",
            "--set",
            "tls.cert_file=certs/server.pem",
            "--set",
            "tls.key_file=certs/server.key",
            "--set",
            "tls.client_ca_file=certs/ca.pem",
            "--set",
            "access.default=allow",
        ],
    ))
}

const CERTIFICATE: [&str; 4] = ["--cert", "certs/client.pem", "--key", "certs/client.key"];

/// Warned of, with and without a credential; never without being told to.
pub fn insecure(world: &World) -> Checked {
    let mut hands = world.user();
    let server = tls(&hands)?;
    let agent = format!("https://localhost:{}", server.addr.port());
    std::fs::write(
        hands.user.work().join("other.pem"),
        std::fs::read(hands.user.work().join("certs/client.pem")).unwrap(),
    )
    .unwrap();
    hands
        .user
        .environment
        .push(("A2ACLI_BEARER".into(), TOKEN.into()));
    let checked = hands.run(&[&["send", "-a", &agent, "hello"][..], &["-o", "json"]].concat());
    ensure!(
        checked.code == 3,
        "an unknown authority is taken: {}{}",
        checked.out,
        checked.err
    );
    ensure!(!checked.err.contains("insecure"), "{}", checked.err);
    let run = hands.run(
        &[
            &["send", "-a", &agent, "--insecure", "--ca", "certs/ca.pem"][..],
            &CERTIFICATE,
            &["hello"],
        ]
        .concat(),
    );
    ensure!(run.code == 0, "{}{}", run.out, run.err);
    let warnings = run.err.lines().filter(|line| line.starts_with("warning")).count();
    ensure!(
        warnings >= 2 && run.err.contains("credential"),
        "too few warnings: {}",
        run.err
    );
    Ok(())
}

/// Not in what --debug and --verbose show, on any binding, not in failures, not in the settings.
pub fn redacted(world: &World) -> Checked {
    let mut hands = world.user();
    let parameter = format!("x-anything:{PARAMETER}");
    let agent = world.agent("echo");
    let mut runs = Vec::new();
    for (variable, secret) in [("A2ACLI_BEARER", TOKEN), ("A2ACLI_API_KEY", KEY)] {
        hands.user.environment = vec![(variable.into(), secret.into())];
        let site = match variable {
            "A2ACLI_BEARER" => asking(bearer()),
            _ => asking(api_key("query", "key")),
        };
        let url = site.url();
        for more in [
            &["--debug"][..],
            &["--debug", "--verbose"],
            &["--debug", "--stream", "-o", "json"],
        ] {
            let send = ["send", "-a", &url, "--svc-param", &parameter, "hello"];
            let run = hands.run(&[&send[..], more].concat());
            ensure!(
                run.err.contains("debug: > Send"),
                "nothing of the wire: {}",
                run.err
            );
            runs.push(run);
        }
        ensure!(!site.asked("/message:send").is_empty(), "nothing was sent");
        for transport in TRANSPORTS {
            let send = [
                "send",
                "-a",
                &agent,
                "--svc-param",
                &parameter,
                "--transport",
                transport,
                "--debug",
                "hi",
            ];
            runs.push(hands.good(&send)?);
        }
        runs.push(hands.good(&["config", "show", "-o", "json"])?);
        runs.push(hands.run(&["send", "-a", "127.0.0.1:1", "--debug", "hello"]));
    }
    for run in runs {
        for secret in [TOKEN, KEY, PARAMETER] {
            ensure!(
                !run.out.contains(secret) && !run.err.contains(secret),
                "{secret} in {}{}",
                run.out,
                run.err
            );
        }
    }
    Ok(())
}

/// The extended card is not asked for with a credential that no scheme of the public card takes.
pub fn not_for_cards(world: &World) -> Checked {
    let mut hands = world.user();
    hands.user.environment.push(("A2ACLI_API_KEY".into(), KEY.into()));
    let schemes = [json!({}), bearer(), api_key("header", "x-other-key")];
    for scheme in schemes {
        let site = Site::agent(
            json!({"capabilities": {"extendedAgentCard": true}, "securitySchemes": scheme}),
            |_, base| Reply::Json(200, super::super::site::card(base, &json!({"name": "Extended"}))),
        );
        let run = hands.run(&["card", "get", "-a", &site.url(), "--extended", "-o", "json"]);
        for asked in site.all() {
            let whole = format!("{asked:?}");
            ensure!(
                !whole.contains(KEY),
                "{scheme}: it was shown: {whole} {}",
                run.out
            );
        }
    }
    Ok(())
}

pub fn certificates(world: &World) -> Checked {
    let hands = world.user();
    let server = tls(&hands)?;
    let agent = format!("https://localhost:{}", server.addr.port());
    for transport in TRANSPORTS {
        let send = [
            "send",
            "-a",
            &agent,
            "--transport",
            transport,
            "--ca",
            "certs/ca.pem",
        ];
        let known = hands.run(&[&send[..], &CERTIFICATE, &["hello"]].concat());
        ensure!(known.code == 0, "{transport}: {}{}", known.out, known.err);
        hands.fails(&[&send[..], &["hello"]].concat(), "A2ACLI_ERR_UNREACHABLE", 3)?;
    }
    let half = [
        "send",
        "-a",
        &agent,
        "--ca",
        "certs/ca.pem",
        "--cert",
        "certs/client.pem",
        "hello",
    ];
    hands.fails(&half, "A2ACLI_ERR_USAGE", 2)?;
    Ok(())
}

/// A credential that the agent does not take.
pub fn rejected(world: &World) -> Result<Value, String> {
    let hands = world.user();
    let site = Site::agent(
        json!({"securitySchemes": bearer(), "securityRequirements": [{"schemes": {"b": {"list": []}}}]}),
        |_, _| {
            Reply::Json(
                401,
                json!({"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "who?"}}),
            )
        },
    );
    hands.fails(
        &["send", "-a", &site.url(), "--bearer", "wrong", "hello"],
        "A2ACLI_ERR_AUTH_FAILED",
        4,
    )
}

/// No credential where one is asked for.
pub fn missing(world: &World) -> Result<Value, String> {
    let site = asking(bearer());
    let error = world.user().fails(
        &["send", "-a", &site.url(), "hello"],
        "A2ACLI_ERR_CREDENTIALS_MISSING",
        4,
    )?;
    Ok(error)
}
