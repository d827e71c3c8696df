//! Sealing again what a former key has sealed, so that the former key can go.

use sea_orm::{ConnectionTrait as _, DbErr, Statement, Value};

use super::Maintenance;
use crate::repository::Error;
use crate::repository::sea_orm::sealing::Sealing;
use crate::repository::sea_orm::side;
use crate::secrets::{self, KeySource};

/// Rows that are read at once.
const PAGE: i64 = 100;

const CONFIGS: &str = "SELECT task_id, id, config FROM push_config WHERE (task_id, id) > ($1, $2) \
     ORDER BY task_id, id LIMIT $3";

/// Only what is still what was read: a server may have stored another configuration in the meantime.
const REPLACE: &str = "UPDATE push_config SET config = $1 WHERE task_id = $2 AND id = $3 AND config = $4";

const API_KEYS: &str = "SELECT COUNT(*) AS former FROM api_key WHERE revoked_ms IS NULL AND hash_key <> $1";

/// What became of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Rows that are sealed with the current key now, and were not before.
    pub rows: u64,
    /// Rows that were so already.
    pub current: u64,
    /// Rows that a server changed or removed at the same moment. It may have sealed them with a former key.
    pub changed: u64,
    /// API keys that still work and are hashed with a former key: a hash can't be made anew without the key itself.
    pub api_keys: u64,
}

/// Why not everything is sealed anew. What was, stays so; nothing is lost.
#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// There is no key, or a row was sealed with one that is not known.
    #[error(transparent)]
    Secrets(#[from] secrets::Error),
    /// A row is damaged.
    #[error("{0}; check the database with `a2ad db verify`")]
    Damaged(Error),
    /// The database refuses.
    #[error("the database can't be changed: {0}; check that it may be written to, and try again")]
    Database(#[from] DbErr),
}

impl Maintenance {
    /// Seals all push configurations with the current key of `keys` that are not sealed with it, one row at a time.
    /// Works while a server runs. It must have the current key by then, at least among its former ones: it has to open
    /// what is sealed here.
    ///
    /// # Errors
    /// See [`ResealError`]. This [`Maintenance`] has to be one that may write.
    pub async fn reseal(&self, keys: &KeySource) -> Result<Resealed, ResealError> {
        let sealing = Sealing::new(keys.clone());
        let mut resealed = Resealed::default();
        let mut after = (String::new(), String::new());
        loop {
            let place = [after.0.as_str(), after.1.as_str()].map(Value::from);
            let rows = self
                .rows(CONFIGS, place.into_iter().chain([Value::from(PAGE)]))
                .await?;
            if rows.is_empty() {
                resealed.api_keys = self.api_keys_of_former(keys).await?;
                return Ok(resealed);
            }
            for row in rows {
                let (task_id, id): (String, String) = (row.try_get("", "task_id")?, row.try_get("", "id")?);
                let column = row.try_get("", "config")?;
                self.reseal_row(&sealing, &task_id, &id, column, &mut resealed)
                    .await?;
                after = (task_id, id);
            }
        }
    }

    async fn api_keys_of_former(&self, keys: &KeySource) -> Result<u64, ResealError> {
        let current = keys.needed()?.current().0.to_vec();
        let rows = self.rows(API_KEYS, [Value::from(current)]).await?;
        let count: i64 = rows.first().map_or(Ok(0), |row| row.try_get("", "former"))?;
        Ok(count.unsigned_abs())
    }

    async fn reseal_row(
        &self,
        sealing: &Sealing,
        task_id: &str,
        id: &str,
        column: Vec<u8>,
        resealed: &mut Resealed,
    ) -> Result<(), ResealError> {
        let bytes = side::config_bytes(task_id, id, column.clone()).map_err(ResealError::Damaged)?;
        if sealing.is_current(&bytes)? {
            resealed.current += 1;
            return Ok(());
        }
        let config = sealing.decode(task_id, id, &bytes).map_err(|error| match error {
            Error::Secrets(error) => ResealError::Secrets(error),
            other => ResealError::Damaged(other),
        })?;
        let new = side::encode_config(sealing, &config)?;
        let values = [new.into(), task_id.into(), id.into(), column.into()];
        let replace = Statement::from_sql_and_values(self.0.get_database_backend(), REPLACE, values);
        match self.0.execute_raw(replace).await?.rows_affected() {
            0 => resealed.changed += 1,
            _ => resealed.rows += 1,
        }
        Ok(())
    }
}
