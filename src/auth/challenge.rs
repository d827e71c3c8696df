//! What a caller is told to send: the `WWW-Authenticate` header (RFC 9110 section 11.6.1, RFC 6750 section 3).

use super::error::Reason;
use super::settings::{AuthSettings, Combination};
use crate::access::CredentialKind;

/// The protection space that challenges name.
const REALM: &str = "a2ad";

/// The challenge for a refused call; it names every scheme that is taken, and what is wrong with the token if one came.
pub(super) fn challenge(settings: &AuthSettings, kind: CredentialKind, reason: Reason) -> String {
    let mut challenges = Vec::new();
    let takes = |part: fn(Combination) -> bool| settings.accept.iter().any(|&one| part(one));
    if takes(Combination::has_jwt) {
        let mut bearer = format!("Bearer realm=\"{REALM}\"");
        if kind == CredentialKind::Jwt && reason != Reason::Missing {
            // The reasons hold neither quotes nor backslashes; a unit test keeps it so.
            bearer.push_str(&format!(
                ", error=\"invalid_token\", error_description=\"{reason}\""
            ));
        }
        challenges.push(bearer);
    }
    if takes(Combination::has_api_key) {
        challenges.push(format!("ApiKey realm=\"{REALM}\", header=\"x-api-key\""));
    }
    if takes(Combination::has_certificate) {
        challenges.push(format!("MutualTLS realm=\"{REALM}\""));
    }
    challenges.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_can_stand_between_quotes() {
        for reason in Reason::ALL {
            let text = reason.to_string();
            assert!(!text.contains(['"', '\\']) && text.is_ascii(), "{text}");
        }
    }
}
