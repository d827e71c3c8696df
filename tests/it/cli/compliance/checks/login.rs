//! Tokens of authorization servers.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::super::site::{Asked, Reply, Site, task};
use super::super::world::{Checked, Hands, World, ensure, identified};

const SECRET: &str = "client-secret-4714";

/// An agent with an authorization server beside it. Tokens are t-1, t-2 and so on, each good for `expires_in` seconds.
fn agent(scheme: Value, expires_in: u64) -> Site {
    let (given, polls) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let more =
        json!({"securitySchemes": {"s": scheme}, "securityRequirements": [{"schemes": {"s": {"list": []}}}]});
    Site::agent(more, move |asked, base| match asked.path() {
        "/.well-known/openid-configuration" => Reply::Json(
            200,
            json!({"issuer": base, "token_endpoint": format!("{base}/token"),
                "device_authorization_endpoint": format!("{base}/device"),
                "authorization_endpoint": format!("{base}/authorize"), "jwks_uri": format!("{base}/keys")}),
        ),
        "/device" => Reply::Json(
            200,
            json!({"device_code": "d-1", "user_code": "WDJB-MJHT", "verification_uri": format!("{base}/sign-in"),
                "expires_in": 60, "interval": 1}),
        ),
        "/token" => token(asked, &given, &polls, expires_in),
        "/message:send" => match asked.header("authorization") {
            Some(shown) if shown == format!("Bearer t-{}", given.load(Ordering::SeqCst)) => {
                Reply::Json(200, json!({"task": task("task-1", "COMPLETED")}))
            }
            _ => Reply::Json(
                401,
                json!({"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "no"}}),
            ),
        },
        _ => Reply::Json(404, json!({})),
    })
}

fn token(asked: &Asked, given: &AtomicUsize, polls: &AtomicUsize, expires_in: u64) -> Reply {
    let grant = asked.form("grant_type").unwrap_or_default();
    let is_device = grant.ends_with("device_code");
    // Nobody has signed in when the program asks for the first time.
    if is_device && polls.fetch_add(1, Ordering::SeqCst) == 0 {
        return Reply::Json(400, json!({"error": "authorization_pending"}));
    }
    let number = given.fetch_add(1, Ordering::SeqCst) + 1;
    let mut answer =
        json!({"access_token": format!("t-{number}"), "token_type": "Bearer", "expires_in": expires_in});
    if is_device || grant == "refresh_token" {
        answer["refresh_token"] = json!(format!("r-{number}"));
    }
    Reply::Json(200, answer)
}

fn device_scheme() -> Value {
    json!({"oauth2SecurityScheme": {"flows": {"deviceCode": {
        "deviceAuthorizationUrl": "BASE/device", "tokenUrl": "BASE/token", "scopes": {"a2a": "all"}}}}})
}

fn client_scheme() -> Value {
    json!({"oauth2SecurityScheme": {"flows": {"clientCredentials": {
        "tokenUrl": "BASE/token", "scopes": {"a2a": "all"}}}}})
}

/// Logs in as a client with a secret.
fn log_in(hands: &mut Hands<'_>, site: &Site, more: &[&str]) -> Checked {
    hands.user.environment = vec![("A2ACLI_CLIENT_SECRET".into(), SECRET.into())];
    let url = site.url();
    let run = hands.good(&[&["auth", "login", "-a", &url, "--client-id", "me"][..], more].concat())?;
    // What comes later needs no secret from outside.
    hands.user.environment.clear();
    ensure!(
        !run.out.contains("t-1") && !run.out.contains(SECRET),
        "{}",
        run.out
    );
    Ok(())
}

fn files(hands: &Hands<'_>) -> Vec<PathBuf> {
    let folder = hands.user.home().join(".config/a2a-cli/logins");
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

pub fn device(world: &World) -> Checked {
    let hands = world.user();
    let site = agent(device_scheme(), 3_600);
    let url = site.url();
    let run = hands.good(&["auth", "login", "-a", &url, "--client-id", "me"])?;
    ensure!(
        run.err.contains("WDJB-MJHT") && run.err.contains("/sign-in"),
        "nobody is told where to sign in: {}",
        run.err
    );
    ensure!(!run.out.contains("WDJB-MJHT"), "{}", run.out);
    let asked = site.asked("/token");
    ensure!(
        asked.len() == 2 && asked[1].form("device_code").as_deref() == Some("d-1"),
        "{asked:?}"
    );
    let scopes = site.asked("/device").pop().and_then(|asked| asked.form("scope"));
    ensure!(scopes.as_deref() == Some("a2a"), "{scopes:?}");
    hands.good(&["send", "-a", &url, "hello"])?;
    let denied = Site::agent(
        json!({"securitySchemes": {"s": device_scheme()}}),
        |asked, base| match asked.path() {
            "/device" => Reply::Json(
                200,
                json!({"device_code": "d", "user_code": "A", "verification_uri": base, "expires_in": 60, "interval": 1}),
            ),
            _ => Reply::Json(400, json!({"error": "access_denied"})),
        },
    );
    let login = ["auth", "login", "-a", &denied.url(), "--client-id", "me"];
    hands.fails(&login, "A2ACLI_ERR_AUTH_FAILED", 4)?;
    Ok(())
}

pub fn client_credentials(world: &World) -> Checked {
    let mut hands = world.user();
    let site = agent(client_scheme(), 3_600);
    let url = site.url();
    let login = ["auth", "login", "-a", &url, "--client-id", "me"];
    hands.fails(&login, "A2ACLI_ERR_CREDENTIALS_MISSING", 4)?;
    log_in(&mut hands, &site, &[])?;
    let asked = site.asked("/token");
    ensure!(
        asked.len() == 1 && asked[0].form("grant_type").as_deref() == Some("client_credentials"),
        "{asked:?}"
    );
    ensure!(
        asked[0]
            .header("authorization")
            .is_some_and(|shown| shown.starts_with("Basic ")),
        "{asked:?}"
    );
    hands.good(&["send", "-a", &url, "hello"])?;
    // A secret does not go to a server that only the card of another names.
    let other = Site::new(|_, _| Reply::Json(200, json!({})));
    let scheme = json!({"oauth2SecurityScheme": {"flows": {"clientCredentials": {
        "tokenUrl": format!("{}/token", other.url()), "scopes": {}}}}});
    let bad = agent(scheme, 1);
    hands.user.environment = vec![("A2ACLI_CLIENT_SECRET".into(), SECRET.into())];
    hands.fails(
        &["auth", "login", "-a", &bad.url(), "--client-id", "me"],
        "A2ACLI_ERR_USAGE",
        2,
    )?;
    ensure!(other.all().is_empty(), "{:?}", other.all());
    Ok(())
}

/// For the user alone, shown to the agent and to nobody else, renewed when it is over, gone when it is not wanted.
pub fn kept(world: &World) -> Checked {
    let mut hands = world.user();
    let site = agent(client_scheme(), 3_600);
    let url = site.url();
    log_in(&mut hands, &site, &[])?;
    let kept = files(&hands);
    ensure!(kept.len() == 1, "{kept:?}");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    ensure!(mode(&kept[0]) == 0o600, "{:o}", mode(&kept[0]));
    let folder = kept[0].parent().unwrap();
    ensure!(mode(folder) == 0o700, "{:o}", mode(folder));
    for _ in 0..2 {
        hands.good(&["send", "-a", &url, "hello"])?;
    }
    ensure!(site.asked("/token").len() == 1, "a new token for each call");
    let other = Site::agent(
        json!({"securitySchemes": {"s": {"httpAuthSecurityScheme": {"scheme": "Bearer"}}}}),
        |_, _| Reply::Json(200, json!({"task": task("t", "COMPLETED")})),
    );
    let _ = hands.run(&["send", "-a", &other.url(), "hello"]);
    ensure!(
        other
            .all()
            .iter()
            .all(|asked| asked.header("authorization").is_none()),
        "it was shown to another agent"
    );
    let shown = hands.good(&["config", "show"])?.out;
    ensure!(
        shown.contains("login: http://") && !shown.contains("t-1") && !shown.contains(SECRET),
        "{shown}"
    );
    let status = hands.json(&["auth", "status"])?;
    ensure!(
        status[0]["token"] == "valid" && !status.to_string().contains(SECRET),
        "{status}"
    );
    hands.good(&["auth", "logout", "-a", &url])?;
    ensure!(files(&hands).is_empty(), "the file is still there");
    hands.fails(
        &["send", "-a", &url, "hello"],
        "A2ACLI_ERR_CREDENTIALS_MISSING",
        4,
    )?;
    let short = agent(client_scheme(), 1);
    log_in(&mut hands, &short, &[])?;
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    hands.good(&["send", "-a", &short.url(), "hello"])?;
    ensure!(short.asked("/token").len() == 2, "{:?}", short.asked("/token"));
    Ok(())
}

/// By the issuer that the card names, and by one that the user names.
pub fn openid(world: &World) -> Checked {
    let mut hands = world.user();
    let scheme = json!({"openIdConnectSecurityScheme": {
        "openIdConnectUrl": "BASE/.well-known/openid-configuration"}});
    let site = agent(scheme, 3_600);
    log_in(&mut hands, &site, &[])?;
    ensure!(
        site.asked("/.well-known/openid-configuration").len() == 1,
        "not discovered"
    );
    hands.good(&["send", "-a", &site.url(), "hello"])?;
    hands.good(&["auth", "logout", "-a", &site.url()])?;
    let issuer = site.url();
    let login = [
        "auth",
        "login",
        "-a",
        &site.url(),
        "--client-id",
        "me",
        "--issuer",
        &issuer,
        "--flow",
        "device",
    ];
    let run = hands.good(&login)?;
    ensure!(run.err.contains("WDJB-MJHT"), "{}", run.err);
    hands.good(&["send", "-a", &site.url(), "hello"])?;
    Ok(())
}

/// What the agent asks for is shown with the commands to sign in and to go on, and they work.
pub fn in_task(world: &World) -> Checked {
    let mut hands = world.user();
    let site = Site::agent(
        json!({"securitySchemes": {"s": client_scheme()}}),
        |asked, _| match asked.path() {
            "/token" => Reply::Json(
                200,
                json!({"access_token": "t-1", "token_type": "Bearer", "expires_in": 3600}),
            ),
            "/message:send" => {
                let is_signed_in = asked.header("authorization") == Some("Bearer t-1");
                let mut task = task(
                    "t-9",
                    if is_signed_in {
                        "COMPLETED"
                    } else {
                        "AUTH_REQUIRED"
                    },
                );
                task["status"]["message"] = json!({"messageId": "m", "role": "ROLE_AGENT",
                    "parts": [{"text": "sign in as an accountant"}]});
                Reply::Json(200, json!({ "task": task }))
            }
            _ => Reply::Json(404, json!({})),
        },
    );
    let url = site.url();
    let asked = hands.good(&["send", "-a", &url, "pay the bill"])?;
    ensure!(
        identified(&asked.out)? == ("t-9", "context-1", "AUTH_REQUIRED"),
        "{}",
        asked.out
    );
    ensure!(asked.out.contains("sign in as an accountant"), "{}", asked.out);
    for command in [
        format!("a2ad auth login -a {url}"),
        "a2ad send --task-id t-9".to_owned(),
    ] {
        ensure!(
            asked.err.contains(&command),
            "{command:?} is not in {}",
            asked.err
        );
    }
    log_in(&mut hands, &site, &[])?;
    let done = hands.good(&["send", "-a", &url, "--task-id", "t-9", "I have signed in"])?;
    ensure!(identified(&done.out)?.2 == "COMPLETED", "{}", done.out);
    Ok(())
}
