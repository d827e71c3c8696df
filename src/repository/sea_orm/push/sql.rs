//! Statements of the outbox for many rows at once, and what they have in common.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr, Value};

use crate::repository::PushStream;
use crate::repository::sea_orm::sql::ManyRows;
use crate::repository::types::millis;

/// Deliveries of one commit.
pub(super) const INSERT: ManyRows = ManyRows {
    before: "INSERT INTO push_outbox (task_id, config_id, generation, since_ms) VALUES ",
    types: &[""; 4],
    after: "",
};

/// Something waits in streams where nothing did.
pub(super) const MAKE_DUE: ManyRows = ManyRows {
    before: "UPDATE push_config SET due_ms = COALESCE(due_ms, {now}) FROM (VALUES ",
    types: &["TEXT", "TEXT"],
    after: ") AS v WHERE push_config.task_id = v.column1 AND push_config.id = v.column2",
};

/// Locks the streams of claims that still hold.
pub(super) const LOCK_CLAIMS: ManyRows = ManyRows {
    before: "SELECT task_id, id, claim FROM push_config WHERE (task_id, id, claim) IN (VALUES ",
    types: &["TEXT", "TEXT", "BIGINT"],
    after: ") AND claimed_until_ms > {now} ORDER BY task_id, id{locked}",
};

/// Locks streams, whoever has claimed them.
pub(super) const LOCK: ManyRows = ManyRows {
    before: "SELECT task_id, id FROM push_config WHERE (task_id, id) IN (VALUES ",
    types: &["TEXT", "TEXT"],
    after: ") ORDER BY task_id, id{locked}",
};

/// Removes deliveries, dead or not.
pub(super) const DELETE: ManyRows = ManyRows {
    before: "DELETE FROM push_outbox WHERE (task_id, config_id, generation) IN (VALUES ",
    types: &["TEXT", "TEXT", "BIGINT"],
    after: ")",
};

/// Removes those of the deliveries that wait.
pub(super) const DELETE_WAITING: ManyRows = ManyRows {
    before: DELETE.before,
    types: DELETE.types,
    after: ") AND dead_ms IS NULL",
};

/// An attempt at the first delivery that waits in each stream has failed; the last value says whether it was the last.
pub(super) const FAIL: ManyRows = ManyRows {
    before: "UPDATE push_outbox SET attempts = attempts + 1, status = v.column3, cause = v.column4, \
             dead_ms = CASE WHEN v.column5 = 1 THEN {now} END FROM (VALUES ",
    types: &["TEXT", "TEXT", "BIGINT", "TEXT", "BIGINT"],
    after: ") AS v WHERE push_outbox.task_id = v.column1 AND push_outbox.config_id = v.column2 \
            AND push_outbox.generation = (SELECT o.generation FROM push_outbox o WHERE o.task_id = v.column1 \
            AND o.config_id = v.column2 AND o.dead_ms IS NULL ORDER BY o.generation LIMIT 1)",
};

/// Deliveries wait from now on, as if nobody had tried.
pub(super) const BEGIN_ANEW: ManyRows = ManyRows {
    before: "UPDATE push_outbox SET since_ms = {now}, attempts = 0, dead_ms = NULL \
             WHERE (task_id, config_id, generation) IN (VALUES ",
    types: &["TEXT", "TEXT", "BIGINT"],
    after: ")",
};

/// All rows of streams that end.
pub(super) const DELETE_STREAMS: [ManyRows; 2] = [
    ManyRows {
        before: "DELETE FROM push_outbox WHERE (task_id, config_id) IN (VALUES ",
        types: &["TEXT", "TEXT"],
        after: ")",
    },
    ManyRows {
        before: "DELETE FROM push_config WHERE (task_id, id) IN (VALUES ",
        types: &["TEXT", "TEXT"],
        after: ")",
    },
];

/// See [`Rest`].
pub(super) const REST: ManyRows = ManyRows {
    before: "UPDATE push_config SET claim = claim + v.column5, \
             claimed_until_ms = CASE WHEN v.column4 > 0 THEN {now} + v.column4 ELSE 0 END, \
             due_ms = CASE WHEN EXISTS (SELECT 1 FROM push_outbox o WHERE o.task_id = push_config.task_id \
             AND o.config_id = push_config.id AND o.dead_ms IS NULL) \
             THEN COALESCE({now} + v.column3, due_ms, {now}) END FROM (VALUES ",
    types: &["TEXT", "TEXT", "BIGINT", "BIGINT", "BIGINT"],
    after: ") AS v WHERE push_config.task_id = v.column1 AND push_config.id = v.column2",
};

/// How a stream is left behind, once its deliveries are as they have to be.
pub(super) struct Rest<'a> {
    pub(super) stream: &'a PushStream,
    /// When it is due if something waits; as before, if this is `None`.
    pub(super) due: Option<Duration>,
    /// How long it stays claimed.
    pub(super) claimed: Duration,
    /// Whether the claim that holds, if there is one, settles nothing from now on.
    pub(super) revokes: bool,
}

/// Leaves streams behind whose configurations are locked; each of them once.
pub(super) async fn leave(
    transaction: &DatabaseTransaction,
    streams: impl IntoIterator<Item = Rest<'_>>,
) -> Result<(), DbErr> {
    let rows = streams.into_iter().flat_map(|rest| {
        let [task_id, config_id] = stream_row(rest.stream);
        let due = Value::BigInt(rest.due.map(pause));
        let claimed = Value::from(pause(rest.claimed));
        [
            task_id,
            config_id,
            due,
            claimed,
            Value::from(i64::from(rest.revokes)),
        ]
    });
    run(transaction, &REST, rows.collect()).await?;
    Ok(())
}

/// Runs a statement over rows; how many rows it affected.
pub(super) async fn run(
    transaction: &DatabaseTransaction,
    many: &ManyRows,
    rows: Vec<Value>,
) -> Result<u64, DbErr> {
    let mut affected = 0;
    for statement in many.statements(transaction.get_database_backend(), rows) {
        affected += transaction.execute_raw(statement).await?.rows_affected();
    }
    Ok(affected)
}

pub(super) fn stream_row(stream: &PushStream) -> [Value; 2] {
    [&stream.task_id, &stream.config_id].map(|id| Value::from(&**id))
}

/// Milliseconds that can be added to a time.
pub(super) fn pause(duration: Duration) -> i64 {
    millis(duration).min(i64::MAX / 4)
}

/// A list for `{items}`.
pub(super) fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> Value {
    json(items.into_iter().map(serde_json::Value::from))
}

/// A list for `{items}` each of which is a list itself: of the task and the configuration.
pub(super) fn stream_list(streams: &[PushStream]) -> Value {
    let ids = |stream: &PushStream| serde_json::Value::from(vec![&*stream.task_id, &*stream.config_id]);
    json(streams.iter().map(ids))
}

fn json(items: impl Iterator<Item = serde_json::Value>) -> Value {
    Value::from(serde_json::Value::Array(items.collect()).to_string())
}
