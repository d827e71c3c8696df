//! What operators see of the outbox and change in it, and what the dispatcher does to many streams at once.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, QueryResult, Statement, Value,
};

use super::due::overdue_ms;
use super::sql::{BEGIN_ANEW, DELETE, LOCK, Rest, leave, pause, run, stream_row};
use crate::context::{Principal, Scope};
use crate::repository::sea_orm::read::{small, unsigned};
use crate::repository::sea_orm::sql::{number, statement};
use crate::repository::sea_orm::transaction::{self, Failure};
use crate::repository::sea_orm::unavailable;
use crate::repository::{
    Backlog, Delivery, DeliveryFilter, DeliveryKey, DeliveryState, Error, Failure as Cause, PushStream, Turn,
};

/// Streams that are postponed in one transaction.
const POSTPONED_AT_ONCE: u64 = 1_000;

const NOW: &str = "SELECT {now} AS now_ms";

const POSTPONE: &str = "WITH early AS MATERIALIZED (SELECT task_id, id FROM push_config \
     WHERE due_ms IS NOT NULL AND due_ms < $2 AND host = $1 AND owner = $4 ORDER BY task_id, id LIMIT $3{locked}) \
     UPDATE push_config SET due_ms = $2 WHERE (task_id, id) IN (SELECT task_id, id FROM early)";

const DELIVERIES: &str = "SELECT o.task_id, o.config_id, o.generation, o.since_ms, o.attempts, o.status, o.cause, \
     o.dead_ms, c.agent, c.owner, c.host, c.due_ms FROM push_outbox o \
     JOIN push_config c ON c.task_id = o.task_id AND c.id = o.config_id WHERE ";

/// Letters that are about to go or to be sent anew are left alone.
const FORGET_DEAD: &str = "WITH old AS MATERIALIZED (SELECT task_id, config_id, generation FROM push_outbox \
     WHERE dead_ms IS NOT NULL AND dead_ms < $1 ORDER BY dead_ms LIMIT $2{free}) \
     DELETE FROM push_outbox WHERE (task_id, config_id, generation) IN \
     (SELECT task_id, config_id, generation FROM old)";

/// Stream by stream, so that counting ends at its limit whatever lies in the table beside it: SQLite is told so by the
/// words `CROSS JOIN`, PostgreSQL by a limit that every single stream has.
const COUNT_WAITING: [&str; 2] = [
    "SELECT COUNT(*) AS found FROM (SELECT 1 AS one FROM push_config c CROSS JOIN push_outbox o \
     WHERE c.due_ms IS NOT NULL AND o.task_id = c.task_id AND o.config_id = c.id AND o.dead_ms IS NULL \
     LIMIT $1) AS counted",
    "SELECT COUNT(*) AS found FROM (SELECT 1 AS one FROM push_config c CROSS JOIN LATERAL \
     (SELECT 1 AS one FROM push_outbox o WHERE o.task_id = c.task_id AND o.config_id = c.id \
     AND o.dead_ms IS NULL LIMIT $1) AS waiting WHERE c.due_ms IS NOT NULL LIMIT $1) AS counted",
];

const COUNT_DEAD: &str = "SELECT COUNT(*) AS found FROM (SELECT 1 AS one FROM push_outbox \
     WHERE dead_ms IS NOT NULL LIMIT $1) AS counted";

/// Postpones the streams of an owner to a host.
pub(super) async fn postpone_host(
    connection: &DatabaseConnection,
    owner: &Principal,
    host: &str,
    by: Duration,
) -> Result<(), Error> {
    let now = connection.query_one_raw(statement(connection, NOW, [])).await;
    let now_ms = now.map_err(unavailable)?.map(|row| row.try_get("", "now_ms"));
    let now_ms: i64 = now_ms.transpose().map_err(unavailable)?.unwrap_or(0);
    loop {
        let values = [
            Value::from(host),
            Value::from(now_ms.saturating_add(pause(by))),
            number(POSTPONED_AT_ONCE),
            Value::from(owner.as_str()),
        ];
        let postponed = connection
            .execute_raw(statement(connection, POSTPONE, values))
            .await;
        if postponed.map_err(unavailable)?.rows_affected() < POSTPONED_AT_ONCE {
            return Ok(());
        }
    }
}

/// Which deliveries, and how many of them.
pub(in crate::repository::sea_orm) struct Wanted {
    filter: DeliveryFilter,
    /// Those behind this one, in the order of their keys.
    after: Option<DeliveryKey>,
    limit: usize,
}

impl Wanted {
    pub(super) fn new(filter: &DeliveryFilter, after: Option<&DeliveryKey>, limit: usize) -> Self {
        Self {
            filter: filter.clone(),
            after: after.cloned(),
            limit,
        }
    }
}

/// A page of deliveries.
pub(super) async fn deliveries(
    connection: &impl ConnectionTrait,
    wanted: &Wanted,
) -> Result<Vec<Delivery>, Error> {
    find(connection, wanted, None).await.map_err(unavailable)
}

/// The wanted deliveries: those up to `through`, or the limit of them.
async fn find(
    connection: &impl ConnectionTrait,
    wanted: &Wanted,
    through: Option<&DeliveryKey>,
) -> Result<Vec<Delivery>, DbErr> {
    let (mut conditions, mut values) = conditions(&wanted.filter);
    for (bound, key) in [(">", wanted.after.as_ref()), ("<=", through)] {
        let Some(DeliveryKey { stream, generation }) = key else {
            continue;
        };
        let n = values.len();
        conditions.push(format!(
            "(o.task_id, o.config_id, o.generation) {bound} (${}, ${}, ${})",
            n + 1,
            n + 2,
            n + 3
        ));
        values.extend(stream_row(stream));
        values.push(number(*generation));
    }
    let limit = match through {
        Some(_) => String::new(),
        None => {
            values.push(number(wanted.limit as u64));
            format!(" LIMIT ${}", values.len())
        }
    };
    let sql = format!(
        "{DELIVERIES}{} ORDER BY o.task_id, o.config_id, o.generation{limit}",
        conditions.join(" AND ")
    );
    let rows = connection
        .query_all_raw(statement(connection, &sql, values))
        .await?;
    rows.iter().map(delivery).collect()
}

/// The conditions of a filter, of which there is one at least, and their values.
fn conditions(filter: &DeliveryFilter) -> (Vec<String>, Vec<Value>) {
    let state = match filter.state {
        None => "1 = 1",
        Some(DeliveryState::Waiting) => "o.dead_ms IS NULL",
        Some(DeliveryState::Dead) => "o.dead_ms IS NOT NULL",
    };
    let text = |text: &str| Value::from(text.to_owned());
    let wanted = [
        ("c.agent", filter.agent.as_deref().map(text)),
        ("c.owner", filter.owner.as_ref().map(|owner| text(owner.as_str()))),
        ("c.host", filter.host.as_deref().map(text)),
        ("o.task_id", filter.task_id.as_deref().map(text)),
        ("o.config_id", filter.config_id.as_deref().map(text)),
        ("o.generation", filter.generation.map(number)),
    ];
    let (mut conditions, mut values) = (vec![state.to_owned()], Vec::new());
    for (column, value) in wanted {
        if let Some(value) = value {
            values.push(value);
            conditions.push(format!("{column} = ${}", values.len()));
        }
    }
    if let Some(beginning) = &filter.owners {
        values.push(text(beginning));
        let n = values.len();
        // Neither collations nor patterns have a say in whose they are.
        conditions.push(format!("substr(c.owner, 1, length(${n})) = ${n}"));
    }
    (conditions, values)
}

fn delivery(row: &QueryResult) -> Result<Delivery, DbErr> {
    let text = |column| row.try_get::<String>("", column);
    let status: Option<i64> = row.try_get("", "status")?;
    let cause: Option<String> = row.try_get("", "cause")?;
    let dead_ms: Option<i64> = row.try_get("", "dead_ms")?;
    let due_ms: Option<i64> = row.try_get("", "due_ms")?;
    Ok(Delivery {
        key: DeliveryKey {
            stream: PushStream {
                task_id: text("task_id")?.into(),
                config_id: text("config_id")?.into(),
            },
            generation: unsigned(row.try_get("", "generation")?),
        },
        scope: Scope {
            agent: text("agent")?.into(),
            owner: Principal::verified(&text("owner")?),
        },
        host: text("host")?.into(),
        state: match dead_ms {
            Some(_) => DeliveryState::Dead,
            None => DeliveryState::Waiting,
        },
        since_ms: row.try_get("", "since_ms")?,
        attempts: small(row.try_get("", "attempts")?),
        due_ms: due_ms.filter(|_| dead_ms.is_none()),
        failure: cause.map(|cause| Cause {
            status: status.and_then(|status| u16::try_from(status).ok()),
            cause,
        }),
        dead_ms,
    })
}

/// Makes deliveries wait anew.
pub(super) async fn redeliver(connection: &DatabaseConnection, wanted: &Wanted) -> Result<Turn, Error> {
    let transaction = transaction::begin(connection).await.map_err(unavailable)?;
    let redelivered = begin_anew(&transaction, wanted).await.map_err(Failure::from);
    Ok(transaction::end(connection, transaction, redelivered).await?)
}

async fn begin_anew(transaction: &DatabaseTransaction, wanted: &Wanted) -> Result<Turn, DbErr> {
    let (found, next) = locked(transaction, wanted).await?;
    let count = run(transaction, &BEGIN_ANEW, key_rows(&found)).await?;
    let revoked: BTreeSet<PushStream> = found.into_iter().map(|delivery| delivery.key.stream).collect();
    let rest = revoked.iter().map(|stream| Rest {
        stream,
        due: Some(Duration::ZERO),
        claimed: Duration::ZERO,
        revokes: true,
    });
    leave(transaction, rest).await?;
    Ok(Turn { count, next, revoked })
}

/// Removes deliveries.
pub(super) async fn discard(connection: &DatabaseConnection, wanted: &Wanted) -> Result<Turn, Error> {
    let transaction = transaction::begin(connection).await.map_err(unavailable)?;
    let discarded = remove(&transaction, wanted).await.map_err(Failure::from);
    Ok(transaction::end(connection, transaction, discarded).await?)
}

/// Where nothing that waits goes, whoever has claimed the stream goes on undisturbed.
async fn remove(transaction: &DatabaseTransaction, wanted: &Wanted) -> Result<Turn, DbErr> {
    let (found, next) = locked(transaction, wanted).await?;
    let count = run(transaction, &DELETE, key_rows(&found)).await?;
    let waiting = found
        .into_iter()
        .filter(|delivery| delivery.state == DeliveryState::Waiting);
    let revoked: BTreeSet<PushStream> = waiting.map(|delivery| delivery.key.stream).collect();
    let rest = revoked.iter().map(|stream| Rest {
        stream,
        due: None,
        claimed: Duration::ZERO,
        revokes: true,
    });
    leave(transaction, rest).await?;
    Ok(Turn { count, next, revoked })
}

/// The wanted deliveries, as they are once their streams are locked, and where there may be more.
async fn locked(
    transaction: &DatabaseTransaction,
    wanted: &Wanted,
) -> Result<(Vec<Delivery>, Option<DeliveryKey>), DbErr> {
    let found = find(transaction, wanted, None).await?;
    let streams: BTreeSet<&PushStream> = found.iter().map(|delivery| &delivery.key.stream).collect();
    let streams = streams.into_iter().flat_map(stream_row).collect();
    for lock in LOCK.statements(transaction.get_database_backend(), streams) {
        transaction.query_all_raw(lock).await?;
    }
    let more = found.len() >= wanted.limit;
    let next = found.last().filter(|_| more).map(|delivery| delivery.key.clone());
    let seen: HashSet<DeliveryKey> = found.into_iter().map(|delivery| delivery.key).collect();
    // Up to the last of them, and not as many: what has come in front of them meanwhile would push the last ones off.
    let mut still = find(transaction, wanted, seen.iter().max()).await?;
    still.retain(|delivery| seen.contains(&delivery.key));
    Ok((still, next))
}

fn key_rows(deliveries: &[Delivery]) -> Vec<Value> {
    let row = |delivery: &Delivery| {
        let [task_id, config_id] = stream_row(&delivery.key.stream);
        [task_id, config_id, number(delivery.key.generation)]
    };
    deliveries.iter().flat_map(row).collect()
}

/// Removes the oldest dead letters from before a time.
pub(super) async fn forget_dead(
    connection: &DatabaseConnection,
    before_ms: i64,
    limit: usize,
) -> Result<u64, Error> {
    let values = [Value::from(before_ms), number(limit as u64)];
    let forgotten = connection
        .execute_raw(statement(connection, FORGET_DEAD, values))
        .await;
    Ok(forgotten.map_err(unavailable)?.rows_affected())
}

fn count_waiting(connection: &DatabaseConnection) -> &'static str {
    let [sqlite, postgres] = COUNT_WAITING;
    match connection.get_database_backend() {
        DbBackend::Postgres => postgres,
        _ => sqlite,
    }
}

/// How much waits.
pub(super) async fn backlog(connection: &DatabaseConnection, limit: usize) -> Result<Backlog, Error> {
    let count = async |sql: &str| {
        let counted = connection
            .query_one_raw(statement(connection, sql, [number(limit as u64)]))
            .await;
        let found = counted.map_err(unavailable)?.map(|row| row.try_get("", "found"));
        Ok::<_, Error>(unsigned(found.transpose().map_err(unavailable)?.unwrap_or(0)))
    };
    Ok(Backlog {
        waiting: count(count_waiting(connection)).await?,
        dead: count(COUNT_DEAD).await?,
        overdue_ms: overdue_ms(connection).await?,
    })
}

/// See [`super::plans`].
pub(super) fn statements(connection: &DatabaseConnection) -> Vec<(&'static str, Statement)> {
    let own = |sql: &str, values: &[Value]| statement(connection, sql, values.to_vec());
    let host = [
        Value::from("one.org:443"),
        Value::from(2_i64),
        number(POSTPONED_AT_ONCE),
        Value::from("ada"),
    ];
    vec![
        ("postpone the streams to a host", own(POSTPONE, &host)),
        (
            "old dead letters",
            own(FORGET_DEAD, &[Value::from(2_i64), number(500)]),
        ),
        (
            "count what waits",
            own(count_waiting(connection), &[number(1_000)]),
        ),
        ("count dead letters", own(COUNT_DEAD, &[number(1_000)])),
    ]
}
