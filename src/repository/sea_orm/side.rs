//! The small tables beside the tasks: idempotency keys and push configurations.

use bytes::Bytes;
use prost::Message as _;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement, Value,
};

use super::entity::{idempotency_key, push_config, task};
use super::sql::INSERT_PUSH_CONFIG;
use super::unavailable;
use crate::clock::Clock;
use crate::context::Scope;
use crate::pb::TaskPushNotificationConfig;
use crate::repository::{Error, KnownKey};

const FORGET_KEYS: &str = "DELETE FROM idempotency_key WHERE (agent, owner, key) IN (SELECT agent, owner, key \
     FROM idempotency_key WHERE expires_ms <= $1 ORDER BY expires_ms LIMIT $2)";

/// The task that a live key belongs to.
pub(super) async fn known_key(
    connection: &DatabaseConnection,
    scope: &Scope,
    key: &str,
    now_ms: i64,
) -> Result<Option<KnownKey>, Error> {
    let place = (
        scope.agent.to_string(),
        scope.owner.as_str().to_owned(),
        key.to_owned(),
    );
    let row = idempotency_key::Entity::find_by_id(place)
        .one(connection)
        .await
        .map_err(unavailable)?;
    Ok(row.filter(|row| row.expires_ms > now_ms).map(|row| KnownKey {
        task_id: row.task_id,
        fingerprint: row.fingerprint.try_into().unwrap_or_default(),
    }))
}

/// Removes at most `limit` keys whose time is over.
pub(super) async fn forget_expired_keys(connection: &DatabaseConnection, limit: u64) -> Result<(), Error> {
    let now = Value::from(Clock::system().now_ms());
    let most = Value::from(i64::try_from(limit).unwrap_or(i64::MAX));
    let statement =
        Statement::from_sql_and_values(connection.get_database_backend(), FORGET_KEYS, [now, most]);
    connection.execute_raw(statement).await.map_err(unavailable)?;
    Ok(())
}

/// The values of a configuration's row.
pub(super) fn push_row(config: &TaskPushNotificationConfig) -> [Value; 3] {
    [
        Value::from(config.task_id.as_str()),
        Value::from(config.id.as_str()),
        Value::from(config.encode_to_vec()),
    ]
}

async fn exists<C: ConnectionTrait>(connection: &C, scope: &Scope, task_id: &str) -> Result<bool, Error> {
    let found = task::Entity::visible(scope)
        .filter(task::Column::Id.eq(task_id))
        .select_only()
        .column(task::Column::Id)
        .into_tuple::<String>()
        .one(connection)
        .await;
    Ok(found.map_err(unavailable)?.is_some())
}

/// Stores or replaces a configuration; false if the task does not exist.
pub(super) async fn put_push_config(
    connection: &DatabaseConnection,
    scope: &Scope,
    config: &TaskPushNotificationConfig,
    limit: usize,
) -> Result<bool, Error> {
    if !exists(connection, scope, &config.task_id).await? {
        return Ok(false);
    }
    let others = push_config::Entity::find()
        .filter(push_config::Column::TaskId.eq(&config.task_id))
        .filter(push_config::Column::Id.ne(&config.id))
        .count(connection)
        .await
        .map_err(unavailable)?;
    if others >= limit as u64 {
        return Err(Error::TooMany(limit));
    }
    for statement in INSERT_PUSH_CONFIG.statements(connection.get_database_backend(), push_row(config).into())
    {
        connection.execute_raw(statement).await.map_err(unavailable)?;
    }
    Ok(true)
}

/// All configurations of a task by id; `None` if the task does not exist.
pub(super) async fn push_configs(
    connection: &DatabaseConnection,
    scope: &Scope,
    task_id: &str,
) -> Result<Option<Vec<TaskPushNotificationConfig>>, Error> {
    if !exists(connection, scope, task_id).await? {
        return Ok(None);
    }
    let rows = push_config::Entity::find()
        .filter(push_config::Column::TaskId.eq(task_id))
        .order_by_asc(push_config::Column::Id)
        .all(connection)
        .await
        .map_err(unavailable)?;
    let configs = rows.into_iter().map(|row| {
        TaskPushNotificationConfig::decode(Bytes::from(row.config)).map_err(|error| Error::Corrupt {
            task_id: task_id.to_owned(),
            cause: error.to_string(),
        })
    });
    configs.collect::<Result<Vec<_>, _>>().map(Some)
}

/// Removes a configuration; false if the task does not exist.
pub(super) async fn delete_push_config(
    connection: &DatabaseConnection,
    scope: &Scope,
    task_id: &str,
    id: &str,
) -> Result<bool, Error> {
    if !exists(connection, scope, task_id).await? {
        return Ok(false);
    }
    push_config::Entity::delete_by_id((task_id.to_owned(), id.to_owned()))
        .exec(connection)
        .await
        .map_err(unavailable)?;
    Ok(true)
}
