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
