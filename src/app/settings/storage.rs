//! The database, the keys of what is sealed in it, and audit records.

use std::time::Duration;

use crate::audit::{AuditSettings, Output};
use crate::config::{Backend, Config};
use crate::repository::sea_orm::DatabaseSettings;
use crate::secrets::{self, KeySource, Keyring};

/// Where the keys of a configuration come from: `[secrets]`; else the file beside a SQLite database, a key that ends
/// with the process for tasks in memory, and none for PostgreSQL, whose servers must share one.
///
/// # Errors
/// When there is a key file beside the database that can't be used.
pub fn keys(config: &Config) -> Result<KeySource, secrets::Error> {
    let backend = config.database.backend();
    let Some(key) = config.secrets.key_bytes() else {
        return match backend {
            Ok(Backend::Sqlite(path)) => Ok(KeySource::beside(&path)),
            Ok(Backend::Memory) => KeySource::random(),
            _ => Ok(KeySource::none()),
        };
    };
    let previous = config.secrets.previous_key_bytes().unwrap_or_default();
    let previous: Vec<[u8; 32]> = previous.iter().map(|key| *key.expose()).collect();
    match backend {
        Ok(Backend::Sqlite(path)) => KeySource::configured_beside(key.expose(), previous, &path),
        _ => Ok(KeySource::of(Keyring::new(key.expose(), &previous))),
    }
}

pub(in crate::app) fn audit(config: &Config) -> AuditSettings {
    let audit = &config.audit;
    AuditSettings {
        output: audit.file.as_ref().map(|file| match file.as_str() {
            "stdout" => Output::Stdout,
            path => Output::File(path.into()),
        }),
        is_required: audit.required,
        queue_max: audit.queue_max,
        queue_per_caller_max: audit.each_caller_max(),
        strangers_per_s_max: audit.strangers_per_s_max,
        batch_max: audit.batch_max,
        sync_interval: Duration::from_millis(audit.sync_interval_ms),
        retention: (audit.retention_s > 0).then(|| Duration::from_secs(audit.retention_s)),
    }
}

/// How `[database]` of a configuration says that its database is used.
///
/// # Errors
/// As for [`keys`].
pub fn database(config: &Config) -> Result<DatabaseSettings, secrets::Error> {
    let database = &config.database;
    Ok(DatabaseSettings {
        readers: database.readers,
        committers: database.committers,
        commit_batch_max: database.commit_batch_max,
        commit_queue_max: database.commit_queue_max,
        read_timeout: Duration::from_millis(database.read_timeout_ms),
        wal_bytes_max: database.wal_bytes_max as u64,
        snapshot_cache_bytes: database.snapshot_cache_bytes as u64,
        commit_timeout: Duration::from_millis(database.commit_timeout_ms),
        connect_timeout: Duration::from_millis(database.connect_timeout_ms),
        statement_timeout: Duration::from_millis(database.statement_timeout_ms),
        lock_timeout: Duration::from_millis(database.lock_timeout_ms),
        idle_transaction_timeout: Duration::from_millis(database.idle_transaction_timeout_ms),
        application_name: database.application_name.clone(),
        keys: keys(config)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn every_key_of_the_database_arrives() {
        let mut config = Config::default();
        let keys = &mut config.database;
        (keys.readers, keys.committers) = (11, 12);
        (keys.commit_batch_max, keys.commit_queue_max) = (13, 14);
        (keys.read_timeout_ms, keys.commit_timeout_ms) = (15, 16);
        (keys.connect_timeout_ms, keys.statement_timeout_ms) = (17, 18);
        (keys.lock_timeout_ms, keys.idle_transaction_timeout_ms) = (19, 20);
        keys.application_name = "21".to_owned();
        let ms = Duration::from_millis;
        let settings = database(&config).unwrap();
        assert_eq!((settings.readers, settings.committers), (11, 12));
        assert_eq!((settings.commit_batch_max, settings.commit_queue_max), (13, 14));
        assert_eq!((settings.read_timeout, settings.commit_timeout), (ms(15), ms(16)));
        assert_eq!(
            (settings.connect_timeout, settings.statement_timeout),
            (ms(17), ms(18))
        );
        assert_eq!(
            (settings.lock_timeout, settings.idle_transaction_timeout),
            (ms(19), ms(20))
        );
        assert_eq!(settings.application_name, "21");
    }

    #[test]
    fn keys_come_from_the_configuration_or_from_the_place_of_the_tasks() {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite://{}", folder.path().join("a.db").display());
        let ids = |config: &Config| -> Option<Vec<secrets::KeyId>> {
            let keys = keys(config).unwrap().known().unwrap();
            keys.map(|keyring| keyring.ids().collect())
        };
        let mut config = Config::default();
        for (url, count) in [
            ("memory", Some(1)),
            (file.as_str(), None),
            ("postgres://db/a", None),
        ] {
            config.database.url = url.into();
            assert_eq!(ids(&config).map(|ids| ids.len()), count, "{url}");
        }
        let secret = |byte: &str| Some(config::Secret::new(byte.repeat(32)));
        (config.secrets.key, config.secrets.previous_keys) = (secret("01"), secret("02"));
        let expected: Vec<_> = Keyring::new(&[1; 32], &[[2; 32]]).ids().collect();
        for url in ["memory", file.as_str(), "postgres://db/a"] {
            config.database.url = url.into();
            assert_eq!(ids(&config).as_ref(), Some(&expected), "{url}");
        }
    }

    #[test]
    fn every_key_of_audit_arrives() {
        let mut config = Config::default();
        let keys = &mut config.audit;
        (keys.file, keys.required) = (Some("1".to_owned()), false);
        (keys.queue_max, keys.batch_max) = (2, 3);
        (keys.sync_interval_ms, keys.retention_s) = (4, 5);
        let settings = audit(&config);
        assert_eq!(settings.output, Some(Output::File("1".into())));
        assert!(!settings.is_required);
        assert_eq!((settings.queue_max, settings.batch_max), (2, 3));
        assert_eq!(settings.sync_interval, Duration::from_millis(4));
        assert_eq!(settings.retention, Some(Duration::from_secs(5)));
        (config.audit.file, config.audit.retention_s) = (Some("stdout".to_owned()), 0);
        let settings = audit(&config);
        assert_eq!(
            (settings.output, settings.retention),
            (Some(Output::Stdout), None)
        );
    }
}
