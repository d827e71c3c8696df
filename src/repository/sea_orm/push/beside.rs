//! The operator's way to the outbox, beside a server that runs.

use std::path::Path;
use std::sync::Arc;

use sea_orm::DatabaseConnection;

use super::desk::{self, Wanted};
use crate::context::Scope;
use crate::repository::sea_orm::connect::{self, OpenError};
use crate::repository::sea_orm::{DatabaseSettings, postgres, read, unavailable};
use crate::repository::{Delivery, DeliveryFilter, DeliveryKey, Error, Turn};
use crate::task::TaskEvent;

/// The outbox for commands: it takes no lock, so that it works while a server runs, which finds what was made due when it
/// looks next.
#[derive(Debug)]
pub struct PushDesk(DatabaseConnection);

impl PushDesk {
    /// Opens the SQLite database at `path`, which has to be there.
    ///
    /// # Errors
    /// When the file can't be opened, or its schema is newer than this program.
    pub async fn open_sqlite(path: &Path) -> Result<Self, OpenError> {
        let connection = connect::sqlite(path, 1, false).await?;
        connect::migrate(&connection).await?;
        Ok(Self(connection))
    }

    /// Opens the PostgreSQL database that a `postgres://` URL names.
    ///
    /// # Errors
    /// When the URL can't be read, the server can't be reached or refuses, or the schema is newer than this program.
    pub async fn open_postgres(url: &str, settings: &DatabaseSettings) -> Result<Self, OpenError> {
        postgres::probe(url, settings).await?;
        postgres::migrate(url, settings).await?;
        Ok(Self(postgres::pool(&postgres::options(url, settings, 1)).await?))
    }

    /// At most `limit` deliveries behind `after`, in the order of their keys.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryKey>,
        limit: usize,
    ) -> Result<Vec<Delivery>, Error> {
        desk::deliveries(&self.0, &Wanted::new(filter, after, limit)).await
    }

    /// The event of a delivery of these tasks; `None` if it is not there.
    ///
    /// # Errors
    /// When the database is away, or the event is damaged.
    pub async fn event(&self, scope: &Scope, key: &DeliveryKey) -> Result<Option<Arc<TaskEvent>>, Error> {
        let after = key.generation.saturating_sub(1);
        let events = read::events(&self.0, scope, &key.stream.task_id, after, 1).await?;
        Ok(events.into_iter().next())
    }

    /// As [`PushRepository::redeliver`](crate::repository::PushRepository::redeliver).
    ///
    /// # Errors
    /// When the database is away.
    pub async fn redeliver(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryKey>,
        limit: usize,
    ) -> Result<Turn, Error> {
        desk::redeliver(&self.0, &Wanted::new(filter, after, limit)).await
    }

    /// As [`PushRepository::discard`](crate::repository::PushRepository::discard).
    ///
    /// # Errors
    /// When the database is away.
    pub async fn discard(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryKey>,
        limit: usize,
    ) -> Result<Turn, Error> {
        desk::discard(&self.0, &Wanted::new(filter, after, limit)).await
    }

    /// Closes the connection.
    ///
    /// # Errors
    /// When the driver can't close it cleanly.
    pub async fn close(self) -> Result<(), Error> {
        self.0.close().await.map_err(unavailable)
    }
}
