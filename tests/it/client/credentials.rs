//! Credentials that go where they were given for, and nowhere else.

use std::process::Command;

use a2ad::client::credential::{CredentialProvider as _, Given};
use a2ad::client::{Client, ClientBuilder, Credential, Error};
use a2ad::config::{ClientCertificates, DefaultAccess, Secret};
use a2ad::context::Binding;
use a2ad::error::Kind;
use a2ad::pb::ListTasksRequest;
use a2ad::tls::dev::Names;
use http::HeaderName;
use serde_json::{Value, json};

use super::site::{Site, card, demanding};
use crate::binary::PROGRAM;
use crate::identity::issuer::{FileIssuer, Issuer};
use crate::mtls_sockets::Files;
use crate::support::world::{Scenario, World};

/// What must not be seen anywhere.
const SECRET: &str = "canary-3f7a1c";

pub fn grpc() -> ClientBuilder {
    Client::builder().prefer([Binding::Grpc])
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn token(text: &str) -> Credential {
    Credential::Token(secret(text))
}

/// Makes one read call.
pub async fn ask(client: &Client) -> Result<(), Error> {
    client.tasks(ListTasksRequest::default()).await.map(drop)
}

async fn ask_as(builder: ClientBuilder, reference: &str) -> Result<(), Error> {
    ask(&builder.connect(reference).await?).await
}

/// A server that takes the tokens of an issuer.
pub async fn guarded(issuer: &FileIssuer) -> World {
    let scenario = Scenario::new().set(|config| {
        issuer.trust(config);
        config.access.default = DefaultAccess::Allow;
    });
    scenario.start().await
}

#[tokio::test]
async fn a_token_goes_where_the_card_asks_for_one() {
    let issuer = FileIssuer::new();
    let world = guarded(&issuer).await;
    let reference = world.address.to_string();
    let good = issuer.issuer.token(&issuer.issuer.claims("alice"));
    ask_as(grpc().credential(token(&good)), &reference).await.unwrap();

    let stranger = Issuer::new();
    let bad = stranger.token(&stranger.claims("mallory"));
    let error = ask_as(grpc().credential(token(&bad)), &reference)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Some(Kind::Unauthenticated), "{error}");

    for builder in [grpc(), grpc().credential(Credential::ApiKey(secret("k")))] {
        let error = ask_as(builder, &reference).await.unwrap_err();
        assert!(
            matches!(&error, Error::CredentialMissing(why) if why.contains("--bearer") && why.contains("jwt-idp")),
            "{error:?}"
        );
    }
    // What a caller puts into a call of its own may be what is missing.
    let client = grpc().connect(reference.as_str()).await.unwrap();
    let request = a2ad::client::Request::ListTasks(ListTasksRequest::default());
    let mut call = a2ad::client::Call::new(request);
    call.parameters
        .insert("authorization", format!("Bearer {good}").parse().unwrap());
    client.call(call).await.unwrap();
}

#[tokio::test]
async fn an_api_key_stands_in_the_header_of_the_card() {
    let scenario = Scenario::new().sqlite().set(|config| {
        config.auth.api_keys.enabled = true;
        config.access.default = DefaultAccess::Allow;
    });
    let world = scenario.start().await;
    let made = Command::new(PROGRAM)
        .args(["keys", "create", "ci", "--database"])
        .arg(format!("sqlite://{}", world.database().display()))
        .output()
        .unwrap();
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let reference = world.address.to_string();
    ask_as(grpc().credential(Credential::ApiKey(secret(&key))), &reference)
        .await
        .unwrap();
    let own = Credential::Header {
        name: HeaderName::from_static("x-api-key"),
        value: secret(&key),
    };
    ask_as(grpc().credential(own), &reference).await.unwrap();
    let error = ask_as(grpc().credential(token(&key)), &reference)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::CredentialMissing(why) if why.contains("--api-key")),
        "{error}"
    );
}

#[tokio::test]
async fn a_certificate_meets_the_scheme_for_it() {
    let files = Files::new();
    let scenario = Scenario::new().set(|config| {
        config.tls.cert_file = Some(files.path("server.pem"));
        config.tls.key_file = Some(files.path("server.key"));
        config.tls.client_ca_file = Some(files.path("ca.pem"));
        config.tls.client_certificates = ClientCertificates::Optional;
        config.access.default = DefaultAccess::Allow;
    });
    let world = scenario.start().await;
    let place = format!("https://localhost:{}", world.address.port());
    let issued = files.client(&Names {
        uris: vec![crate::mtls_sockets::BILLING.to_owned()],
        ..Names::default()
    });
    let (with, without) = (files.client_tls(Some(&issued)), files.client_tls(None));
    // The server names itself by its address, which its certificate does not.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("card.json").display().to_string();
    let scheme = demanding(json!({"mtlsSecurityScheme": {}}));
    std::fs::write(&file, card("x", &place, scheme).to_string()).unwrap();

    ask_as(grpc().tls(with.clone()), &file).await.unwrap();
    let error = ask_as(grpc().tls(without), &file).await.unwrap_err();
    assert!(
        matches!(&error, Error::CredentialMissing(why) if why.contains("--cert")),
        "{error}"
    );
    // No authority that counts: only who asks for it goes on without.
    let error = ask_as(grpc(), &place).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let insecure = grpc().tls(with).dangerously_insecure(true);
    insecure.resolve(&place.parse().unwrap()).await.unwrap();
    ask_as(insecure, &file).await.unwrap();
}

/// The card of one site leads to another one; what was given for the first stays there.
#[tokio::test]
async fn a_card_that_leads_elsewhere_gets_no_secret() {
    let elsewhere = Site::of("{}").await;
    let bearer = demanding(json!({"httpAuthSecurityScheme": {"scheme": "Bearer"}}));
    let key = demanding(json!({"apiKeySecurityScheme": {"location": "header", "name": "x-api-key"}}));
    let mut refused = 0;
    for (scheme, credential) in [
        (bearer.clone(), token(SECRET)),
        (key, Credential::ApiKey(secret(SECRET))),
        (json!({}), token(SECRET)),
    ] {
        let site = Site::of(card("x", &elsewhere.url(""), scheme).to_string()).await;
        let error = ask_as(grpc().credential(credential), &site.address.to_string())
            .await
            .unwrap_err();
        let place = elsewhere.url("");
        assert!(
            matches!(&error, Error::Credential(why) if why.contains(&place)),
            "{error:?}"
        );
        assert!(!error.to_string().contains(SECRET));
        refused += 1;
    }
    // Nor one that a caller puts into a call of its own.
    let site = Site::of(card("x", &elsewhere.url(""), json!({})).to_string()).await;
    let client = grpc().connect(site.address.to_string().as_str()).await.unwrap();
    for name in ["authorization", "cookie", "x-api-key", "x-own"] {
        let request = a2ad::client::Request::ListTasks(ListTasksRequest::default());
        let mut call = a2ad::client::Call::new(request);
        let mut value: http::HeaderValue = SECRET.parse().unwrap();
        value.set_sensitive(name == "x-own");
        call.parameters.insert(HeaderName::from_static(name), value);
        let error = client.call(call).await.unwrap_err();
        assert!(matches!(error, Error::Credential(_)), "{name}: {error}");
        refused += 1;
    }
    assert_eq!(elsewhere.asked().len(), 0);

    // By its name given, it is another matter. It is no agent, but it has been asked.
    let site = Site::of(card("x", &elsewhere.url(""), bearer).to_string()).await;
    let given = Given::for_origins(token(SECRET), &[elsewhere.url("")]).unwrap();
    ask_as(grpc().credential(given), &site.address.to_string())
        .await
        .unwrap_err();
    let asked = elsewhere.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].header("authorization"),
        Some(format!("Bearer {SECRET}").as_str())
    );
    assert!(site.asked().iter().all(|one| !one.holds(SECRET)));
    println!("{refused} secrets for a card that leads elsewhere: none arrived");
}

#[tokio::test]
async fn a_secret_never_goes_in_the_clear_to_another_machine() {
    let scheme = demanding(json!({"httpAuthSecurityScheme": {"scheme": "Bearer"}}));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("card.json").display().to_string();
    std::fs::write(&file, card("x", "http://agents.example.com", scheme).to_string()).unwrap();
    let given = Given::for_origins(token(SECRET), &["http://agents.example.com"]).unwrap();
    for builder in [grpc().credential(token(SECRET)), grpc().credential(given)] {
        let error = ask_as(builder, &file).await.unwrap_err();
        assert!(
            matches!(&error, Error::Credential(why) if why.contains("in the clear")),
            "{error:?}"
        );
    }
}

/// Whatever name a card chooses for the header of an API key, the key does not leave.
#[tokio::test]
async fn a_card_chooses_no_header_for_a_key() {
    let names = [
        "Cookie",
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Upgrade",
        "TE",
        "Expect",
        "Proxy-Authorization",
        "Forwarded",
        "X-Forwarded-For",
        "X-Real-IP",
        "Origin",
        "Referer",
        "User-Agent",
        "Content-Type",
        "A2A-Version",
        "A2A-Extensions",
        "Idempotency-Key",
        "Last-Event-ID",
        "grpc-timeout",
        "traceparent",
        "X-Goog-Api-Key",
        "",
        "a b",
        "x\r\ny: z",
        ":authority",
    ];
    for name in names {
        let scheme = demanding(json!({"apiKeySecurityScheme": {"location": "header", "name": name}}));
        let error = refused_by(scheme).await;
        assert!(matches!(error, Error::Credential(_)), "{name:?}: {error}");
    }
    for (location, name) in [
        ("query", "key"),
        ("query", "pageToken"),
        ("cookie", "a;b"),
        ("body", "key"),
    ] {
        let scheme = demanding(json!({"apiKeySecurityScheme": {"location": location, "name": name}}));
        let error = refused_by(scheme).await;
        assert!(
            matches!(error, Error::Credential(_)),
            "{location} {name:?}: {error}"
        );
    }
    println!(
        "{} names of headers that only a card chose: none had the key",
        names.len()
    );
}

/// What a client says whose key a card wants in this way, at a site that then has not seen the key.
async fn refused_by(scheme: Value) -> Error {
    let agent = Site::of("{}").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("card.json").display().to_string();
    std::fs::write(&file, card("x", &agent.url(""), scheme).to_string()).unwrap();
    let key = Credential::ApiKey(secret(SECRET));
    let error = ask_as(grpc().credential(key), &file).await.unwrap_err();
    assert_eq!(agent.asked().len(), 0);
    error
}

/// Where credentials stand when they are sent, by gRPC.
#[tokio::test]
async fn credentials_stand_where_the_schemes_say() {
    let key = || Credential::ApiKey(secret("k-1"));
    let basic = || Credential::Basic {
        user: "u".to_owned(),
        password: secret("p"),
    };
    let header = |name: &str| json!({"apiKeySecurityScheme": {"location": "header", "name": name}});
    let http = |scheme: &str| json!({"httpAuthSecurityScheme": {"scheme": scheme}});
    let tenant_key = HeaderName::from_static("x-tenant-key");
    for (scheme, credential, name, value) in [
        (header("X-API-Key"), key(), "x-api-key", "k-1"),
        (header("X-Tenant-Key"), key(), "x-tenant-key", "k-1"),
        (header("Authorization"), key(), "authorization", "k-1"),
        (
            json!({"apiKeySecurityScheme": {"location": "cookie", "name": "session"}}),
            key(),
            "cookie",
            "session=k-1",
        ),
        (http("bearer"), token("t-1"), "authorization", "Bearer t-1"),
        (http("Basic"), basic(), "authorization", "Basic dTpw"),
        (
            json!({"openIdConnectSecurityScheme": {"openIdConnectUrl": "https://a.example"}}),
            token("t-1"),
            "authorization",
            "Bearer t-1",
        ),
    ] {
        let agent = Site::of("{}").await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("card.json").display().to_string();
        let card = card("x", &agent.url(""), demanding(scheme.clone()));
        std::fs::write(&file, card.to_string()).unwrap();
        let builder = grpc().credential(credential).allow_header(tenant_key.clone());
        ask_as(builder, &file).await.unwrap_err();
        let asked = agent.asked();
        assert_eq!(asked.len(), 1, "{scheme}");
        assert_eq!(asked[0].header(name), Some(value), "{scheme}");
    }
}

/// Both schemes of a requirement, or one of two requirements; what is not asked for stays.
#[tokio::test]
async fn requirements_are_met_whole() {
    let schemes = json!({
        "key": {"apiKeySecurityScheme": {"location": "header", "name": "x-api-key"}},
        "jwt": {"httpAuthSecurityScheme": {"scheme": "Bearer"}},
        "mtls": {"mtlsSecurityScheme": {}},
    });
    let (key, jwt) = (Credential::ApiKey(secret("k")), token("t"));
    let both = [key.clone(), jwt.clone()];
    // Requirements, credentials, and what is shown: a key, a token; nothing when the call is not made.
    type Case<'c> = (Value, &'c [Credential], Option<[bool; 2]>);
    let cases: [Case<'_>; 9] = [
        (
            json!([{"schemes": {"key": {}, "jwt": {}}}]),
            &both,
            Some([true, true]),
        ),
        (json!([{"schemes": {"key": {}, "jwt": {}}}]), &both[..1], None),
        (
            json!([{"schemes": {"key": {}}}, {"schemes": {"jwt": {}}}]),
            &both,
            Some([true, false]),
        ),
        (
            json!([{"schemes": {"key": {}}}, {"schemes": {"jwt": {}}}]),
            &both[1..],
            Some([false, true]),
        ),
        (
            json!([{"schemes": {"mtls": {}}}, {"schemes": {"jwt": {}}}]),
            &both[1..],
            Some([false, true]),
        ),
        (
            json!([{"schemes": {}}, {"schemes": {"jwt": {}}}]),
            &both[1..],
            Some([false, true]),
        ),
        (
            json!([{"schemes": {}}, {"schemes": {"jwt": {}}}]),
            &[],
            Some([false, false]),
        ),
        (json!([{"schemes": {"unknown": {}}}]), &both, None),
        (json!([]), &both[1..], Some([false, true])),
    ];
    for (requirements, credentials, shown) in cases {
        let agent = Site::of("{}").await;
        let more = json!({"securitySchemes": schemes, "securityRequirements": requirements});
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("card.json").display().to_string();
        std::fs::write(&file, card("x", &agent.url(""), more).to_string()).unwrap();
        let builder = credentials
            .iter()
            .cloned()
            .fold(grpc(), ClientBuilder::credential);
        let error = ask_as(builder, &file).await.unwrap_err();
        let seen = agent
            .asked()
            .first()
            .map(|one| ["x-api-key", "authorization"].map(|name| one.header(name).is_some()));
        assert_eq!(seen, shown, "{requirements} {credentials:?}");
        assert_eq!(
            matches!(error, Error::CredentialMissing(_)),
            shown.is_none(),
            "{error}"
        );
    }
}

/// Without a scheme on the public card, the extended one is asked for with nothing.
#[tokio::test]
async fn an_extended_card_is_asked_for_by_an_advertised_scheme_only() {
    let capable = json!({"capabilities": {"extendedAgentCard": true}});
    let mut advertised = capable.clone();
    let schemes = json!({"s": {"httpAuthSecurityScheme": {"scheme": "Bearer"}}});
    advertised
        .as_object_mut()
        .unwrap()
        .insert("securitySchemes".to_owned(), schemes);
    for (more, is_shown) in [(capable, false), (advertised, true)] {
        let agent = Site::of("{}").await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("card.json").display().to_string();
        std::fs::write(&file, card("x", &agent.url(""), more).to_string()).unwrap();
        let client = grpc()
            .credential(token("t"))
            .connect(file.as_str())
            .await
            .unwrap();
        client.extended_card().await.unwrap_err();
        assert_eq!(agent.asked()[0].header("authorization").is_some(), is_shown);
    }
}

#[tokio::test]
async fn no_form_of_a_credential_shows_its_secret() {
    let all = [
        token(SECRET),
        Credential::ApiKey(secret(SECRET)),
        Credential::Basic {
            user: "u".to_owned(),
            password: secret(SECRET),
        },
        Credential::Header {
            name: HeaderName::from_static("x-key"),
            value: secret(SECRET),
        },
    ];
    for credential in all {
        let given = Given::new(credential.clone());
        let texts = [
            format!("{credential:?}"),
            format!("{given:#?}"),
            format!("{:?}", credential.credential().await.unwrap()),
            format!("{:?}", credential.renewed(&credential).await.unwrap()),
        ];
        assert!(texts.iter().all(|text| !text.contains(SECRET)), "{texts:?}");
    }
}
