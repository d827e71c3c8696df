//! Claiming streams that were found to be due.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, QueryResult, Statement, Value,
};

use super::sql::{Rest, leave, pause, stream_list};
use crate::context::{Principal, Scope};
use crate::repository::sea_orm::read::{small, unsigned};
use crate::repository::sea_orm::sealing::Sealing;
use crate::repository::sea_orm::side;
use crate::repository::sea_orm::sql::{number, statement};
use crate::repository::sea_orm::transaction::{self, Failure};
use crate::repository::sea_orm::unavailable;
use crate::repository::{ClaimQuery, Claimed, Error, PushStream, Waiting};

/// How long a stream rests whose configuration can't be opened: until an operator has brought the key back, or for good.
const UNREADABLE_RESTS: Duration = Duration::from_secs(60 * 60);

/// Claims those of the streams that were found that can be claimed still. It looks at no others, so that it has nothing to
/// go past while others want to write, nor at who is left alone: that was seen to when they were found, and whoever sends
/// sees to what has changed since. Streams that somebody is at work on are passed over: nobody waits for this, and this
/// waits for nobody. A time that may be none keeps both databases from reading the index of times from its beginning.
const CLAIM: &str = "WITH due AS MATERIALIZED (SELECT task_id, id FROM push_config \
     WHERE (task_id, id) IN \
     (SELECT CAST(value AS {json}) ->> 0, CAST(value AS {json}) ->> 1 FROM {items}(CAST($1 AS {json}))) \
     AND COALESCE(due_ms, {now} + 1) <= {now} AND claimed_until_ms <= {now} \
     ORDER BY due_ms LIMIT $2{free}) UPDATE push_config SET claim = claim + 1, claimed_until_ms = {now} + $3 \
     WHERE (task_id, id) IN (SELECT task_id, id FROM due) \
     RETURNING task_id, id, agent, owner, config, claim, due_ms";

const DELIVERIES: &str = "SELECT generation, since_ms, attempts FROM push_outbox \
     WHERE task_id = $1 AND config_id = $2 AND dead_ms IS NULL ORDER BY generation LIMIT $3";

const END_ALL: &str =
    "UPDATE push_config SET claimed_until_ms = 0 WHERE due_ms IS NOT NULL AND claimed_until_ms > 0";

/// What one round of claiming has come to.
pub(in crate::repository::sea_orm) struct Round {
    pub(super) claimed: Vec<Claimed>,
    /// How many streams were put to rest instead.
    pub(super) rested: usize,
}

/// Claims streams of those that were found, with what waits in them.
pub(super) async fn claim(
    connection: &DatabaseConnection,
    sealing: &Sealing,
    query: &ClaimQuery,
    found: &[PushStream],
) -> Result<Round, Error> {
    let transaction = transaction::begin(connection).await.map_err(unavailable)?;
    let taken = take(&transaction, sealing, query, found)
        .await
        .map_err(Failure::from);
    Ok(transaction::end(connection, transaction, taken).await?)
}

async fn take(
    transaction: &DatabaseTransaction,
    sealing: &Sealing,
    query: &ClaimQuery,
    found: &[PushStream],
) -> Result<Round, DbErr> {
    let rows = transaction
        .query_all_raw(claiming(transaction, query, found))
        .await?;
    let mut rows = rows.iter().map(Row::of).collect::<Result<Vec<_>, _>>()?;
    rows.sort_unstable_by(|a, b| (a.due_ms, &a.stream).cmp(&(b.due_ms, &b.stream)));
    let mut claimed = Vec::with_capacity(rows.len());
    let mut left = Vec::new();
    for row in rows {
        let deliveries = deliveries(transaction, &row.stream, query.deliveries_max).await?;
        let config = side::config_bytes(&row.stream.task_id, &row.stream.config_id, row.config)
            .and_then(|bytes| sealing.decode(&row.stream.task_id, &row.stream.config_id, &bytes));
        match config {
            Ok(config) if !deliveries.is_empty() => claimed.push(Claimed {
                stream: row.stream,
                scope: row.scope,
                claim: row.claim,
                config,
                deliveries,
            }),
            Ok(_) => left.push(row.stream),
            Err(error) => {
                let PushStream { task_id, config_id } = &row.stream;
                tracing::error!(
                    task.id = %task_id, push_config.id = %config_id, %error,
                    "a push configuration can't be opened; what waits for it rests for {UNREADABLE_RESTS:?}"
                );
                left.push(row.stream);
            }
        }
    }
    let resting = left.iter().map(|stream| Rest {
        stream,
        due: Some(UNREADABLE_RESTS),
        claimed: Duration::ZERO,
        revokes: false,
    });
    leave(transaction, resting).await?;
    Ok(Round {
        claimed,
        rested: left.len(),
    })
}

fn claiming(connection: &impl ConnectionTrait, query: &ClaimQuery, found: &[PushStream]) -> Statement {
    let limit = number(query.limit as u64);
    let ttl = Value::from(pause(query.ttl));
    statement(connection, CLAIM, [stream_list(found), limit, ttl])
}

/// A configuration that is claimed.
struct Row {
    stream: PushStream,
    scope: Scope,
    config: Vec<u8>,
    claim: u64,
    due_ms: i64,
}

impl Row {
    fn of(row: &QueryResult) -> Result<Self, DbErr> {
        let text = |column| row.try_get::<String>("", column);
        Ok(Self {
            stream: PushStream {
                task_id: text("task_id")?.into(),
                config_id: text("id")?.into(),
            },
            scope: Scope {
                agent: Arc::from(text("agent")?),
                owner: Principal::verified(&text("owner")?),
            },
            config: row.try_get("", "config")?,
            claim: unsigned(row.try_get("", "claim")?),
            due_ms: row.try_get("", "due_ms")?,
        })
    }
}

async fn deliveries(
    transaction: &DatabaseTransaction,
    stream: &PushStream,
    limit: usize,
) -> Result<Vec<Waiting>, DbErr> {
    let values = [
        Value::from(&*stream.task_id),
        Value::from(&*stream.config_id),
        number(limit.max(1) as u64),
    ];
    let rows = transaction
        .query_all_raw(statement(transaction, DELIVERIES, values))
        .await?;
    let deliveries = rows.iter().map(|row| {
        Ok(Waiting {
            generation: unsigned(row.try_get("", "generation")?),
            since_ms: row.try_get("", "since_ms")?,
            attempts: small(row.try_get("", "attempts")?),
        })
    });
    deliveries.collect()
}

/// Ends every claim there is: for a database that belongs to this process alone, so that all who claimed are dead.
pub(in crate::repository::sea_orm) async fn end_all(connection: &DatabaseConnection) -> Result<(), DbErr> {
    connection.execute_unprepared(END_ALL).await?;
    Ok(())
}

/// See [`super::plans`].
pub(super) fn statements(
    connection: &DatabaseConnection,
    query: &ClaimQuery,
) -> Vec<(&'static str, Statement)> {
    let own = |sql: &str, values: &[Value]| statement(connection, sql, values.to_vec());
    let stream = [Value::from("t000100"), Value::from("p"), number(32)];
    let found = (100..228).map(|n| PushStream {
        task_id: Arc::from(format!("t{n:06}")),
        config_id: Arc::from("p"),
    });
    let found: Vec<PushStream> = found.collect();
    let mut statements = vec![
        ("claim streams", claiming(connection, query, &found)),
        ("what waits in a stream", own(DELIVERIES, &stream)),
    ];
    if connection.get_database_backend() == DbBackend::Sqlite {
        statements.push(("end all claims", own(END_ALL, &[])));
    }
    statements
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::super::due;
    use super::*;
    use crate::repository::conformance::{Sketch, push_config, scope};
    use crate::repository::sea_orm::{DatabaseSettings, SeaOrmRepository, connect};
    use crate::repository::{Except, TaskRepository as _, TaskWrite};
    use crate::shutdown::Shutdown;

    fn away(number: usize) -> (Principal, Arc<str>) {
        let host = format!("away{number}.org:443");
        (scope("ada").owner, Arc::from(host))
    }

    /// The steps of SQLite's machine for finding the one stream that is due behind so many that are left alone, with so many
    /// more owners and hosts that are, and then those of the transaction that claims it.
    async fn steps(left_alone: usize) -> [u64; 2] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tasks.db");
        let settings = DatabaseSettings::default();
        let repository = SeaOrmRepository::open_sqlite(&path, &settings, &Shutdown::new())
            .await
            .unwrap();
        let create = TaskWrite {
            push_configs: vec![push_config("t", "p", "https://one.org/")],
            ..Sketch::new(&scope("ada"), "t").create()
        };
        repository.commit(create).await.unwrap();
        let connection = connect::sqlite(&path, 1, false).await.unwrap();
        let fill = format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {left_alone}) \
             INSERT INTO push_config (task_id, id, config, owner, host, due_ms) \
             SELECT 'b' || n, 'p', 'x', 'busy', 'full.org:443', n FROM n"
        );
        connection.execute_unprepared(&fill).await.unwrap();

        let counter = Arc::new(AtomicU64::new(0));
        let counted = counter.clone();
        let mut held = connection.get_sqlite_connection_pool().acquire().await.unwrap();
        held.lock_handle()
            .await
            .unwrap()
            .set_progress_handler(1, move || {
                counted.fetch_add(1, Ordering::Relaxed);
                true
            });
        drop(held);
        let query = ClaimQuery {
            limit: 16,
            deliveries_max: 16,
            ttl: Duration::from_secs(60),
            except: Except {
                hosts: vec![Arc::from("full.org:443")],
                pairs: (0..left_alone).map(away).collect(),
                ..Except::default()
            },
        };
        let found = due::streams(&connection, &query).await.unwrap();
        let finding = counter.swap(0, Ordering::Relaxed);
        let sealing = Sealing::new(settings.keys.clone());
        let round = claim(&connection, &sealing, &query, &found).await.unwrap();
        assert_eq!((round.claimed.len(), round.rested), (1, 0));
        [finding, counter.load(Ordering::Relaxed)]
    }

    /// The writer is held up by a claim for what is claimed, however much is left alone.
    #[tokio::test]
    async fn a_backlog_that_is_left_alone_costs_the_writer_nothing() {
        let [[few_read, few], [many_read, many]] = [steps(10).await, steps(5_000).await];
        assert!(
            many_read > few_read + 4_990,
            "each was looked at: {few_read}, {many_read}"
        );
        assert!(few > 0 && many <= few + few / 10, "{few}, {many}");
    }
}
