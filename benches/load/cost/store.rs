//! The repositories that are looked at, each empty and on its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use a2ad::repository::TaskRepository;
use a2ad::repository::sea_orm::{DatabaseSettings, SeaOrmRepository};
use a2ad::shutdown::Shutdown;
use sea_orm::{ConnectionTrait as _, Database};
use tempfile::TempDir;
use url::Url;

use crate::Outcome;
use crate::options::Options;
use crate::server::directory;

/// An open repository.
pub struct Store {
    pub name: &'static str,
    pub repository: Arc<dyn TaskRepository>,
    place: Place,
}

/// Where a database is; it goes with the value.
enum Place {
    File(TempDir),
    Server(PostgresDatabase),
}

impl Place {
    async fn open(&self, settings: &DatabaseSettings) -> Outcome<Arc<dyn TaskRepository>> {
        let shutdown = Shutdown::new();
        let repository = match self {
            Self::File(directory) => {
                let path = directory.path().join("a2ad.db");
                SeaOrmRepository::open_sqlite(&path, settings, &shutdown).await?
            }
            Self::Server(database) => {
                SeaOrmRepository::open_postgres(database.url.as_str(), settings, &shutdown).await?
            }
        };
        Ok(Arc::new(repository))
    }
}

impl Store {
    async fn new(name: &'static str, place: Place) -> Outcome<Self> {
        Ok(Self {
            name,
            repository: place.open(&settings()).await?,
            place,
        })
    }

    /// The same database through a repository that keeps nothing of what it reads.
    pub async fn forgetful(self) -> Outcome<Self> {
        let Self {
            name,
            repository,
            place,
        } = self;
        repository.close().await;
        // With the lock of the file.
        drop(repository);
        let settings = DatabaseSettings {
            snapshot_cache_bytes: 0,
            ..settings()
        };
        Ok(Self {
            name,
            repository: place.open(&settings).await?,
            place,
        })
    }

    pub async fn close(&self) -> Outcome {
        self.repository.close().await;
        match &self.place {
            Place::File(_) => Ok(()),
            Place::Server(database) => database.drop().await,
        }
    }
}

/// One committer, so that small and large are written by the same connection: with two, the server's process of one of
/// them may stand on a busier core than that of the other.
fn settings() -> DatabaseSettings {
    DatabaseSettings {
        committers: 1,
        ..DatabaseSettings::default()
    }
}

/// One of each kind.
pub async fn all(options: &Options) -> Outcome<Vec<Store>> {
    let mut stores = vec![Store::new("SQLite", Place::File(directory(&options.dir)?)).await?];
    if let Some(url) = &options.postgres {
        let database = PostgresDatabase::create(url).await?;
        stores.push(Store::new("PostgreSQL", Place::Server(database)).await?);
    }
    Ok(stores)
}

/// A database of its own on the server that the command line names.
struct PostgresDatabase {
    server: String,
    name: String,
    url: Url,
}

impl PostgresDatabase {
    async fn create(server: &str) -> Outcome<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("a2ad_bench_{}_{number}", std::process::id());
        let mut url = Url::parse(server)?;
        url.set_path(&name);
        let database = Self {
            server: server.to_owned(),
            name,
            url,
        };
        database.tell("CREATE DATABASE").await?;
        Ok(database)
    }

    async fn drop(&self) -> Outcome {
        self.tell("DROP DATABASE").await
    }

    async fn tell(&self, verb: &str) -> Outcome {
        let server = Database::connect(&self.server).await?;
        server
            .execute_unprepared(&format!("{verb} {}", self.name))
            .await?;
        Ok(server.close().await?)
    }
}
