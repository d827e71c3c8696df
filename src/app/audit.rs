//! Whether there are audit records, and where they go.

use std::sync::Arc;

use super::{StartError, settings};
use crate::audit::{self, Audit, Store};
use crate::clock::Clock;
use crate::config::{Backend, Config};
use crate::repository::sea_orm::AuditRecords;
use crate::shutdown::Shutdown;

/// Begins to record what is done; nothing is while nobody is asked who he is.
pub(super) async fn start(
    config: &Config,
    records: Option<Arc<dyn Store>>,
    clock: &Clock,
    shutdown: &Shutdown,
) -> Result<Audit, StartError> {
    if !config.is_authenticated() {
        return Ok(Audit::off());
    }
    let records = records.filter(|_| config.audit.database);
    let audit = Audit::start(settings::audit(config), records, clock.clone(), shutdown).await?;
    if !audit.is_on() {
        tracing::warn!("audit records are kept nowhere; set audit.file, or a database that lasts");
    }
    Ok(audit)
}

/// Records what an operator does with a database, for example `db prune`, where audit records are kept in it (`audit.database`).
///
/// # Errors
/// When the database does not take the record; the text says what to look after.
pub async fn record_admin(config: &Config, command: &str, is_done: bool) -> Result<(), String> {
    if !config.is_authenticated() {
        return Ok(());
    }
    record(config, command, is_done).await
}

/// Records what an operator does with an API key: also where the configuration at hand takes none yet.
///
/// # Errors
/// As for [`record_admin`].
pub async fn record_key_change(config: &Config, command: &str, is_done: bool) -> Result<(), String> {
    record(config, command, is_done).await
}

async fn record(config: &Config, command: &str, is_done: bool) -> Result<(), String> {
    if !config.audit.database {
        return Ok(());
    }
    let records = match config.database.backend()? {
        Backend::Memory => return Ok(()),
        Backend::Sqlite(path) => AuditRecords::open_sqlite(&path).await,
        Backend::Postgres(url) => {
            let settings = settings::database(config).map_err(|error| error.to_string())?;
            AuditRecords::open_postgres(url.expose(), &settings).await
        }
    };
    let records = records.map_err(|error| error.to_string())?;
    let recorded = audit::record_admin(&records, &Clock::system(), command, is_done).await;
    let closed = records.close().await;
    recorded?;
    closed.map_err(|error| error.to_string())
}
