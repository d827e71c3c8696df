//! Names that lead to the public internet while a card is fetched, and into the user's network afterwards.

use std::sync::Arc;

use a2ad::client::{Client, ClientBuilder, Error};
use a2ad::context::Binding;
use a2ad::pb::ListTasksRequest;
use serde_json::json;

use super::harness::BINDINGS;
use super::site::{Asked, Site, card, missing, ok};
use crate::egress::world::{Names, Recorder};

const NAME: &str = "agents.example.com";
const PUBLIC: &str = "8.8.8.8";
const INNER: [&str; 5] = [
    "127.0.0.1",
    "10.0.0.5",
    "169.254.169.254",
    "::1",
    "64:ff9b::a00:5",
];
/// The same public host in a network without IPv4.
const TRANSLATED: &str = "64:ff9b::808:808";

/// A site under a name whose addresses change, and a client that is led there wherever it thinks it goes.
struct Place {
    site: Site,
    names: Arc<Names>,
    recorder: Arc<Recorder>,
}

impl Place {
    /// With a card that names its own host by this binding.
    async fn new(binding: Binding, scheme: &str) -> Self {
        let url = format!("{scheme}://{NAME}");
        let own = json!({"supportedInterfaces": [
            {"url": url, "protocolBinding": binding.as_str(), "protocolVersion": "1.0"},
        ]});
        let card = card("Found", "", own).to_string();
        let answer = move |asked: &Asked| match asked.path.as_str() {
            "/.well-known/agent-card.json" | "/inner.json" => ok(&card),
            "/catalog.json" => ok(r#"{"agents": [{"name": "Found", "url": "/inner.json"}]}"#),
            _ => missing(),
        };
        let site = Site::start(answer).await;
        Self {
            recorder: Arc::new(Recorder::new(site.address, &[])),
            names: Arc::default(),
            site,
        }
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder().network(self.names.clone(), self.recorder.clone())
    }

    /// Addresses that were connected to, and paths that were asked for, since the card was fetched.
    fn reached(&self, fetched: usize) -> (Vec<String>, Vec<String>) {
        let dialed = self.recorder.dialed();
        let paths = self.site.asked().into_iter().skip(fetched);
        (
            dialed.iter().map(|one| one.ip().to_string()).collect(),
            paths.map(|one| one.path).collect(),
        )
    }
}

async fn ask(client: &Client) -> Error {
    // The site is no agent.
    client.tasks(ListTasksRequest::default()).await.unwrap_err()
}

/// n: 5 addresses behind 2 on 3 bindings.
#[tokio::test]
async fn a_public_card_does_not_lead_to_inner_addresses_by_its_own_name() {
    for binding in BINDINGS {
        for (first, inner) in [PUBLIC, TRANSLATED]
            .into_iter()
            .flat_map(|first| INNER.map(|inner| (first, inner)))
        {
            let place = Place::new(binding, "http").await;
            place.names.set(NAME, &[&[first], &[inner]]);
            let client = place
                .builder()
                .connect("http://agents.example.com")
                .await
                .unwrap();
            assert!(!client.resolved().unwrap().is_inner);
            assert_eq!(place.reached(0).0, [first]);
            let error = ask(&client).await;
            assert!(
                matches!(error, Error::Unreachable { .. }),
                "{binding:?} {inner}: {error:?}"
            );
            assert!(error.to_string().contains("public host"), "{error}");
            assert_eq!(place.reached(1), (Vec::new(), Vec::new()), "{binding:?} {inner}");
        }
    }
}

/// What stays at public addresses is reached, and so is what was inner from the beginning: the user named it.
#[tokio::test]
async fn what_the_user_names_is_reached_where_it_was_found() {
    for binding in BINDINGS {
        for (first, then, is_inner) in [
            (PUBLIC, "9.9.9.9", false),
            ("10.0.0.5", "10.0.0.6", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("10.0.0.5", PUBLIC, true),
            (TRANSLATED, "64:ff9b::909:909", false),
            ("64:ff9b::a00:5", "10.0.0.6", true),
        ] {
            let place = Place::new(binding, "http").await;
            place.names.set(NAME, &[&[first], &[then]]);
            let client = place
                .builder()
                .connect("http://agents.example.com")
                .await
                .unwrap();
            assert_eq!(client.resolved().unwrap().is_inner, is_inner);
            place.recorder.dialed();
            let error = ask(&client).await;
            assert!(
                !matches!(error, Error::Unreachable { .. }),
                "{binding:?} {first}: {error:?}"
            );
            let (dialed, paths) = place.reached(1);
            // The layers may have asked more than once.
            assert!(dialed.iter().all(|one| one == then), "{dialed:?}");
            assert!(!dialed.is_empty() && !paths.is_empty(), "{binding:?} {first}");
        }
    }
}

/// A card that was kept is still one from where it was fetched, as long as nobody is asked again.
#[tokio::test]
async fn a_card_that_is_kept_leads_no_further_than_a_new_one() {
    let url = format!("http://{NAME}");
    let own = json!({"supportedInterfaces": [
        {"url": url, "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"},
    ]});
    let text = card("Found", "", own).to_string();
    let headers = [("cache-control", "max-age=600")];
    let site = Site::start(move |_| super::site::answer(200, &headers, text.clone())).await;
    let (names, recorder) = (
        Arc::<Names>::default(),
        Arc::new(Recorder::new(site.address, &[])),
    );
    names.set(NAME, &[&[PUBLIC], &["127.0.0.1"]]);
    let builder = Client::builder().network(names, recorder.clone());
    for _ in 0..2 {
        let resolved = builder.resolve(&url.parse().unwrap()).await.unwrap();
        assert!(!resolved.is_inner);
    }
    let error = ask(&builder.connect(url.as_str()).await.unwrap()).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(site.asked().len(), 1);
}

/// Who is of another kind of place than the card can't say that it is unchanged, so that it counts for good as neither: it is
/// asked for its own, once.
#[tokio::test]
async fn a_card_is_fetched_anew_where_its_host_has_moved() {
    for (first, then, is_inner) in [(PUBLIC, "10.0.0.5", true), ("10.0.0.5", PUBLIC, false)] {
        let text = card("Found", &format!("http://{NAME}"), json!({})).to_string();
        let site = Site::start(move |asked| match asked.header("if-none-match") {
            Some(_) => super::site::answer(304, &[("connection", "close")], ""),
            None => super::site::answer(200, &[("etag", "\"1\""), ("connection", "close")], text.clone()),
        })
        .await;
        let (names, recorder) = (
            Arc::<Names>::default(),
            Arc::new(Recorder::new(site.address, &[])),
        );
        names.set(NAME, &[&[first], &[then]]);
        let builder = Client::builder().network(names, recorder);
        let reference = format!("http://{NAME}/card.json").parse().unwrap();
        for expected in [!is_inner, is_inner, is_inner] {
            assert_eq!(builder.resolve(&reference).await.unwrap().is_inner, expected);
        }
        let asked = site.asked().into_iter();
        let conditions: Vec<bool> = asked.map(|one| one.header("if-none-match").is_some()).collect();
        assert_eq!(conditions, [false, true, false, true]);
    }
}

/// Nor does a catalog, when the card is fetched that it names.
#[tokio::test]
async fn a_public_catalog_does_not_lead_to_inner_addresses_by_its_own_name() {
    let reference = "http://agents.example.com/catalog.json#Found".parse().unwrap();
    for (then, is_found) in [("10.0.0.5", false), ("9.9.9.9", true)] {
        let place = Place::new(Binding::HttpJson, "http").await;
        place.names.set(NAME, &[&[PUBLIC], &[then]]);
        let found = place.builder().resolve(&reference).await;
        assert_eq!(found.is_ok(), is_found, "{found:?}");
        let asked: Vec<String> = place.site.asked().into_iter().map(|one| one.path).collect();
        assert_eq!(asked.contains(&"/inner.json".to_owned()), is_found, "{asked:?}");
    }
}
