//! API keys as requests show them.

use std::cell::LazyCell;

use a2ad::auth::api_key::{ApiKey, Bearer, NewApiKey};
use a2ad::secrets::Keyring;

use super::edits;

thread_local! {
    static MADE: LazyCell<(Keyring, NewApiKey)> = LazyCell::new(make);
}

fn make() -> (Keyring, NewApiKey) {
    let keyring = Keyring::new(&[7; 32], &[]);
    let bearer = Bearer {
        name: "a".to_owned(),
        organisation: None,
        scopes: Vec::new(),
        created_ms: 0,
        expires_ms: None,
    };
    let made = NewApiKey::make(bearer, &keyring).expect("a key");
    (keyring, made)
}

/// The first byte says whether the rest is a key or edits of a good one. A key has one form, and only the text that was
/// made is the key.
pub fn text(input: &[u8]) {
    let Some((which, rest)) = input.split_first() else {
        return;
    };
    MADE.with(|known| {
        let (keyring, made) = &**known;
        let good = made.text.expose();
        let bytes = if which % 2 == 0 {
            rest.to_vec()
        } else {
            edits::apply(good.as_bytes(), rest)
        };
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return;
        };
        let Some(key) = ApiKey::parse(text) else {
            assert_ne!(text, good);
            return;
        };
        assert_eq!(text.len(), good.len(), "{text}");
        assert_eq!(
            text.get("a2ad_".len()..).and_then(|rest| rest.get(..24)),
            Some(key.id)
        );
        assert!(
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)),
            "{text}"
        );
        let is_it = key
            .is_of(&made.row, keyring)
            .expect("the key of the hash is there");
        assert_eq!(is_it, text == good, "{text}");
    });
}
