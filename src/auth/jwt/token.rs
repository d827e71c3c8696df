//! The three parts of a token (RFC 7515 section 7.1), taken apart.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::claims::Claims;
use super::members::members;
use crate::auth::Reason;

/// The longest key id that is compared, in bytes.
const KID_BYTES_MAX: usize = 256;

/// A token that is well-formed. Nothing in it is believed yet.
pub(in crate::auth) struct Token<'a> {
    /// What is signed.
    pub(super) signed: &'a [u8],
    /// The signature, as it stands there.
    pub(super) signature: &'a str,
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    pub(super) claims: Claims,
}

/// What is read of a header; members with other names are passed over, whatever they promise.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    /// Extensions that have to be understood; none is (RFC 7515 section 4.1.11).
    #[serde(default)]
    crit: Present,
    /// Unencoded payloads (RFC 7797) are not taken.
    #[serde(default)]
    b64: Present,
    /// The token is encrypted, or compressed.
    #[serde(default)]
    enc: Present,
    #[serde(default)]
    zip: Present,
}

/// Whether a member is there, with any value.
#[derive(Default)]
struct Present(bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// Malformed and Unsupported; Claims when the payload is no object.
    pub(in crate::auth) fn parse(text: &'a str) -> Result<Self, Reason> {
        let (signed, signature) = text.rsplit_once('.').ok_or(Reason::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Reason::Malformed)?;
        if payload.contains('.') || signature.is_empty() {
            return Err(Reason::Malformed);
        }
        let header = members(&decode(header)?).ok_or(Reason::Malformed)?;
        let header = Value::Object(header.into_iter().collect());
        let header: Header = serde_json::from_value(header).map_err(|_| Reason::Malformed)?;
        // Decoded here as well, because what follows forgives what it should not.
        decode(signature)?;
        if [&header.crit, &header.b64, &header.enc, &header.zip]
            .iter()
            .any(|member| member.0)
            || !is_access_token(header.typ.as_deref())
        {
            return Err(Reason::Unsupported);
        }
        if header.kid.as_ref().is_some_and(|kid| kid.len() > KID_BYTES_MAX) {
            return Err(Reason::Malformed);
        }
        Ok(Self {
            signed: signed.as_bytes(),
            signature,
            algorithm: algorithm(&header.alg).ok_or(Reason::Unsupported)?,
            kid: header.kid,
            claims: Claims::parse(&decode(payload)?)?,
        })
    }

    /// Who it says issued it.
    ///
    /// # Errors
    /// When it does not say so.
    pub(in crate::auth) fn issuer(&self) -> Result<&str, Reason> {
        self.claims.issuer()
    }
}

/// The algorithm of this name, one of three: RS256, ES256 and EdDSA. `none` and those with a shared secret are not among them, so that no
/// configuration can let them in.
pub fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "ES256" => Some(Algorithm::ES256),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// Tokens for something else carry another type (RFC 8725 section 3.11); many providers write none.
fn is_access_token(typ: Option<&str>) -> bool {
    let Some(typ) = typ else { return true };
    let lower = typ.to_ascii_lowercase();
    matches!(
        lower.strip_prefix("application/").unwrap_or(&lower),
        "jwt" | "at+jwt"
    )
}

fn decode(part: &str) -> Result<Vec<u8>, Reason> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Reason::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by fuzzing: members that nobody asks for were not read, so that what is not JSON went through.
    #[test]
    fn a_header_is_read_to_its_last_member() {
        let parse = |header: &[u8]| {
            let text = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header));
            Token::parse(&text).map(|token| token.algorithm)
        };
        for good in [
            &br#"{"alg":"EdDSA"}"#[..],
            br#"{"alg":"EdDSA","typ":null,"kid":null}"#,
            br#"{"x":{"y":["\u00e9",1.5]},"alg":"EdDSA"}"#,
        ] {
            assert_eq!(parse(good), Ok(Algorithm::EdDSA));
        }
        for bad in [
            &b"{\"alg\":\"EdDSA\",\"x\":\"\xe1\"}"[..],
            br#"{"alg":"EdDSA","x":"\ud800"}"#,
            br#"{"alg":"EdDSA","x":1e400}"#,
            br#"{"alg":"EdDSA","x":1,"x":2}"#,
            br#"{"alg":"EdDSA","x":[{"y":1,"y":2}]}"#,
            br#"{"alg":"EdDSA","alg":"EdDSA"}"#,
        ] {
            assert_eq!(
                parse(bad),
                Err(Reason::Malformed),
                "{}",
                String::from_utf8_lossy(bad)
            );
        }
    }
}
