//! `[push]`: push notifications.

use std::path::PathBuf;

use super::schema::section;

section! {
    /// Where webhooks may be.
    pub struct Push {
        /// Takes webhooks on loopback, by plain http too. For development and tests: a caller could otherwise reach
        /// whatever listens on this machine.
        allow_loopback_webhooks: bool = false;
        /// Networks that are not public and whose hosts may be webhooks all the same, like "10.1.0.0/16". Loopback,
        /// link-local and multicast addresses are none of theirs, whatever is written here.
        allowed_networks: Vec<String> = Vec::new();
        /// Private key that webhooks are signed with (RFC 9421): PEM of PKCS#8, P-256 or Ed25519, readable by its owner
        /// only. Absent: the key of cards; without one, a key derived from `secrets.key` or the key file of the database.
        signing_key_file: Option<PathBuf> = None;
        /// Further private keys whose public halves stand in /.well-known/jwks.json: the next key before it signs, and
        /// former ones as long as receivers may need them. At most 8.
        published_key_files: Vec<PathBuf> = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn published_keys_have_a_limit() {
        let mut config = Config::default();
        config.push.published_key_files = vec!["k.key".into(); 8];
        assert!(config.validate().is_ok());
        config.push.published_key_files.push("k.key".into());
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains("push.published_key_files"), "{error}");
    }
}
