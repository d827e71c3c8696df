//! `[secrets]`: the keys that what callers entrust is sealed with.

use super::schema::section;
use super::secret::Secret;
use super::server::decode_key;

section! {
    /// The keys that secrets at rest (tokens and credentials of webhooks) are sealed with.
    pub struct Secrets {
        /// Seals what is stored from now on: 32 bytes in hex or base64, `openssl rand -hex 32`. All servers of one database
        /// have the same. Absent on SQLite: a key of its own in a file beside the database, made when it is first needed.
        /// Absent on PostgreSQL: webhooks with a token or credentials are refused.
        key: Option<Secret<String>> = None;
        /// Former keys, separated by commas. They open what they have sealed and seal nothing; after `a2ad db reseal`
        /// they can go, once no API key is left that was made under them: it says how many there are.
        previous_keys: Option<Secret<String>> = None;
    }
}

impl Secrets {
    /// The key as bytes; `None` when it is absent or not 32 bytes, which validation refuses.
    pub fn key_bytes(&self) -> Option<Secret<[u8; 32]>> {
        decode_key(self.key.as_ref()?.expose()).map(Secret::new)
    }

    /// The former keys as bytes; `None` when one of them is not 32 bytes, which validation refuses.
    pub fn previous_key_bytes(&self) -> Option<Vec<Secret<[u8; 32]>>> {
        let Some(keys) = &self.previous_keys else {
            return Some(Vec::new());
        };
        let texts = keys.expose().split(',').map(str::trim);
        texts.map(|text| decode_key(text).map(Secret::new)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previous_keys_are_separated_by_commas() {
        let of = |text: &str| {
            let secrets = Secrets {
                previous_keys: Some(Secret::new(text.to_owned())),
                ..Secrets::default()
            };
            let keys = secrets.previous_key_bytes()?;
            Some(keys.iter().map(|key| key.expose()[0]).collect::<Vec<_>>())
        };
        let (one, two) = ("01".repeat(32), "02".repeat(32));
        assert_eq!(of(&one), Some(vec![1]));
        assert_eq!(of(&format!("{one}, {two}")), Some(vec![1, 2]));
        for wrong in ["", ",", "short", &format!("{one},"), &format!("{one} {two}")] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(Secrets::default().previous_key_bytes(), Some(Vec::new()));
    }
}
