//! `[card]`: how agent cards are served.

use std::path::PathBuf;

use super::error::Problem;
use super::schema::{choice, section};
use super::validate::check_url;

/// The longest key id, in bytes; verifiers read no longer ones.
const KEY_ID_BYTES_MAX: usize = 256;

choice! {
    /// Which extensions of this runtime a card names.
    pub enum CardCapabilities {
        /// All that the runtime offers, none of them required.
        Full = "full",
        /// None: for clients that stumble over extensions.
        None = "none",
        /// All, and the idempotency key is required of clients.
        RequiredExtension = "required-extension",
    }
}

section! {
    /// Agent cards over HTTP.
    pub struct Card {
        /// Seconds for which a client may keep a card before it asks again (Cache-Control).
        max_age_s: u32 = 300, 0..=31_536_000;
        /// Extensions on the card: "full", "none", or "required-extension" when clients must declare them.
        capabilities: CardCapabilities = CardCapabilities::Full;
        /// Private key that cards are signed with (specification 8.4): PEM of PKCS#8, P-256 or Ed25519, readable by its
        /// owner only; `openssl genpkey -algorithm ED25519 -out card.key`. Read at start. Absent: cards are not signed.
        signing_key_file: Option<PathBuf> = None;
        /// Id of that key in signatures (`kid`) and in /.well-known/jwks.json. Absent: its thumbprint (RFC 7638).
        signing_key_id: Option<String> = None;
        /// URL that signatures name for the key set (`jku`), for verifiers that look there. Absent: they name none.
        signing_key_url: Option<String> = None;
    }
}

impl Card {
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let id = self.signing_key_id.as_deref();
        if id.is_some_and(|id| id.is_empty() || id.len() > KEY_ID_BYTES_MAX) {
            let message =
                format!("is empty or longer than {KEY_ID_BYTES_MAX} bytes; leave it out for the thumbprint");
            found.push(Problem::new("card.signing_key_id", message));
        }
        if let Some(url) = &self.signing_key_url {
            found.extend(check_url("card.signing_key_url", url));
        }
        let of_the_key = [
            ("card.signing_key_id", id.is_some()),
            ("card.signing_key_url", self.signing_key_url.is_some()),
        ];
        for (name, is_set) in of_the_key {
            if is_set && self.signing_key_file.is_none() {
                found.push(Problem::new(
                    name,
                    "has no effect without card.signing_key_file; set it too",
                ));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_key_need_the_key() {
        let with_key = Card {
            signing_key_file: Some("card.key".into()),
            ..Card::default()
        };
        assert!(with_key.problems().is_empty() && Card::default().problems().is_empty());
        let keyless = Card {
            signing_key_id: Some("k".to_owned()),
            signing_key_url: Some("https://a.example/keys".to_owned()),
            ..Card::default()
        };
        let named: Vec<String> = keyless
            .problems()
            .into_iter()
            .map(|problem| problem.key)
            .collect();
        assert_eq!(named, ["card.signing_key_id", "card.signing_key_url"]);
        for id in ["", &"k".repeat(257)] {
            let signing_key_id = Some(id.to_owned());
            let card = Card {
                signing_key_id,
                ..with_key.clone()
            };
            assert_eq!(card.problems().len(), 1, "{id}");
        }
        for url in [
            "keys.json",
            "https://user:secret@a.example/keys",
            "ftp://a.example",
        ] {
            let signing_key_url = Some(url.to_owned());
            let card = Card {
                signing_key_url,
                ..with_key.clone()
            };
            assert_eq!(card.problems().len(), 1, "{url}");
        }
    }
}
