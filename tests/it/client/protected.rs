//! Cards that are shown only to those who have a credential.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use a2ad::client::credential::{CredentialKind, CredentialProvider, Given};
use a2ad::client::{Client, ClientBuilder, Credential, Error, ResolvedCard};
use a2ad::config::Secret;
use async_trait::async_trait;
use http::HeaderName;
use serde_json::json;

use super::site::{Asked, Site, answer, card, ok};

/// What must not be seen anywhere but where it was given for.
const SECRET: &str = "canary-5b20e7";

fn token() -> Credential {
    Credential::Token(Secret::new(SECRET.to_owned()))
}

fn bound(credential: Credential, origin: &str) -> ClientBuilder {
    Client::builder().credential(Given::for_origins(credential, &[origin]).unwrap())
}

async fn resolve(builder: &ClientBuilder, reference: &str) -> Result<ResolvedCard, Error> {
    builder.resolve(&reference.parse().unwrap()).await
}

/// A site that shows its card to those who show the secret in a header, and lets it be kept.
async fn guarded(header: &'static str) -> Site {
    let card = card("Guarded", "http://127.0.0.1:1", json!({})).to_string();
    Site::start(move |asked: &Asked| match asked.header(header) {
        Some(shown) if shown.contains(SECRET) => answer(
            200,
            &[("cache-control", "max-age=600"), ("etag", "\"1\"")],
            card.clone(),
        ),
        _ => answer(401, &[("www-authenticate", "Bearer")], ""),
    })
    .await
}

#[tokio::test]
async fn a_credential_for_that_origin_by_name_opens_it() {
    let key = || Credential::ApiKey(Secret::new(SECRET.to_owned()));
    let own = Credential::Header {
        name: HeaderName::from_static("x-own"),
        value: Secret::new(SECRET.to_owned()),
    };
    for (header, credential) in [("authorization", token()), ("x-api-key", key()), ("x-own", own)] {
        let site = guarded(header).await;
        let builder = bound(credential, &site.url(""));
        let found = resolve(&builder, &site.url("/card.json")).await.unwrap();
        assert_eq!(found.card.name, "Guarded");
        let shown: Vec<bool> = site.asked().iter().map(|one| one.holds(SECRET)).collect();
        assert_eq!(shown, [false, true], "it is shown where it is asked for");
    }
}

/// A provider that has none at the moment.
#[derive(Debug)]
struct Empty;

#[async_trait]
impl CredentialProvider for Empty {
    fn kind(&self) -> CredentialKind {
        CredentialKind::ApiKey
    }

    async fn credential(&self) -> Result<Credential, Error> {
        Err(Error::TokenUnavailable("none today".to_owned()))
    }

    fn is_renewable(&self) -> bool {
        false
    }

    async fn renewed(&self, _: &Credential) -> Result<Option<Credential>, Error> {
        Ok(None)
    }
}

/// A provider that fails does not stand before one that has what opens the card; alone it says why there is none.
#[tokio::test]
async fn one_provider_that_fails_is_not_the_end() {
    let site = guarded("authorization").await;
    let own = || [site.url("")];
    let empty = || Given::for_origins(Empty, &own()).unwrap();
    let good = || Given::for_origins(token(), &own()).unwrap();
    let alone = Client::builder().credential(empty());
    for builder in [
        Client::builder().credential(empty()).credential(good()),
        Client::builder().credential(good()).credential(empty()),
    ] {
        let found = resolve(&builder, &site.url("/card.json")).await.unwrap();
        assert_eq!(found.card.name, "Guarded");
    }
    let error = resolve(&alone, &site.url("/card.json")).await.unwrap_err();
    assert!(
        matches!(&error, Error::TokenUnavailable(why) if why == "none today"),
        "{error:?}"
    );
}

/// n: 5 clients whose credential is not for the card.
#[tokio::test]
async fn no_other_credential_is_shown() {
    let site = guarded("authorization").await;
    let other = Site::of("{}").await;
    let port = site.address.port();
    let builders = [
        Client::builder(),
        // For the agent that the user names, once its card has said how it wants it.
        Client::builder().credential(token()),
        bound(token(), &other.url("")),
        bound(token(), &format!("https://127.0.0.1:{port}")),
        bound(token(), "https://agents.example.com"),
    ];
    for builder in builders {
        let error = resolve(&builder, &site.url("/card.json")).await.unwrap_err();
        assert!(
            matches!(&error, Error::CardNotFound(why) if why.contains("401") && why.contains("--credential-origin")),
            "{error}"
        );
    }
    assert_eq!(site.asked().len(), 5);
    assert!(site.asked().iter().all(|one| !one.holds(SECRET)));
}

/// A credential that is not taken is not shown again, and none follows a redirect or a catalog to another place.
#[tokio::test]
async fn a_credential_goes_no_further_than_its_origin() {
    let refusing = Site::start(|_| answer(401, &[], "")).await;
    let builder = bound(token(), &refusing.url(""));
    let error = resolve(&builder, &refusing.url("/card.json")).await.unwrap_err();
    assert!(
        error.to_string().contains("401") && !error.to_string().contains(SECRET),
        "{error}"
    );
    assert_eq!(refusing.asked().len(), 2);

    let elsewhere = guarded("authorization").await;
    let place = elsewhere.url("/card.json");
    let redirecting = Site::start(move |asked: &Asked| match asked.header("authorization") {
        Some(_) => answer(302, &[("location", &place)], ""),
        None => answer(401, &[], ""),
    })
    .await;
    let builder = bound(token(), &redirecting.url(""));
    let error = resolve(&builder, &redirecting.url("/card.json"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("not followed"), "{error}");

    // A stranger's catalog does not choose what the user's credential opens.
    let catalog = json!({"agents": [{"name": "Guarded", "url": elsewhere.url("/card.json")}]});
    let catalog = Site::of(catalog.to_string()).await;
    let builder = bound(token(), &elsewhere.url(""));
    let reference = format!("{}#Guarded", catalog.url("/catalog.json"));
    resolve(&builder, &reference).await.unwrap_err();
    assert!(elsewhere.asked().iter().all(|one| !one.holds(SECRET)));
    assert_eq!(elsewhere.asked().len(), 1);
}

/// Whatever its server allows: it is for who showed the credential.
#[tokio::test]
async fn a_protected_card_is_not_kept() {
    let site = guarded("authorization").await;
    let builder = bound(token(), &site.url(""));
    for _ in 0..2 {
        resolve(&builder, &site.url("/card.json")).await.unwrap();
    }
    assert_eq!(site.asked().len(), 4);
    // One that was open before and is kept is not what is shown then.
    let turn = Arc::new(AtomicUsize::new(0));
    let site = Site::start(move |asked: &Asked| {
        let name = if asked.holds(SECRET) { "Guarded" } else { "Open" };
        let document = card(name, "http://127.0.0.1:1", json!({})).to_string();
        match (turn.fetch_add(1, Ordering::SeqCst), asked.holds(SECRET)) {
            (0, _) => answer(200, &[("etag", "\"1\"")], document),
            (_, false) => answer(401, &[], ""),
            (_, true) => ok(&document),
        }
    })
    .await;
    let builder = bound(token(), &site.url(""));
    for name in ["Open", "Guarded", "Guarded"] {
        let found = resolve(&builder, &site.url("/card.json")).await.unwrap();
        assert_eq!(found.card.name, name);
    }
}
