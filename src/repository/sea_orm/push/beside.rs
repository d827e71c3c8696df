//! The operator's way to the outbox, beside a server that runs.

use std::sync::Arc;

use sea_orm::DatabaseConnection;

use super::desk::{self, Wanted};
use crate::context::Scope;
use crate::repository::sea_orm::beside::Beside;
use crate::repository::sea_orm::{read, unavailable};
use crate::repository::{Delivery, DeliveryFilter, DeliveryKey, Error, Turn};
use crate::task::TaskEvent;

/// The outbox for commands: it works while a server runs, which finds what was made due when it looks next.
#[derive(Debug)]
pub struct PushDesk(DatabaseConnection);

impl From<Beside> for PushDesk {
    fn from(database: Beside) -> Self {
        Self(database.0)
    }
}

impl PushDesk {
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
