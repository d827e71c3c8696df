//! The small tables beside the tasks: idempotency keys and push configurations.

use bytes::Bytes;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect, Statement, Value,
};

use super::entity::{idempotency_key, push_config, task};
use super::read::unsigned;
use super::sealing::Sealing;
use super::sql::{INSERT_PUSH_CONFIG, number, statement};
use super::transaction::{self, Failure};
use super::unavailable;
use crate::clock::Clock;
use crate::context::Scope;
use crate::pb::TaskPushNotificationConfig;
use crate::repository::seal::{self, Sum};
use crate::repository::{Error, KnownKey, webhook_host};
use crate::secrets;

/// Keys that somebody is about to bind anew are left alone: nobody waits for this, and this waits for nobody. The
/// selection is made once, whatever way of joining the database prefers.
const FORGET_KEYS: &str = "WITH old AS MATERIALIZED (SELECT agent, owner, key FROM idempotency_key \
     WHERE expires_ms <= $1 ORDER BY expires_ms LIMIT $2{free}) \
     DELETE FROM idempotency_key WHERE (agent, owner, key) IN (SELECT agent, owner, key FROM old)";

/// While somebody stores something beside a task, the task stays.
const OWN_TASK: &str = "SELECT id FROM task WHERE id = $1 AND agent = $2 AND owner = $3{locked}";

const OTHER_CONFIGS: &str = "SELECT COUNT(*) AS others FROM push_config WHERE task_id = $1 AND id <> $2";

const DELETE_CONFIG: &str = "DELETE FROM push_config WHERE task_id = $1 AND id = $2";

const DELETE_DELIVERIES: &str = "DELETE FROM push_outbox WHERE task_id = $1 AND config_id = $2";

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
    row.filter(|row| row.expires_ms > now_ms)
        .map(|row| {
            let fingerprint = decode_fingerprint(scope, key, &row.task_id, row.fingerprint)?;
            Ok(KnownKey {
                task_id: row.task_id,
                fingerprint,
            })
        })
        .transpose()
}

fn key_place(scope: &Scope, key: &str) -> Sum {
    Sum::of(&scope.agent)
        .and(scope.owner.as_str().as_bytes())
        .and(key.as_bytes())
}

/// The column value for a key's fingerprint.
pub(super) fn encode_fingerprint(scope: &Scope, key: &str, fingerprint: &[u8; 16]) -> Vec<u8> {
    seal::close(key_place(scope, key), fingerprint)
}

/// The fingerprint of a key that belongs to `task_id`.
pub(super) fn decode_fingerprint(
    scope: &Scope,
    key: &str,
    task_id: &str,
    column: Vec<u8>,
) -> Result<[u8; 16], Error> {
    seal::open(key_place(scope, key), column)
        .and_then(|bytes| bytes[..].try_into().ok())
        .ok_or_else(|| {
            damaged(
                task_id,
                "the fingerprint of an idempotency key does not match its checksum",
            )
        })
}

pub(super) fn damaged(task_id: &str, cause: impl Into<String>) -> Error {
    Error::Corrupt {
        task_id: task_id.to_owned(),
        generation: None,
        cause: cause.into(),
    }
}

/// Removes at most `limit` keys whose time is over.
pub(super) async fn forget_expired_keys(connection: &DatabaseConnection, limit: u64) -> Result<(), Error> {
    let values = [Value::from(Clock::system().now_ms()), number(limit)];
    let forget = statement(connection, FORGET_KEYS, values);
    connection.execute_raw(forget).await.map_err(unavailable)?;
    Ok(())
}

/// The values of a configuration's row, for which something waits from the beginning or not. That it can be sealed has
/// been seen to before ([`Sealing::prepare`]).
pub(super) fn push_row(
    sealing: &Sealing,
    scope: &Scope,
    config: &TaskPushNotificationConfig,
    is_due: bool,
) -> Result<[Value; 8], DbErr> {
    let column = encode_config(sealing, config).map_err(|error| DbErr::Custom(error.to_string()))?;
    Ok([
        Value::from(config.task_id.as_str()),
        Value::from(config.id.as_str()),
        Value::from(column),
        Value::from(&*scope.agent),
        Value::from(scope.owner.as_str()),
        Value::from(&*webhook_host(&config.url)),
        Value::BigInt(is_due.then_some(0)),
        Value::from(0_i64),
    ])
}

/// The column value for a configuration.
pub(super) fn encode_config(
    sealing: &Sealing,
    config: &TaskPushNotificationConfig,
) -> Result<Vec<u8>, secrets::Error> {
    let place = config_place(&config.task_id, &config.id);
    Ok(seal::close(place, sealing.encode(config)?))
}

fn config_place(task_id: &str, id: &str) -> Sum {
    Sum::of(task_id).and(id.as_bytes())
}

/// The bytes of a configuration's row, sealed as they are, if they are those that were stored there.
pub(super) fn config_bytes(task_id: &str, id: &str, column: Vec<u8>) -> Result<Bytes, Error> {
    seal::open(config_place(task_id, id), column).ok_or_else(|| {
        damaged(
            task_id,
            format!("push configuration {id} does not match its checksum"),
        )
    })
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

/// Stores or replaces a configuration; false if the task does not exist. Nobody takes the task away in between, and
/// nobody else adds one more than its limit.
pub(super) async fn put_push_config(
    connection: &DatabaseConnection,
    sealing: &Sealing,
    scope: &Scope,
    config: &TaskPushNotificationConfig,
    limit: usize,
) -> Result<bool, Error> {
    let row = push_row(sealing, scope, config, false).map_err(unavailable)?;
    let transaction = transaction::begin(connection).await.map_err(unavailable)?;
    let put = put(&transaction, scope, config, row, limit).await;
    Ok(transaction::end(connection, transaction, put).await?)
}

async fn put(
    transaction: &DatabaseTransaction,
    scope: &Scope,
    config: &TaskPushNotificationConfig,
    row: [Value; 8],
    limit: usize,
) -> Result<bool, Failure> {
    let values = [&*config.task_id, &*scope.agent, scope.owner.as_str()].map(Value::from);
    let own_task = statement(transaction, OWN_TASK, values);
    if transaction.query_one_raw(own_task).await?.is_none() {
        return Ok(false);
    }
    let values = [&*config.task_id, &*config.id].map(Value::from);
    let counted = transaction
        .query_one_raw(statement(transaction, OTHER_CONFIGS, values))
        .await?;
    let others: i64 = counted
        .map(|row| row.try_get("", "others"))
        .transpose()?
        .unwrap_or(0);
    if unsigned(others) >= limit as u64 {
        return Err(Failure::Refused(Error::TooMany(limit)));
    }
    let backend = transaction.get_database_backend();
    for insert in INSERT_PUSH_CONFIG.statements(backend, row.into()) {
        transaction.execute_raw(insert).await?;
    }
    Ok(true)
}

/// All configurations of a task by id; `None` if the task does not exist.
pub(super) async fn push_configs(
    connection: &DatabaseConnection,
    sealing: &Sealing,
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
        let bytes = config_bytes(task_id, &row.id, row.config)?;
        sealing.decode(task_id, &row.id, &bytes)
    });
    configs.collect::<Result<Vec<_>, _>>().map(Some)
}

/// Removes a configuration and what waits for it; false if the task does not exist.
pub(super) async fn delete_push_config(
    connection: &DatabaseConnection,
    scope: &Scope,
    task_id: &str,
    id: &str,
) -> Result<bool, Error> {
    let transaction = transaction::begin(connection).await.map_err(unavailable)?;
    let deleted = delete(&transaction, scope, task_id, id)
        .await
        .map_err(Failure::from);
    Ok(transaction::end(connection, transaction, deleted).await?)
}

/// The configuration goes first: whoever is at work on what waits for it has locked it.
async fn delete(
    transaction: &DatabaseTransaction,
    scope: &Scope,
    task_id: &str,
    id: &str,
) -> Result<bool, DbErr> {
    let values = [task_id, &*scope.agent, scope.owner.as_str()].map(Value::from);
    let own_task = statement(transaction, OWN_TASK, values);
    if transaction.query_one_raw(own_task).await?.is_none() {
        return Ok(false);
    }
    for delete in [DELETE_CONFIG, DELETE_DELIVERIES] {
        let delete = statement(transaction, delete, [task_id, id].map(Value::from));
        transaction.execute_raw(delete).await?;
    }
    Ok(true)
}

/// The care for keys with some values, by what it is for: for who wants to see its plan.
pub(super) fn statements(connection: &DatabaseConnection) -> Vec<(&'static str, Statement)> {
    let values = [Value::from(1_i64), number(500)];
    vec![("expired keys", statement(connection, FORGET_KEYS, values))]
}
