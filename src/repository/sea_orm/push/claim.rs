//! Claiming streams, and how long until there is one to claim.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, QueryResult, Statement, Value,
};

use super::sql::{Rest, leave, list, pause};
use crate::context::{Principal, Scope};
use crate::repository::sea_orm::read::{small, unsigned};
use crate::repository::sea_orm::sealing::Sealing;
use crate::repository::sea_orm::side;
use crate::repository::sea_orm::sql::{number, statement};
use crate::repository::sea_orm::transaction::{self, Failure};
use crate::repository::sea_orm::unavailable;
use crate::repository::{ClaimQuery, Claimed, Error, Except, PushStream, Waiting};

/// How long a stream rests whose configuration can't be opened: until an operator has brought the key back, or for good.
const UNREADABLE_RESTS: Duration = Duration::from_secs(60 * 60);

/// Leaves out those that [`Except`] names; see [`except`]. No host has a blank in it.
macro_rules! not_left_alone {
    () => {
        "owner NOT IN (SELECT value FROM {items}(CAST($1 AS {json}))) \
         AND host NOT IN (SELECT value FROM {items}(CAST($2 AS {json}))) \
         AND host || ' ' || owner NOT IN (SELECT value FROM {items}(CAST($3 AS {json})))"
    };
}

/// Streams that somebody is at work on are left alone: nobody waits for this, and this waits for nobody.
const CLAIM: &str = concat!(
    "WITH due AS MATERIALIZED (SELECT task_id, id FROM push_config \
     WHERE due_ms IS NOT NULL AND due_ms <= {now} AND claimed_until_ms <= {now} AND ",
    not_left_alone!(),
    " ORDER BY due_ms LIMIT $4{free}) UPDATE push_config SET claim = claim + 1, claimed_until_ms = {now} + $5 \
     WHERE (task_id, id) IN (SELECT task_id, id FROM due) \
     RETURNING task_id, id, agent, owner, config, claim, due_ms"
);

const DELIVERIES: &str = "SELECT generation, since_ms, attempts FROM push_outbox \
     WHERE task_id = $1 AND config_id = $2 AND dead_ms IS NULL ORDER BY generation LIMIT $3";

/// Negative when it has been due for so long.
const NEXT_UNCLAIMED: &str = concat!(
    "SELECT due_ms - {now} AS wait_ms FROM push_config \
     WHERE due_ms IS NOT NULL AND claimed_until_ms <= {now} AND ",
    not_left_alone!(),
    " ORDER BY due_ms LIMIT 1"
);

/// Claims run out. Where nothing unclaimed is due, all that is due is claimed or left alone.
const NEXT_CLAIM_OVER: &str = concat!(
    "SELECT MIN(claimed_until_ms) - {now} AS wait_ms FROM push_config \
     WHERE due_ms IS NOT NULL AND due_ms <= {now} AND claimed_until_ms > {now} AND ",
    not_left_alone!()
);

const END_ALL: &str =
    "UPDATE push_config SET claimed_until_ms = 0 WHERE due_ms IS NOT NULL AND claimed_until_ms > 0";

/// How often a claim looks again when it has found nothing but streams whose configurations can't be opened. Others wait
/// behind them.
const ROUNDS_MAX: usize = 16;

/// Claims streams that are due, with what waits in them.
pub(super) async fn claim(
    connection: &DatabaseConnection,
    sealing: &Sealing,
    query: &ClaimQuery,
) -> Result<Vec<Claimed>, Error> {
    for _ in 0..ROUNDS_MAX {
        let transaction = transaction::begin(connection).await.map_err(unavailable)?;
        let taken = take(&transaction, sealing, query).await.map_err(Failure::from);
        let (claimed, left) = transaction::end(connection, transaction, taken).await?;
        if !claimed.is_empty() || left == 0 {
            return Ok(claimed);
        }
    }
    Ok(Vec::new())
}

/// One round: what is claimed, and how many streams were put to rest instead.
async fn take(
    transaction: &DatabaseTransaction,
    sealing: &Sealing,
    query: &ClaimQuery,
) -> Result<(Vec<Claimed>, usize), DbErr> {
    let rows = transaction.query_all_raw(claiming(transaction, query)).await?;
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
    Ok((claimed, left.len()))
}

fn claiming(connection: &impl ConnectionTrait, query: &ClaimQuery) -> Statement {
    let [owners, hosts, pairs] = except(&query.except);
    let limit = number(query.limit as u64);
    let ttl = Value::from(pause(query.ttl));
    statement(connection, CLAIM, [owners, hosts, pairs, limit, ttl])
}

/// The three lists of [`not_left_alone`].
fn except(except: &Except) -> [Value; 3] {
    let pairs: Vec<String> = except
        .pairs
        .iter()
        .map(|(owner, host)| format!("{host} {}", owner.as_str()))
        .collect();
    [
        list(except.owners.iter().map(Principal::as_str)),
        list(except.hosts.iter().map(|host| &**host)),
        list(pairs.iter().map(String::as_str)),
    ]
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

/// How long until there is a stream to claim.
pub(super) async fn next_due(
    connection: &DatabaseConnection,
    except: &Except,
) -> Result<Option<Duration>, Error> {
    let unclaimed = wait_ms(connection, NEXT_UNCLAIMED, except).await?;
    let wait_ms = match unclaimed {
        Some(..=0) => unclaimed,
        _ => [unclaimed, wait_ms(connection, NEXT_CLAIM_OVER, except).await?]
            .into_iter()
            .flatten()
            .min(),
    };
    Ok(wait_ms.map(|wait_ms| Duration::from_millis(unsigned(wait_ms))))
}

/// How long the oldest stream has been due that nobody has claimed, in milliseconds.
pub(super) async fn overdue_ms(connection: &DatabaseConnection) -> Result<u64, Error> {
    let wait_ms = wait_ms(connection, NEXT_UNCLAIMED, &Except::default()).await?;
    Ok(wait_ms.map_or(0, |wait_ms| unsigned(wait_ms.saturating_neg())))
}

async fn wait_ms(
    connection: &DatabaseConnection,
    sql: &str,
    left_alone: &Except,
) -> Result<Option<i64>, Error> {
    let row = connection
        .query_one_raw(statement(connection, sql, except(left_alone)))
        .await;
    let wait_ms = row.map_err(unavailable)?.map(|row| row.try_get("", "wait_ms"));
    Ok(wait_ms.transpose().map_err(unavailable)?.flatten())
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
    let mut statements = vec![
        ("claim streams", claiming(connection, query)),
        ("what waits in a stream", own(DELIVERIES, &stream)),
        (
            "the next stream that is due",
            own(NEXT_UNCLAIMED, &except(&query.except)),
        ),
        (
            "the next claim that runs out",
            own(NEXT_CLAIM_OVER, &except(&query.except)),
        ),
    ];
    if connection.get_database_backend() == DbBackend::Sqlite {
        statements.push(("end all claims", own(END_ALL, &[])));
    }
    statements
}
