//! `a2ad migrate`.

use a2ad::app::database_settings;
use a2ad::config::{Backend, DatabaseUrl};
use a2ad::repository::sea_orm::{migrate_postgres, migrate_sqlite};
use clap::Args;

use super::Outcome;
use super::settings::Settings;

/// Apply missing database migrations and exit
#[derive(Args)]
pub struct Migrate {
    #[command(flatten)]
    settings: Settings,
    /// The database, as for serve
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

impl Migrate {
    pub async fn run(self) -> Outcome {
        let mut loader = self.settings.loader();
        if let Some(url) = self.database {
            loader = loader.set_text("database.url", url);
        }
        let config = loader.load()?.config;
        match config.database.backend()? {
            Backend::Sqlite(path) => {
                let applied = migrate_sqlite(&path).await?;
                println!("{}: {applied} migrations applied", path.display());
                Ok(())
            }
            Backend::Memory => {
                Err("a database in memory has nothing to migrate; name one with --database".into())
            }
            Backend::Postgres(url) => {
                let applied = migrate_postgres(url.expose(), &database_settings(&config)?).await?;
                println!("{}: {applied} migrations applied", DatabaseUrl::new(url.expose()));
                Ok(())
            }
        }
    }
}
