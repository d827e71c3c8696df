//! What became of claims.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbErr, Value};

use super::sql::{DELETE_STREAMS, DELETE_WAITING, FAIL, LOCK_CLAIMS, Rest, leave, run, stream_row};
use crate::repository::sea_orm::read::unsigned;
use crate::repository::sea_orm::sql::number;
use crate::repository::sea_orm::transaction::{self, Failure};
use crate::repository::sea_orm::unavailable;
use crate::repository::{Error, Next, PushStream, Settlement};

/// Settles all claims that still hold in one transaction; for each whether it did.
pub(super) async fn settle(
    connection: &DatabaseConnection,
    settlements: &[Settlement],
) -> Result<Vec<bool>, Error> {
    let transaction = transaction::begin(connection).await.map_err(unavailable)?;
    let settled = write(&transaction, settlements).await.map_err(Failure::from);
    Ok(transaction::end(connection, transaction, settled).await?)
}

async fn write(transaction: &DatabaseTransaction, settlements: &[Settlement]) -> Result<Vec<bool>, DbErr> {
    // By claim, and not by stream alone: a stale settlement must not stand for the one that holds.
    let mut by_claim = BTreeMap::new();
    for settlement in settlements.iter().rev() {
        by_claim.insert((&settlement.stream, settlement.claim), settlement);
    }
    let holding = holding(transaction, by_claim.values().copied()).await?;
    by_claim.retain(|(stream, claim), _| holding.get(*stream) == Some(claim));
    let held: Vec<&Settlement> = by_claim.into_values().collect();

    let done = held.iter().flat_map(|settlement| {
        let of_stream = |generation: &u64| {
            let [task_id, config_id] = stream_row(&settlement.stream);
            [task_id, config_id, number(*generation)]
        };
        settlement.done.iter().flat_map(of_stream)
    });
    run(transaction, &DELETE_WAITING, done.collect()).await?;
    let failed = held
        .iter()
        .filter_map(|settlement| failed_row(settlement))
        .flatten();
    run(transaction, &FAIL, failed.collect()).await?;
    let over = held.iter().filter(|settlement| settlement.next == Next::End);
    let over: Vec<Value> = over
        .flat_map(|settlement| stream_row(&settlement.stream))
        .collect();
    for many in &DELETE_STREAMS {
        run(transaction, many, over.clone()).await?;
    }
    leave(transaction, held.iter().filter_map(|settlement| rest(settlement))).await?;

    // Of two for one claim the first one counts.
    let mut first = held.into_iter().map(std::ptr::from_ref).collect::<HashSet<_>>();
    Ok(settlements
        .iter()
        .map(|settlement| first.remove(&std::ptr::from_ref(settlement)))
        .collect())
}

/// Locks the streams whose claims still hold; each with its claim.
async fn holding(
    transaction: &DatabaseTransaction,
    settlements: impl Iterator<Item = &Settlement>,
) -> Result<HashMap<PushStream, u64>, DbErr> {
    let claims = settlements.flat_map(|settlement| {
        let [task_id, config_id] = stream_row(&settlement.stream);
        [task_id, config_id, number(settlement.claim)]
    });
    let backend = transaction.get_database_backend();
    let mut holding = HashMap::new();
    for lock in LOCK_CLAIMS.statements(backend, claims.collect()) {
        for row in transaction.query_all_raw(lock).await? {
            let (task_id, config_id): (String, String) =
                (row.try_get("", "task_id")?, row.try_get("", "id")?);
            let stream = PushStream {
                task_id: task_id.into(),
                config_id: config_id.into(),
            };
            holding.insert(stream, unsigned(row.try_get("", "claim")?));
        }
    }
    Ok(holding)
}

fn failed_row(settlement: &Settlement) -> Option<[Value; 5]> {
    let (failure, is_dead) = match &settlement.next {
        Next::Retry(_, failure) => (failure, false),
        Next::GiveUp(failure) => (failure, true),
        Next::Keep(_) | Next::Release | Next::Postpone(_) | Next::End => return None,
    };
    let [task_id, config_id] = stream_row(&settlement.stream);
    Some([
        task_id,
        config_id,
        Value::BigInt(failure.status.map(i64::from)),
        Value::from(failure.kept_cause()),
        Value::from(i64::from(is_dead)),
    ])
}

fn rest(settlement: &Settlement) -> Option<Rest<'_>> {
    let (due, claimed) = match settlement.next {
        Next::Keep(ttl) => (Duration::ZERO, ttl),
        Next::Release | Next::GiveUp(_) => (Duration::ZERO, Duration::ZERO),
        Next::Retry(pause, _) | Next::Postpone(pause) => (pause, Duration::ZERO),
        Next::End => return None,
    };
    Some(Rest {
        stream: &settlement.stream,
        due: Some(due),
        claimed,
        revokes: false,
    })
}
