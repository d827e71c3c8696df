//! The part of a commit that belongs to the outbox: a delivery for each event and each configuration.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbErr, Statement, Value};

use super::sql::{INSERT, MAKE_DUE, list, run};
use crate::repository::TaskWrite;
use crate::repository::sea_orm::sql::{number, statement};

/// All that it costs tasks that have no configurations.
const LOCK_STREAMS: &str = "SELECT task_id, id, due_ms FROM push_config \
     WHERE task_id IN (SELECT value FROM {items}(CAST($1 AS {json}))) ORDER BY task_id, id{locked}";

/// The streams of a commit by task and configuration, and whether each of them is due already.
pub(in crate::repository::sea_orm) type Streams = BTreeMap<(String, String), bool>;

/// Locks the configurations that tasks have. Tasks that are created in the same transaction need not be named.
pub(in crate::repository::sea_orm) async fn lock_streams(
    transaction: &DatabaseTransaction,
    moved: &[&TaskWrite],
) -> Result<Streams, DbErr> {
    if moved.is_empty() {
        return Ok(Streams::new());
    }
    let ids = list(moved.iter().map(|write| &*write.task_id));
    let lock = statement(transaction, LOCK_STREAMS, [ids]);
    let rows = transaction.query_all_raw(lock).await?;
    let streams = rows.iter().map(|row| {
        let place = (row.try_get("", "task_id")?, row.try_get("", "id")?);
        let due_ms: Option<i64> = row.try_get("", "due_ms")?;
        Ok((place, due_ms.is_some()))
    });
    streams.collect()
}

/// Adds the deliveries of writes whose configurations are stored and whose other streams are locked.
pub(in crate::repository::sea_orm) async fn note(
    transaction: &DatabaseTransaction,
    writes: &[&TaskWrite],
    mut streams: Streams,
) -> Result<(), DbErr> {
    for write in writes {
        for config in &write.push_configs {
            // It was made due when it was stored.
            streams.insert((write.task_id.to_string(), config.id.clone()), true);
        }
    }
    if streams.is_empty() {
        return Ok(());
    }
    let idle = streams.iter().filter(|(_, is_due)| !**is_due);
    let idle = idle.flat_map(|((task_id, id), _)| [task_id.as_str(), id.as_str()].map(Value::from));
    run(transaction, &MAKE_DUE, idle.collect()).await?;
    let mut rows = Vec::new();
    for write in writes {
        let from = (write.task_id.to_string(), String::new());
        let own = streams
            .range(from..)
            .take_while(|((id, _), _)| **id == *write.task_id);
        for ((task_id, config_id), _) in own {
            rows.extend(write.events.iter().flat_map(|event| {
                [
                    Value::from(task_id.as_str()),
                    Value::from(config_id.as_str()),
                    number(event.generation),
                    Value::from(write.at_ms),
                ]
            }));
        }
    }
    run(transaction, &INSERT, rows).await?;
    Ok(())
}

/// See [`super::plans`].
pub(super) fn statements(connection: &DatabaseConnection) -> Vec<(&'static str, Statement)> {
    let ids: Vec<String> = (100..164).map(|n| format!("t{n:06}")).collect();
    let lock = statement(connection, LOCK_STREAMS, [list(ids.iter().map(String::as_str))]);
    vec![("push configurations of a commit", lock)]
}
