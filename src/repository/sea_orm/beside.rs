//! A database beside the server that uses it: opened for a command, without the lock that keeps a second server away.

use std::path::Path;
use std::time::Duration;

use sea_orm::DatabaseConnection;

use super::connect::{self, OpenError};
use super::{DatabaseSettings, postgres};

/// What a command means to do with a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To look at it: nothing can be written, and no statement has a limit of time, because to count a large database
    /// takes its time.
    Read,
    /// To change rows, within the limits of the settings. The schema stays as it is.
    Write,
    /// The same, once what migrations are missing are applied.
    Migrate,
    /// The same; a SQLite database is made if there is none.
    Create,
}

impl Access {
    fn migrates(self) -> bool {
        matches!(self, Self::Migrate | Self::Create)
    }
}

/// A database that is open for a command: the one way to those who work on it beside a server.
#[derive(Debug)]
pub struct Beside(pub(super) DatabaseConnection);

impl Beside {
    /// Opens the SQLite database at `path`, which a server may have open.
    ///
    /// # Errors
    /// [`OpenError::Missing`] when there is none, unless it is to be made; when it can't be opened, or its schema is newer
    /// than this program. A file that is no database shows with the first question if it is only looked at.
    pub async fn open_sqlite(path: &Path, access: Access) -> Result<Self, OpenError> {
        if access != Access::Create && !path.exists() {
            return Err(OpenError::Missing(path.to_owned()));
        }
        let connection = match access {
            Access::Read => connect::sqlite_to_look(path).await?,
            Access::Write | Access::Migrate | Access::Create => connect::sqlite(path, 1, false).await?,
        };
        if access.migrates() {
            connect::migrate(&connection).await?;
        }
        Ok(Self(connection))
    }

    /// Opens the PostgreSQL database that a `postgres://` URL names.
    ///
    /// # Errors
    /// When the URL can't be read, the server can't be reached or refuses, or the schema is newer than this program.
    pub async fn open_postgres(
        url: &str,
        settings: &DatabaseSettings,
        access: Access,
    ) -> Result<Self, OpenError> {
        let mut settings = settings.clone();
        if access == Access::Read {
            settings.statement_timeout = Duration::ZERO;
        }
        postgres::probe(url, &settings).await?;
        if access.migrates() {
            postgres::migrate(url, &settings).await?;
        }
        let options = match access {
            Access::Read => postgres::read_only(url, &settings),
            Access::Write | Access::Migrate | Access::Create => postgres::options(url, &settings, 1),
        };
        Ok(Self(postgres::pool(&options).await?))
    }
}
