//! The repositories that are looked at, each empty and on its own.

use std::sync::Arc;

use a2ad::repository::TaskRepository;
use a2ad::repository::sea_orm::{DatabaseSettings, SeaOrmRepository};
use a2ad::shutdown::Shutdown;
use tempfile::TempDir;

use crate::Outcome;
use crate::options::Options;
use crate::server::directory;

/// An open repository.
pub struct Store {
    pub name: &'static str,
    pub repository: Arc<dyn TaskRepository>,
    _directory: Option<TempDir>,
}

impl Store {
    pub async fn close(&self) {
        self.repository.close().await;
    }

    async fn sqlite(options: &Options) -> Outcome<Self> {
        let directory = directory(&options.dir)?;
        let path = directory.path().join("a2ad.db");
        let repository =
            SeaOrmRepository::open_sqlite(&path, &DatabaseSettings::default(), &Shutdown::new()).await?;
        Ok(Self {
            name: "SQLite",
            repository: Arc::new(repository),
            _directory: Some(directory),
        })
    }
}

/// One of each kind.
pub async fn all(options: &Options) -> Outcome<Vec<Store>> {
    Ok(vec![Store::sqlite(options).await?])
}
