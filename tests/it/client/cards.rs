//! Cards found, kept, refused and judged.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use a2ad::client::card::{CardReference, CardSource, SignatureStatus, Verification, problems};
use a2ad::client::credential::Given;
use a2ad::client::{Client, ClientBuilder, ClientSettings, Credential, Error, ResolvedCard};
use a2ad::config::Secret;
use a2ad::context::Binding;
use a2ad::error::Kind;
use a2ad::pb::{AgentCard, ListTasksRequest, json as protojson};
use a2ad::signature::{Forms, PublicKeys, jwk_set};
use serde_json::{Value, json};

use super::site::{Site, answer, card, missing, ok};
use crate::cards_signed::{Pen, signed};
use crate::support::messages::send;
use crate::support::world::{EXTENSION, Scenario, World};

fn grpc() -> ClientBuilder {
    Client::builder().prefer([Binding::Grpc])
}

async fn document(url: &str) -> String {
    let bytes = Client::builder().web().await.unwrap().get(url).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn resolve(builder: &ClientBuilder, reference: &str) -> Result<ResolvedCard, Error> {
    let reference: CardReference = reference.parse().unwrap();
    builder.resolve(&reference).await
}

fn plain_card() -> String {
    card("Found", "http://127.0.0.1:1", json!({})).to_string()
}

#[tokio::test]
async fn an_agent_is_found_by_every_form_of_reference() {
    let world = World::new().await;
    let address = world.address;
    let whole = format!("http://{address}/conformance/.well-known/agent-card.json");
    let builder = grpc();
    let conformance = resolve(&builder, &whole).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("card.json");
    std::fs::write(&file, conformance.document.as_bytes()).unwrap();
    let catalog = json!({"agents": [{"name": "one", "url": whole}, {"name": "two", "url": "/nowhere"}]});
    let site = Site::of(catalog.to_string()).await;
    let references = [
        format!("{address}/conformance"),
        format!("http://{address}/conformance"),
        format!("http://{address}/conformance/"),
        whole,
        file.display().to_string(),
        format!("file://{}", file.display()),
        format!("{}#one", site.address),
        format!("{}#one", site.url("/agents.json")),
    ];
    for reference in &references {
        let client = builder.connect(reference.as_str()).await.unwrap();
        assert_eq!(client.card().unwrap().name, conformance.card.name, "{reference}");
        assert_eq!(client.target().tenant, "conformance", "{reference}");
        client.tasks(ListTasksRequest::default()).await.unwrap();
    }
    let default = builder.connect(address.to_string().as_str()).await.unwrap();
    let answered = default.send(send("", "m", "hello")).await.unwrap();
    assert!(answered.payload.is_some());
    println!("{} forms of references to one agent", references.len());
}

#[tokio::test]
async fn our_own_cards_have_no_problems() {
    let world = World::new().await;
    for agent in ["echo", "conformance", "puppet", "plain", "strict", "promising"] {
        let resolved = resolve(&grpc(), &format!("{}/{agent}", world.address))
            .await
            .unwrap();
        assert_eq!(problems(&resolved.card), [], "{agent}");
        assert_eq!(resolved.signature, SignatureStatus::Absent);
    }
}

#[tokio::test]
async fn the_place_before_version_1_is_asked_last() {
    let old = json!({"name": "Old", "description": "d", "version": "1", "url": "http://127.0.0.1:1/rpc",
        "protocolVersion": "0.3.0", "preferredTransport": "JSONRPC", "capabilities": {}, "skills": []});
    let documents = [(plain_card(), "Found", true), (old.to_string(), "Old", false)];
    for (document, name, is_usable) in documents {
        let site = Site::start(move |asked| match asked.path.as_str() {
            "/.well-known/agent.json" => ok(&document),
            _ => missing(),
        })
        .await;
        let resolved = resolve(&grpc(), &site.address.to_string()).await.unwrap();
        assert_eq!(
            (resolved.card.name.as_str(), resolved.is_legacy()),
            (name, !is_usable)
        );
        let paths: Vec<String> = site.asked().into_iter().map(|asked| asked.path).collect();
        assert_eq!(paths, ["/.well-known/agent-card.json", "/.well-known/agent.json"]);
        match grpc().client(resolved).await {
            Ok(_) => assert!(is_usable),
            Err(error) => assert!(!is_usable && error.to_string().contains("0.3.0"), "{error}"),
        }
    }
}

/// What the first answer says, and what comes of two more questions: requests in all, and how many were conditional.
#[tokio::test]
async fn cards_are_kept_as_their_servers_allow() {
    const ETAG: (&str, &str) = ("etag", "\"v1\"");
    const DATE: (&str, &str) = ("last-modified", "Fri, 20 Nov 2026 10:00:00 GMT");
    type Case<'c> = (&'c [(&'c str, &'c str)], usize, usize);
    let cases: [Case<'_>; 12] = [
        (&[], 3, 0),
        (&[ETAG], 3, 2),
        (&[DATE], 3, 2),
        (&[("cache-control", "max-age=60")], 1, 0),
        (&[("cache-control", "max-age=60"), ETAG], 1, 0),
        (&[("cache-control", "private, max-age=60")], 1, 0),
        (&[("cache-control", "max-age=0"), ETAG], 3, 2),
        (&[("cache-control", "no-cache, max-age=60"), ETAG], 3, 2),
        (&[("cache-control", "no-store, max-age=60"), ETAG], 3, 0),
        (&[("cache-control", "max-age=60"), ("age", "60"), ETAG], 3, 2),
        (&[("cache-control", "s-maxage=60"), ETAG], 3, 2),
        (&[("cache-control", "max-age=\"60\"")], 1, 0),
    ];
    for (headers, requests, conditional) in cases {
        let site = Site::start(move |asked| {
            let is_known = asked.header("if-none-match") == Some(ETAG.1)
                || asked.header("if-modified-since") == Some(DATE.1);
            match is_known {
                true => answer(304, headers, ""),
                false => answer(200, headers, plain_card()),
            }
        })
        .await;
        let builder = grpc();
        for _ in 0..3 {
            let resolved = resolve(&builder.clone(), &site.url("/card.json")).await.unwrap();
            assert_eq!(resolved.card.name, "Found");
        }
        let asked = site.asked();
        let with_tag = asked.iter().filter(|one| {
            one.header("if-none-match")
                .or(one.header("if-modified-since"))
                .is_some()
        });
        assert_eq!(
            (asked.len(), with_tag.count()),
            (requests, conditional),
            "{headers:?}"
        );
    }
    println!("{} answers, each asked for three times", cases.len());
}

#[tokio::test]
async fn a_card_that_changed_is_the_new_one_and_one_that_is_gone_is_gone() {
    let turn = Arc::new(AtomicUsize::new(0));
    let counted = turn.clone();
    let site = Site::start(move |_| match counted.fetch_add(1, Ordering::AcqRel) {
        0 => answer(
            200,
            &[("etag", "\"1\"")],
            card("One", "http://127.0.0.1:1", json!({})).to_string(),
        ),
        1 => answer(
            200,
            &[("etag", "\"2\"")],
            card("Two", "http://127.0.0.1:1", json!({})).to_string(),
        ),
        _ => missing(),
    })
    .await;
    let (builder, url) = (grpc(), site.url("/card.json"));
    assert_eq!(resolve(&builder, &url).await.unwrap().card.name, "One");
    assert_eq!(resolve(&builder, &url).await.unwrap().card.name, "Two");
    for _ in 0..2 {
        let error = resolve(&builder, &url).await.unwrap_err();
        assert!(matches!(error, Error::CardNotFound(_)), "{error}");
    }
    let tags: Vec<Option<String>> = site
        .asked()
        .iter()
        .map(|one| one.header("if-none-match").map(str::to_owned))
        .collect();
    let tag = |text: &str| Some(text.to_owned());
    assert_eq!(tags, [None, tag("\"1\""), tag("\"2\""), None]);
}

/// Cards are not kept where anybody in between may have written them.
#[tokio::test]
async fn an_insecure_client_keeps_nothing() {
    let site = Site::start(|_| answer(200, &[("cache-control", "max-age=60")], plain_card())).await;
    let builder = grpc();
    let insecure = builder.clone().dangerously_insecure(true);
    for builder in [&insecure, &insecure, &builder, &builder] {
        resolve(builder, &site.url("/card.json")).await.unwrap();
    }
    assert_eq!(site.asked().len(), 3);
}

#[tokio::test]
async fn redirects_lead_nowhere() {
    let other = Site::of(plain_card()).await;
    for status in [301, 302, 303, 307, 308] {
        let place = other.url("/card.json");
        let site = Site::start(move |_| answer(status, &[("location", &place)], "")).await;
        let error = resolve(&grpc(), &site.address.to_string()).await.unwrap_err();
        assert!(
            matches!(&error, Error::CardNotFound(why) if why.contains("not followed")),
            "{status}: {error}"
        );
    }
    assert_eq!(other.asked().len(), 0);
}

#[tokio::test]
async fn what_is_no_card_is_refused_with_its_place() {
    let limit = 64 * 1_024;
    let settings = ClientSettings {
        card_bytes_max: limit,
        card_timeout: Duration::from_millis(300),
        ..ClientSettings::default()
    };
    let builder = grpc().settings(settings);
    let giant = card("x".repeat(limit).as_str(), "http://127.0.0.1:1", json!({})).to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("giant.json");
    std::fs::write(&file, &giant).unwrap();
    let error = resolve(&builder, &file.display().to_string()).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    type Judge = fn(&Error) -> bool;
    let cases: [(u16, String, Judge); 9] = [
        (200, giant, |error| matches!(error, Error::TooLarge { .. })),
        (200, "<html>".to_owned(), |error| matches!(error, Error::Card(_))),
        (200, "{".to_owned(), |error| matches!(error, Error::Card(_))),
        (200, "{}".to_owned(), |error| matches!(error, Error::Card(_))),
        (200, r#"{"name": 1}"#.to_owned(), |error| {
            matches!(error, Error::Card(_))
        }),
        (200, "[".repeat(10_000), |error| matches!(error, Error::Card(_))),
        (401, String::new(), |error| {
            matches!(error, Error::CardNotFound(_))
        }),
        (500, String::new(), |error| {
            matches!(error, Error::CardNotFound(_))
        }),
        (404, String::new(), |error| {
            matches!(error, Error::CardNotFound(_))
        }),
    ];
    for (status, body, is_right) in cases {
        let shown: String = body.chars().take(20).collect();
        let site = Site::start(move |_| answer(status, &[], body.clone())).await;
        let error = resolve(&builder, &site.address.to_string()).await.unwrap_err();
        assert!(is_right(&error), "{status} {shown}: {error:?}");
        assert!(
            error.is_unsent() || matches!(error, Error::TooLarge { .. }),
            "{error:?}"
        );
    }
    // Somebody who takes a connection and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let error = resolve(&builder, &address).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    drop(silent);
    let error = resolve(&builder, &address).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let error = resolve(&builder, "/nowhere/card.json").await.unwrap_err();
    assert!(matches!(error, Error::CardNotFound(_)), "{error}");
}

#[tokio::test]
async fn catalogs_lead_to_cards() {
    let inline = card("Inline", "http://127.0.0.1:1", json!({}));
    let linkset = json!({"linkset": [{"anchor": "/a", "item": [{"href": "/cards/a.json", "title": "A"}]}]});
    let entries = json!({"entries": [{"identifier": "urn:a", "displayName": "A", "url": "cards/a.json"},
        {"identifier": "urn:b", "data": inline}]});
    let site = Site::start(move |asked| match asked.path.as_str() {
        "/.well-known/api-catalog" => ok(&linkset.to_string()),
        "/catalog.json" => ok(&entries.to_string()),
        "/cards/a.json" => ok(&plain_card()),
        _ => missing(),
    })
    .await;
    let host = site.address.to_string();
    let catalog = site.url("/catalog.json");
    for (reference, name) in [
        (format!("{host}#A"), "Found"),
        (format!("{catalog}#A"), "Found"),
        (format!("{catalog}#urn:a"), "Found"),
        (format!("{catalog}#urn:b"), "Inline"),
        (format!("{catalog}#Inline"), "Inline"),
        (format!("http://{host}/.well-known/api-catalog"), "Found"),
    ] {
        let resolved = resolve(&grpc(), &reference).await.unwrap();
        assert_eq!(resolved.card.name, name, "{reference}");
        assert_eq!(resolved.named_origin, Some(site.url("")), "{reference}");
        assert!(matches!(resolved.source, CardSource::Url(_)));
    }
    for reference in [
        format!("{catalog}#C"),
        catalog,
        format!("{}#A", site.url("/nowhere.json")),
        format!("{}#A", site.url("/cards/a.json")),
    ] {
        assert!(resolve(&grpc(), &reference).await.is_err(), "{reference}");
    }
}

#[tokio::test]
async fn a_signature_is_good_unknown_or_absent() {
    let (own, other) = (Pen::new("ES256"), Pen::new("EdDSA"));
    let plain: AgentCard = protojson::from_str(&plain_card()).unwrap();
    let good = signed(&plain, &own.key("k"));
    let changed = AgentCard {
        name: "Other".to_owned(),
        ..good.clone()
    };
    let keys = |pen: &Pen, is_required| Verification {
        keys: Arc::new(PublicKeys::parse(jwk_set([&pen.key("k")]).as_bytes()).unwrap()),
        forms: Forms::Specification,
        is_required,
    };
    // With the keys or without, and whether a good signature is required.
    let cases = [
        (&good, None, Some("unverifiable")),
        (&good, Some(keys(&own, false)), Some("verified")),
        (&good, Some(keys(&own, true)), Some("verified")),
        (&good, Some(keys(&other, false)), Some("unverifiable")),
        (&good, Some(keys(&other, true)), None),
        (&changed, Some(keys(&own, false)), Some("unverifiable")),
        (&changed, Some(keys(&own, true)), None),
        (&plain, None, Some("absent")),
        (&plain, Some(keys(&own, false)), Some("absent")),
        (&plain, Some(keys(&own, true)), None),
    ];
    for (number, (card, verification, expected)) in cases.into_iter().enumerate() {
        let site = Site::of(String::from_utf8(protojson::to_vec(card).unwrap()).unwrap()).await;
        let mut builder = grpc();
        if let Some(verification) = verification {
            builder = builder.verification(verification);
        }
        let status = resolve(&builder, &site.address.to_string())
            .await
            .map(|found| found.signature);
        let status = status.map(|status| match status {
            SignatureStatus::Verified { kid, .. } => {
                assert_eq!(kid, "k");
                "verified"
            }
            SignatureStatus::Unverifiable { .. } => "unverifiable",
            SignatureStatus::Absent => "absent",
        });
        assert_eq!(status.as_ref().ok().copied(), expected, "{number} {status:?}");
    }
}

#[tokio::test]
async fn what_a_card_does_not_declare_is_not_asked_for() {
    let world = World::new().await;
    let plain = grpc()
        .connect(format!("{}/plain", world.address).as_str())
        .await
        .unwrap();
    let error = plain.send_streaming(send("", "m", "hello")).await.unwrap_err();
    assert!(matches!(error, Error::NotSupported(_)), "{error}");
    let error = plain.extended_card().await.unwrap_err();
    assert!(matches!(error, Error::NotSupported(_)), "{error}");
    let error = plain.push_configs(Default::default()).await.unwrap_err();
    assert!(matches!(error, Error::NotSupported(_)), "{error}");

    let reference = format!("{}/conformance", world.address);
    let conformance = grpc().connect(reference.as_str()).await.unwrap();
    let skills = conformance.card().unwrap().skills.len();
    let extended = conformance.extended_card().await.unwrap();
    assert_eq!(extended.skills.len(), skills + 1);
    assert_eq!(conformance.card().unwrap().skills.len(), skills + 1);
    assert_eq!(conformance.resolved().unwrap().card.skills.len(), skills);
}

#[tokio::test]
async fn an_extended_card_is_verified_like_the_public_one() {
    let pen = Pen::new("ES256");
    let world = Scenario::new()
        .set(|config| config.card.signing_key_file = Some(pen.path()))
        .start()
        .await;
    let reference = format!("{}/conformance", world.address);
    // The server names its key by its thumbprint, so that its own set is needed.
    let set = document(&format!("http://{}/.well-known/jwks.json", world.address)).await;
    let verification = Verification {
        keys: Arc::new(PublicKeys::parse(set.as_bytes()).unwrap()),
        forms: Forms::Specification,
        is_required: true,
    };
    let client = grpc()
        .verification(verification)
        .connect(reference.as_str())
        .await
        .unwrap();
    assert!(matches!(
        client.resolved().unwrap().signature,
        SignatureStatus::Verified { .. }
    ));
    client.extended_card().await.unwrap();
}

#[tokio::test]
async fn extensions_are_declared_with_every_call() {
    let world = World::new().await;
    let reference = format!("{}/strict", world.address);
    let without = grpc().connect(reference.as_str()).await.unwrap();
    let error = without.send(send("", "m", "hello")).await.unwrap_err();
    assert_eq!(error.kind(), Some(Kind::ExtensionSupportRequired), "{error}");
    let with = grpc()
        .extension("urn:other")
        .extension(EXTENSION)
        .connect(reference.as_str())
        .await
        .unwrap();
    with.send(send("", "m", "hello")).await.unwrap();
    let bad = grpc().extension("urn:a\nb").connect(reference.as_str()).await;
    assert!(matches!(bad, Err(Error::NotSupported(_))));
}

#[tokio::test]
async fn an_error_names_the_version_that_is_not_supported() {
    let world = World::new().await;
    let client = grpc()
        .version("9.9")
        .connect(world.address.to_string().as_str())
        .await
        .unwrap();
    let error = client.tasks(ListTasksRequest::default()).await.unwrap_err();
    assert_eq!(error.kind(), Some(Kind::VersionNotSupported), "{error}");
}

/// What is balanced is one agent: one tenant, to which the client comes as the same caller.
#[tokio::test]
async fn only_interfaces_of_one_tenant_and_with_the_same_credentials_are_instances() {
    let interface = |port: u16, tenant: &str| {
        json!({"url": format!("http://127.0.0.1:{port}"), "protocolBinding": "GRPC", "protocolVersion": "1.0",
            "tenant": tenant})
    };
    let interfaces = [
        interface(1, "a"),
        interface(2, "b"),
        interface(3, "a"),
        interface(4, ""),
    ];
    let site = Site::of(card("x", "", json!({ "supportedInterfaces": interfaces })).to_string()).await;
    let resolved = resolve(&grpc(), &site.address.to_string()).await.unwrap();
    let token = || Credential::Token(Secret::new("t".to_owned()));
    let of = |origins: &[&str]| grpc().credential(Given::for_origins(token(), origins).unwrap());
    for (builder, ports) in [
        (grpc(), &[1, 3][..]),
        (of(&["http://127.0.0.1:1"]), &[1]),
        (of(&["http://127.0.0.1:1", "http://127.0.0.1:3"]), &[1, 3]),
    ] {
        let instances = builder.instances(&resolved).await.unwrap();
        let found: Vec<u16> = instances
            .iter()
            .map(|one| one.target.url.port_u16().unwrap())
            .collect();
        assert_eq!(found, ports);
    }
}

/// An interface that leads elsewhere than it may is left out; if it is the only one, the error says why.
#[tokio::test]
async fn interfaces_that_can_not_be_used_are_left_out() {
    let interfaces = |urls: &[&str]| -> Value {
        let list: Vec<Value> = urls
            .iter()
            .map(|url| json!({"url": url, "protocolBinding": "GRPC", "protocolVersion": "1.0"}))
            .collect();
        json!({ "supportedInterfaces": list })
    };
    for (urls, usable) in [
        (&["ftp://127.0.0.1", "http://127.0.0.1:1"][..], 1),
        (
            &[
                "http://127.0.0.1:1",
                "http://u:p@127.0.0.1:2",
                "http://127.0.0.1:3",
            ],
            2,
        ),
        (&["not a url"], 0),
    ] {
        let site = Site::of(card("x", "", interfaces(urls)).to_string()).await;
        let resolved = resolve(&grpc(), &site.address.to_string()).await.unwrap();
        let instances = grpc().instances(&resolved).await;
        assert_eq!(
            instances.as_ref().map_or(0, Vec::len),
            usable,
            "{urls:?} {instances:?}"
        );
        if let Err(error) = instances {
            assert!(error.to_string().contains("interface"), "{error}");
        }
    }
}
