//! Where an issuer's keys come from: discovery, a file; asked once, asked again when it helps, and away.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use a2ad::config::{Config, Issuer as IssuerConfig};
use a2ad::error::Kind;
use a2ad::pb::{ListTasksRequest, ListTasksResponse};
use a2ad::shutdown::Shutdown;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::issuer::{AUDIENCE, FileIssuer, Issuer};
use super::{allow_all, texts};
use crate::support::wire::{Wire, WireError};
use crate::support::world::{Scenario, World};

/// What the issuer's web server says, and what it was asked.
struct Site {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The answer to each path, status line first; nothing is the end of the connection.
    answers: Vec<(&'static str, String)>,
    asked: Vec<String>,
}

const DISCOVERY: &str = "/.well-known/openid-configuration";

impl Site {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<State>>::default();
        let served = state.clone();
        Shutdown::new().spawn_unstoppable("issuer", async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                let mut head = vec![0; 4_096];
                let length = tcp.read(&mut head).await.unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let answer = {
                    let mut state = served.lock().unwrap();
                    state.asked.push(path.clone());
                    state
                        .answers
                        .iter()
                        .find(|(known, _)| *known == path)
                        .map(|(_, answer)| answer.clone())
                };
                let _ = tcp.write_all(answer.unwrap_or_default().as_bytes()).await;
            }
        });
        Self { address, state }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn says(&self, path: &'static str, answer: String) {
        let mut state = self.state.lock().unwrap();
        state.answers.retain(|(known, _)| *known != path);
        state.answers.push((path, answer));
    }

    /// Publishes a key set under a discovery document.
    fn publish(&self, jwks: &Value) {
        let url = self.url();
        let document = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        self.says(DISCOVERY, ok(&document.to_string()));
        self.says("/keys", ok(&jwks.to_string()));
    }

    fn goes_away(&self) {
        self.state.lock().unwrap().answers.clear();
    }

    fn asked(&self) -> usize {
        self.state.lock().unwrap().asked.len()
    }

    async fn world(&self, change: impl FnOnce(&mut IssuerConfig)) -> World {
        let url = self.url();
        let set = |config: &mut Config| {
            let mut issuer = IssuerConfig {
                issuer: url,
                audiences: texts(&[AUDIENCE]),
                allow_loopback: true,
                refresh_pause_ms: 100,
                ..IssuerConfig::default()
            };
            change(&mut issuer);
            config.auth.issuers.insert("idp".to_owned(), issuer);
            config.auth.keys_timeout_ms = 2_000;
            allow_all(config);
        };
        Scenario::new().set(set).start().await
    }

    fn token(&self, issuer: &Issuer, kid: &str) -> String {
        let mut claims = issuer.claims("ada");
        claims["iss"] = json!(self.url());
        issuer.es256(&json!({"alg": "ES256", "kid": kid}), &claims)
    }
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

async fn ask(world: &World, token: &str) -> Result<ListTasksResponse, WireError> {
    let client = world
        .client(Wire::HttpJson)
        .with("authorization", &format!("Bearer {token}"));
    client.call(ListTasksRequest::default()).await
}

/// Asks again until it is as it should be.
async fn until(world: &World, token: &str, wanted: impl Fn(&Result<ListTasksResponse, WireError>) -> bool) {
    let begun = Instant::now();
    loop {
        let answer = ask(world, token).await;
        if wanted(&answer) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "still {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn keys_are_discovered_once_however_many_wait() {
    let (site, issuer) = (Site::open().await, Issuer::new());
    site.publish(&issuer.jwks());
    let world = site.world(|_| {}).await;
    let tokens: Vec<String> = (0..50).map(|_| site.token(&issuer, "ec")).collect();
    let answers = join_all(tokens.iter().map(|token| ask(&world, token))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(site.asked(), 2, "the document, and the keys");
}

#[tokio::test]
async fn a_key_that_is_new_is_known_at_once_and_one_that_is_gone_no_more() {
    let (site, old, new) = (Site::open().await, Issuer::new(), Issuer::new());
    site.publish(&json!({"keys": [old.ec_jwk("old")]}));
    let world = site.world(|_| {}).await;
    let (first, second) = (site.token(&old, "old"), site.token(&new, "new"));
    ask(&world, &first).await.unwrap();
    ask(&world, &second).await.unwrap_err().is(Kind::Unauthenticated);
    site.publish(&json!({"keys": [new.ec_jwk("new")]}));
    until(&world, &second, Result::is_ok).await;
    // It was verified and remembered, and its key is gone.
    ask(&world, &first).await.unwrap_err().is(Kind::Unauthenticated);
}

#[tokio::test]
async fn made_up_key_ids_do_not_make_us_ask_again_and_again() {
    let (site, issuer) = (Site::open().await, Issuer::new());
    site.publish(&issuer.jwks());
    let world = site.world(|issuer| issuer.refresh_pause_ms = 3_600_000).await;
    ask(&world, &site.token(&issuer, "ec")).await.unwrap();
    let tokens: Vec<String> = (0..100).map(|n| site.token(&issuer, &format!("k{n}"))).collect();
    let answers = join_all(tokens.iter().map(|token| ask(&world, token))).await;
    for answer in answers {
        answer.unwrap_err().is(Kind::Unauthenticated);
    }
    assert_eq!(site.asked(), 2, "100 unknown keys, 0 more requests");
}

#[tokio::test]
async fn an_issuer_that_is_away_stops_nobody_for_a_while() {
    let (site, issuer) = (Site::open().await, Issuer::new());
    site.publish(&issuer.jwks());
    let world = site
        .world(|issuer| (issuer.refresh_interval_ms, issuer.stale_ms_max) = (1_000, 4_000))
        .await;
    ask(&world, &site.token(&issuer, "ec")).await.unwrap();
    site.goes_away();
    let before = site.asked();
    let begun = Instant::now();
    while site.asked() < before + 2 {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it was not asked again"
        );
        ask(&world, &site.token(&issuer, "ec")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Too old in the end: a key that was withdrawn must not work for ever.
    until(&world, &site.token(&issuer, "ec"), |answer| {
        answer
            .as_ref()
            .is_err_and(|error| &*error.reason == Kind::Unavailable.reason())
    })
    .await;
    site.publish(&issuer.jwks());
    until(&world, &site.token(&issuer, "ec"), Result::is_ok).await;
}

#[tokio::test]
async fn an_issuer_that_was_never_there_is_unavailable_until_it_comes() {
    let (site, issuer) = (Site::open().await, Issuer::new());
    let world = site.world(|_| {}).await;
    let token = site.token(&issuer, "ec");
    let error = ask(&world, &token).await.unwrap_err().is(Kind::Unavailable);
    assert!(error.retry, "{error:?}");
    site.publish(&issuer.jwks());
    until(&world, &token, Result::is_ok).await;
}

#[tokio::test]
async fn what_a_site_says_is_taken_for_nothing_else() {
    let issuer = Issuer::new();
    let keys = issuer.jwks().to_string();
    let elsewhere = Site::open().await;
    elsewhere.says("/keys", ok(&keys));
    let document = |site: &Site, iss: &str, uri: &str| {
        site.says(
            DISCOVERY,
            ok(&json!({"issuer": iss, "jwks_uri": uri}).to_string()),
        );
    };
    let huge = format!("{{\"fill\":\"{}\",{}", "x".repeat(80_000), &keys[1..]);
    type Change<'a> = Box<dyn Fn(&Site) + 'a>;
    let cases: Vec<(&str, Change<'_>)> = vec![
        (
            "a document of another issuer",
            Box::new(|site| document(site, "https://other.example.com", &format!("{}/keys", site.url()))),
        ),
        (
            "a document that is none",
            Box::new(|site| site.says(DISCOVERY, ok("[]"))),
        ),
        (
            "a redirect",
            Box::new(|site| {
                let to = format!("{}/keys", elsewhere.url());
                site.says(
                    "/keys",
                    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"),
                );
            }),
        ),
        (
            "an error with a good body",
            Box::new(|site| site.says("/keys", ok(&keys).replace("200 OK", "500 Oops"))),
        ),
        ("no key set", Box::new(|site| site.says("/keys", ok("{}")))),
        (
            "an empty key set",
            Box::new(|site| site.says("/keys", ok(r#"{"keys":[]}"#))),
        ),
        (
            "a secret as key",
            Box::new(|site| {
                site.says(
                    "/keys",
                    ok(r#"{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"ec"}]}"#),
                )
            }),
        ),
        (
            "a key for encryption",
            Box::new(|site| site.says("/keys", ok(&keys.replace("\"sig\"", "\"enc\"")))),
        ),
        ("more than fits", Box::new(|site| site.says("/keys", ok(&huge)))),
        (
            "a private network",
            Box::new(|site| document(site, &site.url(), "https://10.0.0.1/keys")),
        ),
        (
            "half an answer",
            Box::new(|site| site.says("/keys", ok(&keys)[..300].to_owned())),
        ),
    ];
    for (what, change) in &cases {
        let site = Site::open().await;
        site.publish(&issuer.jwks());
        change(&site);
        // Only the keys of EC are asked for: those of the others are not marked.
        let world = site.world(|issuer| issuer.algorithms = texts(&["ES256"])).await;
        let error = ask(&world, &site.token(&issuer, "ec")).await.expect_err(what);
        // A set without a key that counts is the issuer's word; everything else is none.
        let is_a_set = ["an empty key set", "a secret as key", "a key for encryption"].contains(what);
        let kind = if is_a_set {
            Kind::Unauthenticated
        } else {
            Kind::Unavailable
        };
        assert_eq!(&*error.reason, kind.reason(), "{what}: {error:?}");
    }
    assert_eq!(elsewhere.asked(), 0, "no redirect is followed");
}

#[tokio::test]
async fn a_key_file_is_read_again_when_it_changes() {
    let file = FileIssuer::new();
    let world = Scenario::new()
        .set(|config| {
            file.trust(config);
            config.auth.reload_interval_ms = 20;
            allow_all(config);
        })
        .start()
        .await;
    let old = file.issuer.token(&file.issuer.claims("ada"));
    ask(&world, &old).await.unwrap();
    let new = Issuer::new();
    let token = new.token(&new.claims("ada"));
    ask(&world, &token).await.unwrap_err().is(Kind::Unauthenticated);
    std::fs::write(file.path(), "half a fi").unwrap();
    ask(&world, &old).await.unwrap();
    file.publish(&new.jwks());
    until(&world, &token, Result::is_ok).await;
    ask(&world, &old).await.unwrap_err().is(Kind::Unauthenticated);
    // All of them withdrawn: that is no mistake to be waited out.
    file.publish(&json!({"keys": []}));
    until(&world, &token, |answer| {
        answer
            .as_ref()
            .is_err_and(|error| &*error.reason == Kind::Unauthenticated.reason())
    })
    .await;
}
