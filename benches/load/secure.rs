//! What identity, access, limits and audit cost a unary call over mutual TLS, each on top of the one before.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use a2ad::tls::ClientTls;
use a2ad::tls::dev::{DevCa, Names, Validity};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use rustls::ClientConfig;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Background, grpc};
use crate::measure::{Gauge, Sample, Series, order};
use crate::options::Options;
use crate::server::{Server, Store, directory};
use crate::table::{Table, median, note, spread};
use crate::{Outcome, machine, payload};

const IN_FLIGHT: usize = 16;
const CONNECTIONS: usize = 4;
const ISSUER: &str = "https://idp.example.com";
const AUDIENCE: &str = "https://agents.example.com";

/// Certificates, an issuer's key file and a token, as an operator and a caller have them.
struct Place {
    dir: TempDir,
    client: Arc<ClientConfig>,
    token: HeaderValue,
}

impl Place {
    async fn new(options: &Options) -> Outcome<Self> {
        let dir = directory(&options.dir)?;
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text);
        let ca = DevCa::generate("bench", Validity::days(1))?;
        let server = ca.issue_server(
            &Names {
                dns: vec!["localhost".to_owned()],
                ..Names::default()
            },
            Validity::days(1),
        )?;
        let client = ca.issue_client(
            &Names {
                uris: vec!["spiffe://example.org/caller".to_owned()],
                ..Names::default()
            },
            Validity::days(1),
        )?;
        write("ca.pem", &ca.cert_pem())?;
        write("server.pem", &server.cert_pem)?;
        write("server.key", &server.key_pem)?;
        write("client.pem", &client.cert_pem)?;
        write("client.key", &client.key_pem)?;
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        write("keys.json", &jwks(&key).to_string())?;
        let tls = ClientTls {
            ca_file: dir.path().join("ca.pem"),
            cert_file: Some(dir.path().join("client.pem")),
            key_file: Some(dir.path().join("client.key")),
        };
        Ok(Self {
            client: Arc::new(tls.rustls(&["h2"]).await?),
            token: HeaderValue::from_str(&format!("Bearer {}", token(&key)?))?,
            dir,
        })
    }

    fn set(&self, key: &str, file: &str) -> String {
        format!("{key}={}", self.dir.path().join(file).display())
    }

    /// Mutual TLS and nothing else.
    fn tls(&self) -> Vec<String> {
        vec![
            self.set("tls.cert_file", "server.pem"),
            self.set("tls.key_file", "server.key"),
            self.set("tls.client_ca_file", "ca.pem"),
        ]
    }
}

/// A step: what it adds to the settings of the one before, and whether callers show a token from here on.
struct Step {
    name: &'static str,
    settings: Vec<String>,
    by_token: bool,
}

fn steps(place: &Place) -> Vec<Step> {
    let step = |name, settings: &[String], by_token| Step {
        name,
        settings: settings.to_vec(),
        by_token,
    };
    let text = |settings: &[&str]| settings.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
    let open = text(&["access.default=allow", "audit.database=false"]);
    let identity = [
        text(&[
            &format!("auth.issuers.idp.issuer={ISSUER}"),
            &format!("auth.issuers.idp.audiences=[\"{AUDIENCE}\"]"),
        ]),
        vec![place.set("auth.issuers.idp.keys_file", "keys.json")],
    ]
    .concat();
    let roles = text(&[
        "access.default=deny",
        "access.roles.a.scopes=[\"admin\"]",
        "access.roles.a.operations=[\"*\"]",
        "access.roles.b.scopes=[\"send\"]",
        "access.roles.b.operations=[\"send\", \"read\"]",
        "access.spaces.team.claim=team",
    ]);
    let quotas = text(&[
        "quotas.principal.requests_per_minute=100000000",
        "quotas.principal.streams_max=1000",
        "quotas.agent.requests_per_minute=100000000",
    ]);
    let to_a_file = vec![place.set("audit.file", "audit.jsonl")];
    let to_the_database = text(&["audit.database=true"]);
    vec![
        step("mutual TLS, everything allowed", &open, false),
        step("the same, a token comes along and nobody reads it", &[], true),
        step("+ JWT, cached", &identity, true),
        step("+ roles and a shared space", &roles, true),
        step("+ quotas", &quotas, true),
        step("+ audit, to a file", &to_a_file, true),
        step("+ audit, to the database too", &to_the_database, true),
    ]
}

pub async fn run(options: &Options) -> Outcome {
    let mut table = Table::new(&[
        "unary SendMessage over mutual TLS, gRPC, 16 in flight",
        "server CPU us/request",
        "x mutual TLS alone",
        "x mutual TLS and a token",
        "requests/s",
        "core busy %",
        "p99 us",
    ]);
    let wanted = |store: &Store| store.name().contains(&options.only);
    for store in [Store::Memory, Store::Sqlite].into_iter().filter(wanted) {
        let place = Place::new(options).await?;
        let (mut servers, mut settings) = (Vec::new(), place.tls());
        for step in steps(&place) {
            settings.extend(step.settings);
            let all: Vec<&str> = settings.iter().map(String::as_str).collect();
            let server = Server::a2ad(options, store, "echo", &all)?;
            servers.push((format!("{}, {}", store.name(), step.name), server, step.by_token));
        }
        let mut series = vec![Series::default(); servers.len()];
        for round in 0..options.rounds {
            for index in order(round, servers.len()) {
                let (name, server, by_token) = &servers[index];
                let sample = window(&place, server, *by_token, options).await?;
                note(format!("{name}, round {round}: {sample:?}"));
                series[index].push(sample);
            }
        }
        for ((name, ..), one) in servers.iter().zip(&series) {
            table.row(row(name, one, [&series[0], &series[1]]));
        }
    }
    table.print("secure: what identity, access, limits and audit cost");
    Ok(())
}

fn row(name: &str, series: &Series, bases: [&Series; 2]) -> Vec<String> {
    let over = |base| spread(series.over(base, |sample: &Sample| sample.cpu_us), 2);
    vec![
        name.to_owned(),
        spread(series.of(|sample| sample.cpu_us), 1),
        over(bases[0]),
        over(bases[1]),
        spread(series.of(|sample| sample.per_second), 0),
        median(series.of(Sample::busy_percent), 0),
        median(series.of(|sample| sample.p99_us), 0),
    ]
}

async fn window(place: &Place, server: &Server, by_token: bool, options: &Options) -> Outcome<Sample> {
    machine::provide_memory()?;
    let gauge = Gauge::new()?;
    let mut background = Background::default();
    let frame = payload::grpc_frame(&payload::request(payload::text()));
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections
            .push(grpc::Connection::open_tls(server.address, place.client.clone(), &mut background).await?);
    }
    for worker in 0..IN_FLIGHT {
        let mut connection = connections[worker % connections.len()].clone();
        let mut request = connection.request(payload::SEND_MESSAGE);
        if by_token {
            request.headers_mut().insert("authorization", place.token.clone());
        }
        let (frame, gauge) = (frame.clone(), gauge.clone());
        background.spawn(async move {
            let error = loop {
                let start = Instant::now();
                match connection.unary(request.clone(), frame.clone()).await {
                    Ok(_) => gauge.add(1, start.elapsed()),
                    Err(error) => break error,
                }
            };
            gauge.fail(&*error);
        });
    }
    gauge.watch(server, options).await
}

fn jwks(key: &EcdsaKeyPair) -> Value {
    let point = key.public_key().as_ref();
    let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "x": base64(&point[1..33]), "y": base64(&point[33..])}]})
}

/// A token of the size that providers make.
fn token(key: &EcdsaKeyPair) -> Outcome<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "caller", "iat": now, "exp": now + 86_400, "jti": "bench",
        "scope": "send openid profile", "team": "red", "groups": ["one", "two", "three"], "name": "A Caller",
        "email": "caller@example.com", "sid": "0123456789abcdef0123456789abcdef",
    });
    let header = json!({"alg": "ES256", "typ": "JWT", "kid": "k"});
    let base64 = |text: String| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
