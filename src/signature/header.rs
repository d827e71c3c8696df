//! The protected header of a signature (RFC 7515 section 4), written and read.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Value, json};

use super::Refusal;
use crate::pb::AgentCardSignature;

/// The longest protected header that is read, in bytes of base64.
const PROTECTED_BYTES_MAX: usize = 8_192;
/// The longest key id, in bytes.
const KID_BYTES_MAX: usize = 256;

/// Members that change what a signature means. None is supported (RFC 7515 section 4.1.11, RFC 7797).
const UNSUPPORTED: [&str; 2] = ["crit", "b64"];
/// Members that count only where they are signed. Somebody may read them outside, so there they are refused.
const PROTECTED_ONLY: [&str; 9] = ["alg", "kid", "typ", "jku", "jwk", "x5u", "x5c", "crit", "b64"];

/// What a header says about the key. Nothing in it is believed yet.
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: String,
}

/// The header as it is signed, in base64.
pub(super) fn write(alg: &str, kid: &str, jku: Option<&str>) -> String {
    let mut header = json!({"alg": alg, "typ": "JOSE", "kid": kid});
    if let (Some(jku), Some(members)) = (jku, header.as_object_mut()) {
        members.insert("jku".to_owned(), json!(jku));
    }
    URL_SAFE_NO_PAD.encode(header.to_string())
}

/// Reads the headers of a signature.
pub(super) fn read(signature: &AgentCardSignature) -> Result<Header, Refusal> {
    if signature.protected.len() > PROTECTED_BYTES_MAX {
        return Err(Refusal::Malformed);
    }
    let bytes = URL_SAFE_NO_PAD
        .decode(&signature.protected)
        .map_err(|_| Refusal::Malformed)?;
    let Members(mut members) = serde_json::from_slice(&bytes).map_err(|_| Refusal::Malformed)?;
    let outside = signature.header.iter().flat_map(|header| header.fields.keys());
    let mut outside = outside.map(String::as_str);
    if UNSUPPORTED.iter().any(|name| members.contains_key(*name))
        || outside.any(|name| PROTECTED_ONLY.contains(&name) || members.contains_key(name))
    {
        return Err(Refusal::Unsupported);
    }
    let Some(Value::String(alg)) = members.remove("alg") else {
        return Err(Refusal::Malformed);
    };
    match members.remove("kid") {
        Some(Value::String(kid)) if kid.len() <= KID_BYTES_MAX => Ok(Header { alg, kid }),
        Some(_) => Err(Refusal::Malformed),
        None => Err(Refusal::NoKeyId),
    }
}

/// A JSON object in which no name stands twice: who reads the first one and who reads the last one would not agree.
struct Members(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member stands there twice"));
            }
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(protected: &str, header: Option<&str>) -> Result<(String, String), Refusal> {
        let signature = AgentCardSignature {
            protected: URL_SAFE_NO_PAD.encode(protected),
            signature: String::new(),
            header: header.map(|name| prost_types::Struct {
                fields: [(name.to_owned(), true.into())].into(),
            }),
        };
        read(&signature).map(|header| (header.alg, header.kid))
    }

    #[test]
    fn a_header_is_read_as_it_is_written() {
        for jku in [None, Some("https://example.com/keys")] {
            let protected = write("ES256", "k", jku);
            let signature = AgentCardSignature {
                protected,
                ..AgentCardSignature::default()
            };
            let header = read(&signature).unwrap();
            assert_eq!((header.alg.as_str(), header.kid.as_str()), ("ES256", "k"));
        }
    }

    #[test]
    fn headers_that_are_none_are_refused() {
        let good = r#"{"alg":"ES256","kid":"k"}"#;
        assert!(read_text(good, None).is_ok() && read_text(good, Some("note")).is_ok());
        let long = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(257));
        let huge = format!(r#"{{"alg":"ES256","kid":"k","x":"{}"}}"#, "x".repeat(8_192));
        for (protected, outside, refusal) in [
            ("", None, Refusal::Malformed),
            ("[]", None, Refusal::Malformed),
            (r#"{"kid":"k"}"#, None, Refusal::Malformed),
            (r#"{"alg":1,"kid":"k"}"#, None, Refusal::Malformed),
            (r#"{"alg":"ES256"}"#, None, Refusal::NoKeyId),
            (r#"{"alg":"ES256","kid":null}"#, None, Refusal::Malformed),
            (r#"{"alg":"ES256","kid":"k","kid":"k"}"#, None, Refusal::Malformed),
            (
                r#"{"alg":"ES256","kid":"k","x":1,"x":1}"#,
                None,
                Refusal::Malformed,
            ),
            (
                r#"{"alg":"ES256","kid":"k","crit":null}"#,
                None,
                Refusal::Unsupported,
            ),
            (
                r#"{"alg":"ES256","kid":"k","crit":["exp"]}"#,
                None,
                Refusal::Unsupported,
            ),
            (
                r#"{"alg":"ES256","kid":"k","b64":false}"#,
                None,
                Refusal::Unsupported,
            ),
            (&long, None, Refusal::Malformed),
            (&huge, None, Refusal::Malformed),
            (good, Some("crit"), Refusal::Unsupported),
            (good, Some("alg"), Refusal::Unsupported),
            (good, Some("jwk"), Refusal::Unsupported),
            (
                r#"{"alg":"ES256","kid":"k","x":1}"#,
                Some("x"),
                Refusal::Unsupported,
            ),
        ] {
            assert_eq!(
                read_text(protected, outside),
                Err(refusal),
                "{protected} {outside:?}"
            );
        }
    }
}
