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
    _directory: Option<TempDir>,
    postgres: Option<PostgresDatabase>,
}

impl Store {
    pub async fn close(&self) -> Outcome {
        self.repository.close().await;
        match &self.postgres {
            Some(database) => database.drop().await,
            None => Ok(()),
        }
    }

    async fn postgres(server: &str) -> Outcome<Self> {
        let database = PostgresDatabase::create(server).await?;
        let url = database.url.as_str();
        let repository =
            SeaOrmRepository::open_postgres(url, &DatabaseSettings::default(), &Shutdown::new()).await?;
        Ok(Self {
            name: "PostgreSQL",
            repository: Arc::new(repository),
            _directory: None,
            postgres: Some(database),
        })
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
            postgres: None,
        })
    }
}

/// One of each kind.
pub async fn all(options: &Options) -> Outcome<Vec<Store>> {
    let mut stores = vec![Store::sqlite(options).await?];
    if let Some(url) = &options.postgres {
        stores.push(Store::postgres(url).await?);
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
