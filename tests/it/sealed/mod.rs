//! What callers entrust for their webhooks: unreadable where it is stored, readable with the right key, also when the
//! key changes.

mod keys;
mod program;
mod stored;

use std::path::Path;

use a2ad::pb::{AuthenticationInfo, TaskPushNotificationConfig};
use a2ad::repository::conformance::push_config;
use a2ad::repository::sea_orm::{DatabaseSettings, Maintenance, SeaOrmRepository};
use a2ad::secrets::{KeySource, Keyring};
use a2ad::shutdown::Shutdown;

use crate::support::postgres;

pub const TOKEN: &str = "token-that-nobody-else-knows";
pub const CREDENTIALS: &str = "credentials-that-nobody-else-knows";
pub const URL: &str = "https://hooks.example.com/services/part-of-a-secret";

/// A configuration with all that is secret.
pub fn config(task_id: &str, id: &str) -> TaskPushNotificationConfig {
    TaskPushNotificationConfig {
        token: TOKEN.to_owned(),
        authentication: Some(AuthenticationInfo {
            scheme: "Bearer".to_owned(),
            credentials: CREDENTIALS.to_owned(),
        }),
        ..push_config(task_id, id, URL)
    }
}

/// The key that seals, and former ones, each by its byte.
pub fn keys(current: u8, previous: &[u8]) -> KeySource {
    let previous: Vec<[u8; 32]> = previous.iter().map(|byte| [*byte; 32]).collect();
    KeySource::of(Keyring::new(&[current; 32], &previous))
}

/// A database that can be opened again and again.
pub enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(postgres::Database),
}

impl Place {
    pub fn both() -> [Self; 2] {
        [
            Self::Sqlite(tempfile::tempdir().unwrap()),
            Self::Postgres(postgres::database()),
        ]
    }

    pub async fn open(&self, keys: KeySource) -> SeaOrmRepository {
        let settings = settings(keys);
        let opened = match self {
            Self::Sqlite(folder) => {
                SeaOrmRepository::open_sqlite(&file(folder), &settings, &Shutdown::new()).await
            }
            Self::Postgres(database) => {
                SeaOrmRepository::open_postgres(database.url(), &settings, &Shutdown::new()).await
            }
        };
        opened.unwrap()
    }

    /// For writing, as `a2ad db reseal` opens it.
    pub async fn maintenance(&self) -> Maintenance {
        let opened = match self {
            Self::Sqlite(folder) => Maintenance::open_sqlite_to_write(&file(folder)).await,
            Self::Postgres(database) => {
                Maintenance::open_postgres_to_write(database.url(), &DatabaseSettings::default()).await
            }
        };
        opened.unwrap()
    }
}

fn file(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("tasks.db")
}

fn settings(keys: KeySource) -> DatabaseSettings {
    DatabaseSettings {
        keys,
        ..DatabaseSettings::default()
    }
}

/// The words that stand in the clear in any file of a folder.
pub fn in_the_clear<'a>(folder: &Path, words: &[&'a str]) -> Vec<&'a str> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        bytes.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let stands = |word: &&&str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    words.iter().filter(stands).copied().collect()
}
