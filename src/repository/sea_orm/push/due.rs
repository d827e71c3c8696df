//! Which streams are due, and how long until there is one: read beside the writers, who wait for none of it however many
//! streams are left alone.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, Value};

use super::sql::list;
use crate::context::Principal;
use crate::repository::sea_orm::read::unsigned;
use crate::repository::sea_orm::sql::{number, statement};
use crate::repository::sea_orm::unavailable;
use crate::repository::{ClaimQuery, Error, Except, PushStream};

/// How many times as many streams are looked for as are to be claimed: other nodes look at the same moment, and find the
/// same ones.
const FOUND_PER_CLAIMED: usize = 4;

/// Leaves out those that [`Except`] names; see [`except`]. No host has a blank in it.
macro_rules! not_left_alone {
    () => {
        "owner NOT IN (SELECT value FROM {items}(CAST($1 AS {json}))) \
         AND host NOT IN (SELECT value FROM {items}(CAST($2 AS {json}))) \
         AND host || ' ' || owner NOT IN (SELECT value FROM {items}(CAST($3 AS {json})))"
    };
}

/// It goes past all streams that are left alone in front of the wanted ones.
const DUE: &str = concat!(
    "SELECT task_id, id FROM push_config \
     WHERE due_ms IS NOT NULL AND due_ms <= {now} AND claimed_until_ms <= {now} AND ",
    not_left_alone!(),
    " ORDER BY due_ms LIMIT $4"
);

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

/// Streams that can be claimed, those that have been due for longest; more of them than are wanted.
pub(super) async fn streams(
    connection: &DatabaseConnection,
    query: &ClaimQuery,
) -> Result<Vec<PushStream>, Error> {
    let rows = connection.query_all_raw(finding(connection, query)).await;
    let rows = rows.map_err(unavailable)?;
    let streams = rows.iter().map(|row| {
        Ok(PushStream {
            task_id: row.try_get::<String>("", "task_id")?.into(),
            config_id: row.try_get::<String>("", "id")?.into(),
        })
    });
    streams.collect::<Result<_, _>>().map_err(unavailable)
}

fn finding(connection: &impl ConnectionTrait, query: &ClaimQuery) -> Statement {
    let [owners, hosts, pairs] = except(&query.except);
    let limit = number(query.limit.saturating_mul(FOUND_PER_CLAIMED) as u64);
    statement(connection, DUE, [owners, hosts, pairs, limit])
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

/// See [`super::plans`].
pub(super) fn statements(
    connection: &DatabaseConnection,
    query: &ClaimQuery,
) -> Vec<(&'static str, Statement)> {
    let all = |sql: &str| statement(connection, sql, except(&query.except));
    vec![
        ("streams that are due", finding(connection, query)),
        ("the next stream that is due", all(NEXT_UNCLAIMED)),
        ("the next claim that runs out", all(NEXT_CLAIM_OVER)),
    ]
}
