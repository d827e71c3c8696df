//! Tokens, and the key sets that they are verified with. The library that the program has its signatures from decides
//! again, by its own reading of a token.

use std::cell::LazyCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use a2ad::auth::{AuthSettings, Authenticator, Combination, IssuerSettings, KeySource, Needs, Presented};
use a2ad::clock::Clock;
use a2ad::egress::{Egress, EgressPolicy, EgressSettings};
use a2ad::repository::memory::MemoryRepository;
use a2ad::secrets;
use a2ad::shutdown::Shutdown;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use tempfile::TempDir;

const ISSUER: &str = "https://idp.example.com";
const AUDIENCE: &str = "https://agents.example.com";
const LEEWAY_S: u64 = 60;
/// A public seed: an input that was found does the same in the next run.
const SEED: [u8; 32] = [7; 32];

thread_local! {
    static DESK: LazyCell<Desk> = LazyCell::new(Desk::open);
}

/// What all inputs share.
struct Desk {
    tokio: tokio::runtime::Runtime,
    folder: TempDir,
    egress: Egress,
    pen: Ed25519KeyPair,
    /// The public half of the pen.
    key: Value,
    /// Knows that key.
    authenticator: Authenticator,
    /// Stops nothing as long as it is here.
    _shutdown: Shutdown,
}

/// The first byte says what the rest is: a token as it stands, the header (up to the end of the line) and the claims of
/// a token that is signed well, or a key set for a good token.
pub fn jwt(input: &[u8]) {
    let Some((which, rest)) = input.split_first() else {
        return;
    };
    DESK.with(|desk| match which % 3 {
        0 => {
            if let Ok(token) = std::str::from_utf8(rest) {
                desk.token(token);
            }
        }
        1 => {
            let (header, claims) = super::requests::split_line(rest);
            desk.token(&desk.sign(header, claims));
        }
        _ => desk.key_set(rest),
    });
}

impl Desk {
    fn open() -> Self {
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (folder, shutdown) = (tempfile::tempdir().expect("a folder"), Shutdown::new());
        let pen = Ed25519KeyPair::from_seed_unchecked(&SEED).expect("a key");
        let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": URL_SAFE_NO_PAD.encode(pen.public_key())});
        let file = folder.path().join("known.json");
        std::fs::write(&file, json!({ "keys": [key] }).to_string()).expect("a key file");
        let egress = tokio
            .block_on(Egress::open(EgressSettings::default(), &shutdown))
            .expect("a way out");
        let authenticator = tokio
            .block_on(authenticator(file, &egress, &shutdown))
            .expect("the key is good");
        Self {
            tokio,
            folder,
            egress,
            pen,
            key,
            authenticator,
            _shutdown: shutdown,
        }
    }

    fn sign(&self, header: &[u8], claims: &[u8]) -> String {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        let signature = self.pen.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What is taken, the library takes as well: signature, issuer, audience and times.
    fn token(&self, token: &str) {
        if self.tokio.block_on(takes(&self.authenticator, token)) {
            is_good(token, &self.key);
        }
    }

    /// A token is taken only with a set that holds the key that it was signed with, for signatures.
    fn key_set(&self, set: &[u8]) {
        let file = self.folder.path().join("set.json");
        std::fs::write(&file, set).expect("a key file");
        let header = if set.len().is_multiple_of(2) {
            json!({"alg": "EdDSA"})
        } else {
            json!({"alg": "EdDSA", "kid": "ed"})
        };
        let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "a", "exp": 4_102_444_800_u64});
        let token = self.sign(header.to_string().as_bytes(), claims.to_string().as_bytes());
        let is_taken = self.tokio.block_on(async {
            let shutdown = Shutdown::new();
            let is_taken = match authenticator(file, &self.egress, &shutdown).await {
                Ok(authenticator) => takes(&authenticator, &token).await,
                Err(_) => false,
            };
            shutdown.drain();
            assert!(shutdown.finished(Duration::from_secs(5)).await);
            is_taken
        });
        if !is_taken {
            return;
        }
        let set: Value = serde_json::from_slice(set).expect("a set is JSON");
        let key = set["keys"]
            .as_array()
            .expect("a set has keys")
            .iter()
            .find(|key| key["x"] == self.key["x"])
            .expect("the key stands there");
        assert!(key["use"].is_null() || key["use"] == "sig", "{key}");
        let operations = &key["key_ops"];
        assert!(
            operations.is_null()
                || operations
                    .as_array()
                    .is_some_and(|all| all.contains(&json!("verify"))),
            "{key}"
        );
        assert!(header["kid"].is_null() || key["kid"] == header["kid"], "{key}");
        is_good(&token, key);
    }
}

async fn authenticator(
    file: PathBuf,
    egress: &Egress,
    shutdown: &Shutdown,
) -> Result<Authenticator, a2ad::auth::SetupError> {
    const NEVER: Duration = Duration::from_secs(24 * 3_600);
    let issuer = IssuerSettings {
        name: "a".to_owned(),
        issuer: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA],
        keys: KeySource::File(file),
        egress: EgressPolicy::default(),
        principal_claim: "sub".to_owned(),
        scopes_claim: "scope".to_owned(),
        organisation_claim: Some("org.id".to_owned()),
        organisations: None,
        organisation: None,
        refresh_interval: NEVER,
        refresh_pause: NEVER,
        stale_max: NEVER,
    };
    let settings = AuthSettings {
        issuers: vec![issuer],
        accept: vec![Combination::Jwt],
        // A little less than the library has: its clock is read a moment later.
        clock_leeway: Duration::from_secs(LEEWAY_S - 2),
        reload_interval: NEVER,
        ..AuthSettings::open()
    };
    let needs = Needs {
        clock: Clock::system(),
        shutdown,
        egress,
        keys: Arc::new(MemoryRepository::new()),
        secrets: secrets::KeySource::none(),
    };
    Authenticator::new(settings, needs).await
}

async fn takes(authenticator: &Authenticator, token: &str) -> bool {
    let Ok(value) = HeaderValue::from_str(&format!("Bearer {token}")) else {
        return false;
    };
    let mut headers = HeaderMap::new();
    headers.insert("authorization", value);
    let presented = Presented {
        headers: &headers,
        certificate: None,
    };
    match authenticator.authenticate(presented).await {
        Ok(caller) => {
            let name = caller.principal.as_str();
            assert!(name.starts_with(&format!("jwt:{ISSUER}#")), "{name}");
            true
        }
        Err(failure) => {
            let _ = authenticator.error(&failure);
            false
        }
    }
}

fn is_good(token: &str, key: &Value) {
    let key: Jwk = serde_json::from_value(key.clone()).expect("a key");
    let key = DecodingKey::from_jwk(&key).expect("a public key");
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&[AUDIENCE]);
    validation.set_issuer(&[ISSUER]);
    validation.set_required_spec_claims(&["exp", "aud", "iss"]);
    validation.validate_nbf = true;
    validation.leeway = LEEWAY_S;
    let decoded = jsonwebtoken::decode::<Value>(token, &key, &validation);
    assert!(
        decoded.is_ok() || has_hints(token),
        "{token} was taken: {decoded:?}"
    );
}

/// Members of a header that the program passes over, and the library reads.
fn has_hints(token: &str) -> bool {
    const HINTS: [&str; 9] = [
        "cty", "jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "url", "nonce",
    ];
    let header = token.split('.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(header).unwrap_or_default();
    let header: Value = serde_json::from_slice(&header).unwrap_or_default();
    HINTS.iter().any(|hint| header.get(hint).is_some())
}
