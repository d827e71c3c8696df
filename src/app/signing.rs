//! The keys that sign cards and webhooks, and those that are only published.

use std::sync::Arc;

use super::StartError;
use crate::config::Config;
use crate::secrets::{self, KeySource, Keyring};
use crate::signature::SigningKey;

/// What the keys of webhooks are derived for. Signatures of it stand in no database, but receivers pin the keys.
const PURPOSE: &str = "push signing";

/// Former keys that are published of those that are derived, the first ones: verifiers read sets of 64 keys in all.
const FORMER_MAX: usize = 8;

/// The keys of a runtime.
#[derive(Default)]
pub(super) struct SigningKeys {
    /// Signs cards.
    pub(super) cards: Option<Arc<SigningKey>>,
    /// Signs webhooks.
    pub(super) push: Option<Arc<SigningKey>>,
    /// Sign nothing, now.
    pub(super) published: Vec<Arc<SigningKey>>,
}

/// The keys that a configuration names. Webhooks are signed with a key of their own, or that of cards, or else one that
/// is derived from what secrets are sealed with: servers that share a database share it, and whoever changes
/// `secrets.key` changes it, its former form being published as long as the former key is configured.
///
/// # Errors
/// When a file can't be used or made.
pub(super) fn keys(config: &Config, secrets: &KeySource) -> Result<SigningKeys, StartError> {
    let (card, push) = (&config.card, &config.push);
    let (id, url) = (card.signing_key_id.as_deref(), card.signing_key_url.as_deref());
    let read = |file, id, url| SigningKey::read(file, id, url).map(Arc::new);
    let cards = card
        .signing_key_file
        .as_deref()
        .map(|file| read(file, id, url))
        .transpose()?;
    let own = push
        .signing_key_file
        .as_deref()
        .map(|file| read(file, None, None))
        .transpose()?;
    let mut published = Vec::new();
    for file in &push.published_key_files {
        published.push(read(file, None, None)?);
    }
    let mut signing = own.or_else(|| cards.clone());
    if signing.is_none() {
        let mut derived = derived(secrets)?.into_iter();
        signing = derived.next();
        published.extend(derived.take(FORMER_MAX));
    }
    if signing.is_none() {
        tracing::warn!("webhooks are not signed; set push.signing_key_file, or secrets.key");
    }
    Ok(SigningKeys {
        cards,
        push: signing,
        published,
    })
}

/// A key for each one that secrets are sealed with, the current one first; none without.
fn derived(secrets: &KeySource) -> Result<Vec<Arc<SigningKey>>, StartError> {
    let keyring: Arc<Keyring> = match secrets.needed() {
        Ok(keyring) => keyring,
        Err(secrets::Error::NoKey) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut keys = Vec::new();
    for id in keyring.ids() {
        let key = SigningKey::of_seed(&keyring.derive(id, PURPOSE)?)?;
        keys.push(Arc::new(key));
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn ids(config: &Config, secrets: &KeySource) -> (Option<String>, Vec<String>) {
        let keys = keys(config, secrets).unwrap();
        let id = |key: &Arc<SigningKey>| key.id().to_owned();
        (
            keys.push.as_ref().map(id),
            keys.published.iter().map(id).collect(),
        )
    }

    /// Two servers have the same key, and receivers know the former one as long as it may have signed.
    #[test]
    fn without_a_file_the_key_is_derived_from_what_secrets_are_sealed_with() {
        let config = Config::default();
        let ring = |current: u8, previous: &[u8]| {
            let previous: Vec<[u8; 32]> = previous.iter().map(|byte| [*byte; 32]).collect();
            KeySource::of(Keyring::new(&[current; 32], &previous))
        };
        let (old, none) = ids(&config, &ring(1, &[]));
        assert!(none.is_empty() && old == ids(&config, &ring(1, &[])).0);
        let (new, published) = ids(&config, &ring(2, &[1]));
        assert_ne!(new, old);
        assert_eq!(published, [old.unwrap()]);
        let many: Vec<u8> = (10..100).collect();
        assert_eq!(ids(&config, &ring(2, &many)).1.len(), FORMER_MAX);
        assert_eq!(ids(&config, &KeySource::none()), (None, Vec::new()));
    }

    #[test]
    fn a_file_beside_the_database_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let (made, _) = ids(&Config::default(), &KeySource::beside(&database));
        assert!(made.is_some() && KeySource::file_beside(&database).is_some());
        assert_eq!(ids(&Config::default(), &KeySource::beside(&database)).0, made);
    }

    #[test]
    fn a_missing_file_is_an_error() {
        for with in [
            |config: &mut Config| config.push.signing_key_file = Some("missing.key".into()),
            |config: &mut Config| config.push.published_key_files = vec!["missing.key".into()],
        ] {
            let mut config = Config::default();
            config.secrets.key = Some(Secret::new("00".repeat(32)));
            with(&mut config);
            let error = keys(&config, &KeySource::none())
                .err()
                .map(|error| error.to_string());
            assert!(error.is_some_and(|error| error.contains("missing.key")));
        }
    }
}
