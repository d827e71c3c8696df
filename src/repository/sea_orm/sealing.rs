//! Push configurations as their column holds them: sealed, because they say where a task's events go and with which
//! credentials.

use std::sync::{Arc, OnceLock};

use prost::Message as _;

use super::side::damaged;
use crate::pb::TaskPushNotificationConfig;
use crate::repository::Error;
use crate::secrets::{self, KeySource, Sealer, associated};

/// What the key of this use is derived for; it stands in no row, and changing it loses all of them.
const PURPOSE: &str = "push configurations";

/// The first byte of what is not sealed, because there was no key and nothing secret, and of what is.
const PLAIN: u8 = 0;
const SEALED: u8 = 1;

/// Seals and opens configurations with the keys of a source.
#[derive(Debug)]
pub(super) struct Sealing {
    keys: KeySource,
    sealer: OnceLock<Arc<Sealer>>,
}

impl Sealing {
    pub(super) fn new(keys: KeySource) -> Self {
        Self {
            keys,
            sealer: OnceLock::new(),
        }
    }

    /// Sees to it that configurations can be encoded, so that no batch fails of them: makes the key file if need be.
    pub(super) async fn prepare(&self, configs: &[TaskPushNotificationConfig]) -> Result<(), Error> {
        if configs.is_empty() || self.sealer.get().is_some() {
            return Ok(());
        }
        let keys = self.keys.clone();
        // It may be the first time, when a file is written and synced.
        let needed = tokio::task::spawn_blocking(move || keys.needed()).await;
        match needed.unwrap_or(Err(secrets::Error::NoKey)) {
            Err(secrets::Error::NoKey) if !configs.iter().any(has_secrets) => Ok(()),
            Err(error) => Err(Error::Secrets(error)),
            Ok(_) => Ok(()),
        }
    }

    /// The bytes of a configuration for its row.
    pub(super) fn encode(&self, config: &TaskPushNotificationConfig) -> Result<Vec<u8>, secrets::Error> {
        let plain = config.encode_to_vec();
        let sealer = match self.sealer(KeySource::needed) {
            Err(secrets::Error::NoKey) if !has_secrets(config) => return Ok([&[PLAIN], &plain[..]].concat()),
            sealer => sealer?,
        };
        let sealed = sealer.seal(&plain, &place(&config.task_id, &config.id))?;
        Ok([&[SEALED], &sealed[..]].concat())
    }

    /// The configuration of a row's bytes.
    pub(super) fn decode(
        &self,
        task_id: &str,
        id: &str,
        bytes: &[u8],
    ) -> Result<TaskPushNotificationConfig, Error> {
        let broken = |why: String| damaged(task_id, format!("push configuration {id}: {why}"));
        let opened = match bytes.split_first() {
            Some((&PLAIN, plain)) => Ok(plain.to_vec()),
            Some((&SEALED, sealed)) => self.open(sealed, &place(task_id, id)),
            _ => Err(secrets::Error::Damaged),
        };
        let plain = opened.map_err(|error| match error {
            secrets::Error::Damaged => broken(error.to_string()),
            other => Error::Secrets(other),
        })?;
        TaskPushNotificationConfig::decode(&plain[..]).map_err(|error| broken(error.to_string()))
    }

    fn open(&self, sealed: &[u8], place: &[u8]) -> Result<Vec<u8>, secrets::Error> {
        let known = |keys: &KeySource| match keys.known()? {
            Some(keyring) => Ok(keyring),
            // Nothing but the name of the key that is missing helps whoever has lost it.
            None => Err(Sealer::key_of(sealed).map_or(secrets::Error::Damaged, secrets::Error::UnknownKey)),
        };
        self.sealer(known)?.open(sealed, place)
    }

    /// What seals; made once, as soon as there are keys.
    fn sealer(
        &self,
        keys: impl FnOnce(&KeySource) -> Result<Arc<secrets::Keyring>, secrets::Error>,
    ) -> Result<Arc<Sealer>, secrets::Error> {
        if let Some(sealer) = self.sealer.get() {
            return Ok(sealer.clone());
        }
        let made = Arc::new(Sealer::new(&*keys(&self.keys)?, PURPOSE)?);
        Ok(self.sealer.get_or_init(|| made).clone())
    }

    /// True if a row would be no better for being encoded anew.
    pub(super) fn is_current(&self, bytes: &[u8]) -> Result<bool, secrets::Error> {
        let sealer = self.sealer(KeySource::needed)?;
        Ok(matches!(bytes.split_first(), Some((&SEALED, sealed)) if sealer.is_current(sealed)))
    }
}

fn has_secrets(config: &TaskPushNotificationConfig) -> bool {
    let credentials = config.authentication.as_ref().map(|auth| &auth.credentials);
    !config.token.is_empty() || credentials.is_some_and(|text| !text.is_empty())
}

fn place(task_id: &str, id: &str) -> Vec<u8> {
    associated(&["push_config", task_id, id])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::AuthenticationInfo;
    use crate::secrets::Keyring;

    fn sealing() -> Sealing {
        Sealing::new(KeySource::of(Keyring::new(&[7; 32], &[])))
    }

    fn config(token: &str, credentials: &str) -> TaskPushNotificationConfig {
        TaskPushNotificationConfig {
            task_id: "t".to_owned(),
            id: "c".to_owned(),
            url: "https://example.com/hook".to_owned(),
            token: token.to_owned(),
            authentication: Some(AuthenticationInfo {
                scheme: "Bearer".to_owned(),
                credentials: credentials.to_owned(),
            }),
            ..TaskPushNotificationConfig::default()
        }
    }

    #[test]
    fn a_configuration_opens_in_its_row_only() {
        let (sealing, config) = (sealing(), config("token", "credentials"));
        let bytes = sealing.encode(&config).unwrap();
        assert_eq!(sealing.decode("t", "c", &bytes), Ok(config));
        for (task_id, id) in [("u", "c"), ("t", "d"), ("tc", "")] {
            let moved = sealing.decode(task_id, id, &bytes);
            assert!(matches!(moved, Err(Error::Corrupt { .. })), "{moved:?}");
        }
        let (Ok(true), Ok(false)) = (sealing.is_current(&bytes), sealing.is_current(&[PLAIN])) else {
            panic!("what is sealed is current, and nothing else");
        };
    }

    #[tokio::test]
    async fn without_a_key_only_what_is_not_secret_is_stored() {
        let sealing = Sealing::new(KeySource::none());
        let open = config("", "");
        assert_eq!(sealing.prepare(std::slice::from_ref(&open)).await, Ok(()));
        let bytes = sealing.encode(&open).unwrap();
        assert_eq!(sealing.decode("t", "c", &bytes), Ok(open));
        for secret in [config("token", ""), config("", "credentials")] {
            assert_eq!(sealing.encode(&secret), Err(secrets::Error::NoKey));
            let refused = sealing.prepare(&[config("", ""), secret]).await;
            assert_eq!(refused, Err(Error::Secrets(secrets::Error::NoKey)));
        }
        let sealed = self::sealing().encode(&config("token", "")).unwrap();
        let lost = sealing.decode("t", "c", &sealed);
        let id = Keyring::new(&[7; 32], &[]).current();
        assert_eq!(lost, Err(Error::Secrets(secrets::Error::UnknownKey(id))));
    }
}
