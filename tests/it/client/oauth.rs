//! Tokens of an authorization server, which a site of the test plays.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use a2ad::client::credential::CredentialProvider as _;
use a2ad::client::credential::oauth::{
    Grant, OAuthEndpoints, OAuthProvider, OAuthSettings, StoredToken, TokenStore, offered,
};
use a2ad::client::{Client, Credential, Error};
use a2ad::config::Secret;
use a2ad::error::Kind;
use axum::response::Response;
use serde_json::{Value, json};

use super::credentials::{ask, grpc, guarded};
use super::site::{Asked, Site, answer, card, demanding, missing, ok};
use crate::identity::issuer::FileIssuer;
use crate::sockets::soon;

const SECRET: &str = "canary-91d2e0";

/// Answers to the requests for tokens, one after the other; the last one again and again.
fn script(answers: Vec<(u16, Value)>) -> impl Fn(&Asked) -> Response + Clone + Send + Sync + 'static {
    let left = Arc::new(Mutex::new(answers));
    move |asked| {
        if !asked.path.starts_with("/token") {
            return missing();
        }
        let mut left = left.lock().unwrap();
        let (status, body) = if left.len() > 1 {
            left.remove(0)
        } else {
            left[0].clone()
        };
        answer(status, &[("content-type", "application/json")], body.to_string())
    }
}

fn bearer(text: &str, more: Value) -> (u16, Value) {
    let mut body = json!({"access_token": text, "token_type": "Bearer"});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    (200, body)
}

fn settings(site: &Site, grant: Grant) -> OAuthSettings {
    let endpoints = OAuthEndpoints::Urls {
        token: site.url("/token"),
        device: Some(site.url("/device")),
    };
    OAuthSettings {
        client_secret: Some(Secret::new(SECRET.to_owned())),
        scopes: vec!["a".to_owned(), "b".to_owned()],
        device_interval_min: Duration::from_millis(1),
        ..OAuthSettings::new(endpoints, grant, "client")
    }
}

async fn provider(settings: OAuthSettings, store: Option<Arc<dyn TokenStore>>) -> OAuthProvider {
    OAuthProvider::new(settings, Client::builder().web().await.unwrap(), store)
}

async fn shown(provider: &OAuthProvider) -> Result<String, Error> {
    match provider.credential().await? {
        Credential::Token(token) => Ok(token.expose().clone()),
        other => panic!("{other:?}"),
    }
}

#[derive(Default)]
struct Drawer(Mutex<BTreeMap<String, StoredToken>>);

#[async_trait::async_trait]
impl TokenStore for Drawer {
    async fn load(&self, key: &str) -> Result<Option<StoredToken>, String> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    async fn save(&self, key: &str, token: &StoredToken) -> Result<(), String> {
        self.0.lock().unwrap().insert(key.to_owned(), token.clone());
        Ok(())
    }

    async fn remove(&self, key: &str) -> Result<(), String> {
        self.0.lock().unwrap().remove(key);
        Ok(())
    }
}

/// From the client's own secret to an answer of a server that takes the token.
#[tokio::test]
async fn a_client_gets_in_by_its_own_secret() {
    let issuer = FileIssuer::new();
    let world = guarded(&issuer).await;
    let token = issuer.issuer.token(&issuer.issuer.claims("machine"));
    let site = Site::start(script(vec![bearer(&token, json!({"expires_in": 600}))])).await;
    let provider = provider(settings(&site, Grant::ClientCredentials), None).await;
    let builder = grpc().credential(provider.clone());
    let client = builder.connect(world.address.to_string().as_str()).await.unwrap();
    let calls = futures_util::future::join_all((0..20).map(|_| ask(&client))).await;
    assert!(calls.iter().all(Result::is_ok), "{calls:?}");
    let asked = site.asked();
    assert_eq!(asked.len(), 1, "one token for 20 calls at once");
    assert_eq!(asked[0].form("grant_type").as_deref(), Some("client_credentials"));
    assert_eq!(asked[0].form("scope").as_deref(), Some("a b"));
    let basic = asked[0].header("authorization").unwrap();
    assert!(basic.starts_with("Basic ") && !asked[0].body.contains(SECRET));
    assert!(!format!("{provider:?} {builder:?}", builder = client).contains(SECRET));
}

/// A token that the agent does not take is renewed once, and not again at once.
#[tokio::test]
async fn a_token_that_is_not_taken_is_replaced() {
    let issuer = FileIssuer::new();
    let world = guarded(&issuer).await;
    let good = issuer.issuer.token(&issuer.issuer.claims("machine"));
    let reference = world.address.to_string();
    let long = || json!({"expires_in": 600});
    let site = Site::start(script(vec![bearer("revoked", long()), bearer(&good, long())])).await;
    let first = provider(settings(&site, Grant::ClientCredentials), None).await;
    let client = grpc()
        .credential(first)
        .connect(reference.as_str())
        .await
        .unwrap();
    ask(&client).await.unwrap();
    ask(&client).await.unwrap();
    assert_eq!(site.asked().len(), 2);

    let site = Site::start(script(vec![bearer("1", long()), bearer("2", long())])).await;
    let never = provider(settings(&site, Grant::ClientCredentials), None).await;
    let client = grpc()
        .credential(never)
        .connect(reference.as_str())
        .await
        .unwrap();
    for _ in 0..5 {
        let error = ask(&client).await.unwrap_err();
        assert_eq!(error.kind(), Some(Kind::Unauthenticated), "{error}");
    }
    assert_eq!(site.asked().len(), 2, "no more often than the pause allows");
}

/// A token is renewed ahead of its end, with the refresh token that was given last.
#[tokio::test]
async fn tokens_are_renewed_ahead_and_refresh_tokens_rotate() {
    let short = |refresh: Value| json!({"expires_in": 1, "refresh_token": refresh});
    let site = Site::start(script(vec![
        bearer("1", short(json!("r1"))),
        bearer("2", short(json!("r2"))),
        bearer("3", json!({"expires_in": 1})),
        (400, json!({"error": "invalid_grant"})),
        bearer("4", json!({"expires_in": 600})),
    ]))
    .await;
    let provider = provider(settings(&site, Grant::ClientCredentials), None).await;
    let mut seen = Vec::new();
    let watch = async {
        while seen.last().is_none_or(|token| token != "4") {
            let token = shown(&provider).await.unwrap();
            if seen.last() != Some(&token) {
                seen.push(token);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the last token", watch).await;
    assert_eq!(seen, ["1", "2", "3", "4"]);
    let grants: Vec<(Option<String>, Option<String>)> = site
        .asked()
        .iter()
        .map(|one| (one.form("grant_type"), one.form("refresh_token")))
        .collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        grants,
        [
            (text("client_credentials"), None),
            (text("refresh_token"), text("r1")),
            (text("refresh_token"), text("r2")),
            (text("refresh_token"), text("r2")),
            (text("client_credentials"), None),
        ]
    );
}

/// Trouble of the server costs no token that counts, and none that can be renewed later; only its word does.
#[tokio::test]
async fn trouble_of_the_server_costs_no_token() {
    let site = Site::start(script(vec![
        (500, json!("oops")),
        (200, json!("what")),
        (400, json!({"error": "temporarily_unavailable"})),
        (400, json!({"error": "invalid_request"})),
        bearer("new", json!({"expires_in": 600})),
    ]))
    .await;
    let kept = |expires_ms: i64| StoredToken {
        access_token: Secret::new("old".to_owned()),
        refresh_token: Some(Secret::new("r".to_owned())),
        due_ms: Some(0),
        expires_ms: Some(expires_ms),
    };
    let settings = settings(&site, Grant::DeviceCode);
    let drawer = Arc::new(Drawer::default());
    drawer.save(&settings.key(), &kept(i64::MAX)).await.unwrap();
    let one = provider(settings.clone(), Some(drawer.clone())).await;
    for _ in 0..3 {
        assert_eq!(shown(&one).await.unwrap(), "old");
    }
    drawer.save(&settings.key(), &kept(0)).await.unwrap();
    let one = provider(settings, Some(drawer)).await;
    assert!(matches!(shown(&one).await, Err(Error::TokenRefused(_))));
    assert_eq!(shown(&one).await.unwrap(), "new");
}

#[tokio::test]
async fn why_there_is_no_token_is_said_without_secrets() {
    let refused = |body: Value| (400, body);
    let cases = [
        (
            refused(json!({"error": "invalid_client", "error_description": "who\u{7} are you"})),
            "invalid_client",
        ),
        (refused(json!({"error": "x".repeat(5_000)})), "refuses"),
        ((500, json!("oops")), "status 500"),
        ((200, json!({"token": SECRET})), "no token"),
        (
            (200, json!({"access_token": SECRET, "token_type": "DPoP"})),
            "no bearer token",
        ),
        ((302, json!({})), "no token"),
    ];
    for (answered, said) in cases {
        let site = Site::start(script(vec![answered])).await;
        let provider = provider(settings(&site, Grant::ClientCredentials), None).await;
        let error = shown(&provider).await.unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(
                error,
                Error::TokenRefused(_) | Error::TokenUnavailable(_) | Error::Unreachable { .. }
            ) && error.is_unsent(),
            "{error:?}"
        );
        assert!(
            text.contains(said) && text.len() < 400 && !text.contains(SECRET),
            "{text}"
        );
        assert!(!text.contains('\u{7}'));
    }
    // Those who wait for one token are told of one failure.
    let site = Site::start(script(vec![(400, json!({"error": "invalid_client"}))])).await;
    let one = provider(settings(&site, Grant::ClientCredentials), None).await;
    let all = futures_util::future::join_all((0..10).map(|_| shown(&one))).await;
    assert!(all.iter().all(Result::is_err));
    assert_eq!(site.asked().len(), 1);

    let mut open = settings(&site, Grant::ClientCredentials);
    for url in [
        "http://idp.example.com/token",
        "ftp://idp.example.com",
        "idp.example.com",
    ] {
        open.endpoints = OAuthEndpoints::Urls {
            token: url.to_owned(),
            device: None,
        };
        let error = shown(&provider(open.clone(), None).await).await.unwrap_err();
        assert!(matches!(error, Error::Credential(_)), "{url}: {error}");
    }
}

/// An authorization server for devices: its answers to the questions whether somebody has signed in.
async fn device_site(polls: Vec<(u16, Value)>, details: Value) -> Site {
    let token = script(polls);
    Site::start(move |asked| match asked.path.as_str() {
        "/device" => ok(&details.to_string()),
        _ => token(asked),
    })
    .await
}

fn details(more: Value) -> Value {
    let mut details = json!({"device_code": "device-1", "user_code": "ABCD-EFGH", "interval": 0, "expires_in": 60,
        "verification_uri": "https://idp.example.com/activate"});
    details
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    details
}

#[tokio::test]
async fn a_person_signs_in_on_another_device() {
    let pending = || (400, json!({"error": "authorization_pending"}));
    let polls = vec![
        pending(),
        pending(),
        bearer("t1", json!({"expires_in": 600, "refresh_token": "r1"})),
        (400, json!({"error": "invalid_grant"})),
    ];
    let whole = json!({"verification_uri_complete": "https://idp.example.com/activate?code=ABCD-EFGH"});
    let site = device_site(polls, details(whole)).await;
    let drawer = Arc::new(Drawer::default());
    let settings = settings(&site, Grant::DeviceCode);
    let one = provider(settings.clone(), Some(drawer.clone())).await;
    // Nobody has signed in yet, and nobody is asked to by a call.
    let error = shown(&one).await.unwrap_err();
    assert!(
        matches!(&error, Error::CredentialMissing(why) if why.contains("auth login")),
        "{error}"
    );
    assert_eq!(site.asked().len(), 0);

    let login = one.begin_device_login().await.unwrap();
    assert_eq!(
        (login.url(), login.code()),
        ("https://idp.example.com/activate", "ABCD-EFGH")
    );
    assert!(login.whole_url().unwrap().ends_with("?code=ABCD-EFGH"));
    assert!(!format!("{login:?}").contains("device-1"));
    login.finish().await.unwrap();
    assert_eq!(shown(&one).await.unwrap(), "t1");
    assert_eq!(
        site.asked().iter().filter(|asked| asked.path == "/token").count(),
        3
    );

    // Another process finds the token; when it can't be renewed, the person is asked for again.
    let other = provider(settings, Some(drawer.clone())).await;
    assert_eq!(shown(&other).await.unwrap(), "t1");
    let rejected = other.credential().await.unwrap();
    let error = other.renewed(&rejected).await.unwrap_err();
    assert!(matches!(error, Error::CredentialMissing(_)), "{error}");
    other.forget().await.unwrap();
    assert!(drawer.0.lock().unwrap().is_empty());
    assert!(shown(&other).await.is_err());
}

#[tokio::test]
async fn a_sign_in_that_fails_says_why() {
    for (error, said) in [
        ("access_denied", "access_denied"),
        ("expired_token", "expired_token"),
        ("odd", "odd"),
    ] {
        let site = device_site(vec![(400, json!({"error": error}))], details(json!({}))).await;
        let provider = provider(settings(&site, Grant::DeviceCode), None).await;
        let login = provider.begin_device_login().await.unwrap();
        let failed = login.finish().await.unwrap_err();
        assert!(
            matches!(&failed, Error::TokenRefused(why) if why.contains(said)),
            "{failed}"
        );
    }
    // The person never comes.
    let pending = vec![(400, json!({"error": "authorization_pending"}))];
    let site = device_site(pending, details(json!({"expires_in": 0}))).await;
    let one = provider(settings(&site, Grant::DeviceCode), None).await;
    let failed = one
        .begin_device_login()
        .await
        .unwrap()
        .finish()
        .await
        .unwrap_err();
    assert!(
        matches!(&failed, Error::TokenRefused(why) if why.contains("expired")),
        "{failed}"
    );
    // What can't be shown to a person is not.
    for bad in [
        json!({"user_code": "\u{1b}[2J"}),
        json!({"user_code": "x".repeat(65)}),
        json!({"verification_uri": "javascript:alert(1)"}),
        json!({"verification_uri": "activate"}),
    ] {
        let site = device_site(Vec::new(), details(bad.clone())).await;
        let provider = provider(settings(&site, Grant::DeviceCode), None).await;
        let failed = provider.begin_device_login().await.unwrap_err();
        assert!(matches!(failed, Error::TokenRefused(_)), "{bad}: {failed}");
    }
}

/// A server that has trouble, or is away, for a while.
#[tokio::test]
async fn a_sign_in_outlives_trouble_of_the_server_for_a_while() {
    let trouble = || (503, json!("oops"));
    let pending = || (400, json!({"error": "authorization_pending"}));
    let polls = vec![trouble(), pending(), trouble(), trouble(), bearer("t", json!({}))];
    let site = device_site(polls, details(json!({}))).await;
    let quick = |site: &Site| OAuthSettings {
        device_interval_max: Duration::from_millis(5),
        device_failures_max: 3,
        ..settings(site, Grant::DeviceCode)
    };
    let one = provider(quick(&site), None).await;
    let login = one.begin_device_login().await.unwrap();
    soon("a token", login.finish()).await.unwrap();
    assert_eq!(shown(&one).await.unwrap(), "t");

    let site = device_site(vec![trouble()], details(json!({"interval": u64::MAX}))).await;
    let login = provider(quick(&site), None)
        .await
        .begin_device_login()
        .await
        .unwrap();
    let failed = soon("an end", login.finish()).await.unwrap_err();
    assert!(
        matches!(&failed, Error::Unreachable { cause, .. } if cause.contains("3 questions") && cause.contains("503")),
        "{failed:?}"
    );
    assert_eq!(
        site.asked().iter().filter(|asked| asked.path == "/token").count(),
        3
    );
}

/// Who is in a hurry is told what the time was, and that it is over.
#[tokio::test]
async fn a_sign_in_ends_with_the_patience_of_its_caller() {
    let pending = vec![(400, json!({"error": "authorization_pending"}))];
    let site = device_site(pending, details(json!({"expires_in": 3_600, "interval": 3_600}))).await;
    let settings = OAuthSettings {
        device_patience: Duration::from_millis(50),
        ..settings(&site, Grant::DeviceCode)
    };
    let login = provider(settings, None).await.begin_device_login().await.unwrap();
    let failed = soon("an end", login.finish()).await.unwrap_err();
    assert!(
        matches!(&failed, Error::TokenRefused(why) if why.contains("within 50ms") && why.contains("sign in again")),
        "{failed}"
    );
}

/// A server that asks for patience gets it: the next question comes at least five seconds later (RFC 8628 section 3.5).
#[tokio::test]
async fn slow_down_slows_down() {
    let polls = vec![(400, json!({"error": "slow_down"})), bearer("t", json!({}))];
    let site = device_site(polls, details(json!({}))).await;
    let provider = provider(settings(&site, Grant::DeviceCode), None).await;
    let began = tokio::time::Instant::now();
    provider
        .begin_device_login()
        .await
        .unwrap()
        .finish()
        .await
        .unwrap();
    assert!(began.elapsed() >= Duration::from_secs(5));
    assert_eq!(shown(&provider).await.unwrap(), "t");
}

#[tokio::test]
async fn an_issuer_says_where_its_endpoints_are() {
    // What the issuer says of itself, given where it stands, and whether that is believed.
    type Says = fn(&str) -> Value;
    let cases: [(Says, bool); 8] = [
        (
            |own| json!({"issuer": own, "token_endpoint": format!("{own}/token")}),
            true,
        ),
        (
            |own| json!({"issuer": format!("{own}/"), "token_endpoint": format!("{own}/token")}),
            true,
        ),
        (
            |own| json!({"issuer": "https://other.example", "token_endpoint": format!("{own}/token")}),
            false,
        ),
        (|own| json!({"token_endpoint": format!("{own}/token")}), false),
        (|own| json!({"issuer": own}), false),
        (
            |own| json!({"issuer": own, "token_endpoint": "http://idp.example.com/token"}),
            false,
        ),
        (
            |own| json!({"issuer": own, "token_endpoint": "file:///etc/passwd"}),
            false,
        ),
        (|_| json!([]), false),
    ];
    for (says, is_believed) in cases {
        let token = script(vec![bearer("t", json!({}))]);
        let site = Site::start(move |asked| {
            let own = format!("http://{}", asked.header("host").unwrap());
            match asked.path.as_str() {
                "/.well-known/openid-configuration" => ok(&says(&own).to_string()),
                _ => token(asked),
            }
        })
        .await;
        let mut settings = settings(&site, Grant::ClientCredentials);
        settings.endpoints = OAuthEndpoints::Issuer(site.url(""));
        let found = shown(&provider(settings, None).await).await;
        assert_eq!(found.is_ok(), is_believed, "{found:?}");
        let was_asked = site.asked().iter().any(|one| one.path == "/token");
        assert_eq!(was_asked, is_believed);
    }
    let nobody = Site::start(|_| missing()).await;
    let mut settings = settings(&nobody, Grant::ClientCredentials);
    settings.endpoints = OAuthEndpoints::Issuer(nobody.url(""));
    let error = shown(&provider(settings, None).await).await.unwrap_err();
    assert!(matches!(error, Error::TokenRefused(_)), "{error}");
}

/// The card's words about tokens are a proposal; no secret follows them by itself.
#[tokio::test]
async fn a_card_proposes_and_does_not_decide() {
    let trap = Site::of("{}").await;
    let token_url = trap.url("/token");
    let flows = json!({"clientCredentials": {"tokenUrl": token_url, "scopes": {"a": "A"}}});
    let scheme = demanding(json!({"oauth2SecurityScheme": {"flows": flows}}));
    let site = Site::start(script(vec![bearer("t", json!({}))])).await;
    let agent = Site::of("{}").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("card.json").display().to_string();
    std::fs::write(&file, card("x", &agent.url(""), scheme).to_string()).unwrap();
    let provider = provider(settings(&site, Grant::ClientCredentials), None).await;
    let client = grpc().credential(provider).connect(file.as_str()).await.unwrap();
    ask(&client).await.unwrap_err();
    assert_eq!(agent.asked()[0].header("authorization"), Some("Bearer t"));
    assert_eq!((site.asked().len(), trap.asked().len()), (1, 0));
    let offers = offered(&client.card().unwrap());
    assert_eq!(
        (offers.len(), offers[0].grant),
        (1, Some(Grant::ClientCredentials))
    );
    assert_eq!(offers[0].scopes, ["a"]);
}
