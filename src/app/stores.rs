//! What a runtime keeps, and where.

use std::sync::Arc;

use super::{StartError, settings};
use crate::audit::Store;
use crate::config::{Backend, Config};
use crate::repository::memory::MemoryRepository;
use crate::repository::sea_orm::SeaOrmRepository;
use crate::repository::{ApiKeyRepository, PushRepository, TaskRepository};
use crate::shutdown::Shutdown;

/// What a runtime keeps, in one database.
pub struct Stores {
    /// Tasks and what belongs to them. Closing it closes the database.
    pub tasks: Arc<dyn TaskRepository>,
    /// What waits to be sent of them.
    pub push: Arc<dyn PushRepository>,
    /// API keys.
    pub api_keys: Arc<dyn ApiKeyRepository>,
    /// Audit records, where they are kept.
    pub records: Option<Arc<dyn Store>>,
}

impl Stores {
    fn lasting(repository: SeaOrmRepository) -> Self {
        let repository = Arc::new(repository);
        Self {
            tasks: repository.clone(),
            push: repository.clone(),
            api_keys: repository.clone(),
            records: Some(repository),
        }
    }

    fn passing(repository: MemoryRepository) -> Self {
        let repository = Arc::new(repository);
        Self {
            tasks: repository.clone(),
            push: repository.clone(),
            api_keys: repository,
            records: None,
        }
    }
}

/// Opens the database that a configuration names and applies missing migrations. Close it before the process ends.
///
/// # Errors
/// [`StartError::Database`] and [`StartError::Backend`].
pub async fn open_stores(config: &Config, shutdown: &Shutdown) -> Result<Stores, StartError> {
    let settings = settings::database(config)?;
    match config.database.backend().map_err(StartError::Backend)? {
        Backend::Memory => Ok(Stores::passing(MemoryRepository::new())),
        Backend::Sqlite(path) => Ok(Stores::lasting(
            SeaOrmRepository::open_sqlite(&path, &settings, shutdown).await?,
        )),
        Backend::Postgres(url) => Ok(Stores::lasting(
            SeaOrmRepository::open_postgres(url.expose(), &settings, shutdown).await?,
        )),
    }
}
