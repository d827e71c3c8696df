//! API keys: looked up by the server, made and revoked by the operator beside it.

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, QueryResult, Statement, Value};

use super::beside::Beside;
use super::{SeaOrmRepository, unavailable};
use crate::repository::{ApiKeyRepository, ApiKeyRow, Error};
use crate::secrets::KeyId;

const COLUMNS: &str = "id, hash, hash_key, name, organisation, scopes, created_ms, expires_ms, revoked_ms";

#[async_trait]
impl ApiKeyRepository for SeaOrmRepository {
    async fn api_key(&self, id: &str) -> Result<Option<ApiKeyRow>, Error> {
        let id = id.to_owned();
        self.readers
            .run(move |pool| async move { find(&pool, &id).await.map_err(unavailable) })
            .await
    }
}

/// The operator's way to API keys: they are made and revoked while a server runs.
#[derive(Debug)]
pub struct ApiKeyDesk(DatabaseConnection);

impl From<Beside> for ApiKeyDesk {
    fn from(database: Beside) -> Self {
        Self(database.0)
    }
}

impl ApiKeyDesk {
    /// Keeps a new key.
    ///
    /// # Errors
    /// When it is not known to be kept.
    pub async fn add(&self, row: &ApiKeyRow) -> Result<(), Error> {
        let values = [
            Value::from(row.id.as_str()),
            Value::from(row.hash.clone()),
            Value::from(row.hash_key.0.to_vec()),
            Value::from(row.name.as_str()),
            Value::from(row.organisation.clone()),
            Value::from(row.scopes.join(" ")),
            Value::from(row.created_ms),
            Value::from(row.expires_ms),
            Value::from(row.revoked_ms),
        ];
        let sql = format!("INSERT INTO api_key ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
        let insert = Statement::from_sql_and_values(self.0.get_database_backend(), sql, values);
        self.0.execute_raw(insert).await.map_err(unavailable)?;
        Ok(())
    }

    /// At most `limit` keys in the order of their ids, behind `after`.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn list(&self, after: &str, limit: u32) -> Result<Vec<ApiKeyRow>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM api_key WHERE id > $1 ORDER BY id LIMIT $2");
        let values = [Value::from(after), Value::from(i64::from(limit))];
        let select = Statement::from_sql_and_values(self.0.get_database_backend(), sql, values);
        let rows = self.0.query_all_raw(select).await.map_err(unavailable)?;
        rows.iter()
            .map(row_of)
            .collect::<Result<_, _>>()
            .map_err(unavailable)
    }

    /// Ends a key from now on; when it was revoked before, that stays as it was. `false` if there is none with this id.
    ///
    /// # Errors
    /// When it is not known whether it was revoked.
    pub async fn revoke(&self, id: &str, now_ms: i64) -> Result<bool, Error> {
        let sql = "UPDATE api_key SET revoked_ms = COALESCE(revoked_ms, $2) WHERE id = $1";
        let values = [Value::from(id), Value::from(now_ms)];
        let update = Statement::from_sql_and_values(self.0.get_database_backend(), sql, values);
        let updated = self.0.execute_raw(update).await.map_err(unavailable)?;
        Ok(updated.rows_affected() > 0)
    }

    /// Closes the connection.
    ///
    /// # Errors
    /// When the driver can't close it cleanly.
    pub async fn close(self) -> Result<(), Error> {
        self.0.close().await.map_err(unavailable)
    }
}

async fn find(connection: &DatabaseConnection, id: &str) -> Result<Option<ApiKeyRow>, DbErr> {
    let sql = format!("SELECT {COLUMNS} FROM api_key WHERE id = $1");
    let select = Statement::from_sql_and_values(connection.get_database_backend(), sql, [Value::from(id)]);
    let row = connection.query_one_raw(select).await?;
    row.as_ref().map(row_of).transpose()
}

/// The name of the key that a hash was made with.
fn key_id(bytes: Vec<u8>) -> Result<KeyId, DbErr> {
    let length = bytes.len();
    let bytes = bytes.try_into();
    bytes
        .map(KeyId)
        .map_err(|_| DbErr::Type(format!("the name of an API key's hash key has {length} bytes")))
}

fn row_of(row: &QueryResult) -> Result<ApiKeyRow, DbErr> {
    let scopes: String = row.try_get("", "scopes")?;
    Ok(ApiKeyRow {
        id: row.try_get("", "id")?,
        hash: row.try_get("", "hash")?,
        hash_key: key_id(row.try_get("", "hash_key")?)?,
        name: row.try_get("", "name")?,
        organisation: row.try_get("", "organisation")?,
        scopes: scopes
            .split(' ')
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect(),
        created_ms: row.try_get("", "created_ms")?,
        expires_ms: row.try_get("", "expires_ms")?,
        revoked_ms: row.try_get("", "revoked_ms")?,
    })
}
