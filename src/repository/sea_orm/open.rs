//! How many tasks have not ended, for quotas.

use std::fmt::Write as _;
use std::sync::Arc;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, Value};

use super::sql::statement;
use super::unavailable;
use crate::context::Principal;
use crate::repository::{Error, OpenQuery, Owners};

/// SUBMITTED, WORKING, INPUT_REQUIRED and AUTH_REQUIRED.
const OPEN: [u8; 4] = [1, 2, 6, 8];

/// Agents that are asked for by one statement.
const AGENTS_AT_ONCE: usize = 16;

/// Counts no further than `limit` for each state of each agent.
///
/// Each of them is a read of its own, in the order of the index `task_by_state`: open tasks are the newest rows, so that a
/// database which reads the table until it has enough of them would read all tasks that have ended first.
fn select(
    connection: &impl ConnectionTrait,
    agents: &[Arc<str>],
    owners: &Owners,
    limit: usize,
) -> Statement {
    let (condition, of_owner): (&str, Vec<Value>) = match owners {
        Owners::All => ("", Vec::new()),
        Owners::One(owner) => (" AND owner = ?", vec![owner.as_str().into()]),
        Owners::Beginning(beginning) => {
            let bounds = vec![beginning.as_str().into(), behind(beginning).into()];
            (" AND owner >= ? AND owner < ?", bounds)
        }
    };
    let mut values = Vec::new();
    let mut parts = Vec::new();
    for agent in agents {
        for state in OPEN {
            let mut part =
                format!("SELECT 1 AS one FROM task WHERE state = {state} AND agent = ?{condition}");
            values.push(Value::from(&**agent));
            values.extend_from_slice(&of_owner);
            // Writing to a String can't fail.
            let _ = write!(part, " ORDER BY owner, status_ms, id LIMIT {limit}");
            parts.push(format!("SELECT COUNT(*) AS open FROM ({part}) AS part"));
        }
    }
    let sql = format!(
        "SELECT CAST(SUM(open) AS BIGINT) AS total FROM ({}) AS parts",
        parts.join(" UNION ALL ")
    );
    statement(connection, &numbered(&sql), values)
}

/// Places by number, which both databases read.
fn numbered(sql: &str) -> String {
    let mut pieces = sql.split('?');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for (place, piece) in pieces.enumerate() {
        let _ = write!(text, "${}{piece}", place + 1);
    }
    text
}

/// A text behind all that begin with `beginning`, by the order of bytes: no character is greater than this one.
fn behind(beginning: &str) -> String {
    format!("{beginning}{}", char::MAX)
}

pub(super) async fn count(connection: &DatabaseConnection, query: &OpenQuery) -> Result<usize, Error> {
    let mut found = 0;
    for agents in query.agents.chunks(AGENTS_AT_ONCE) {
        if found >= query.limit {
            break;
        }
        let select = select(connection, agents, &query.owners, query.limit);
        let row = connection.query_one_raw(select).await.map_err(unavailable)?;
        let total: Option<i64> = row
            .map(|row| row.try_get("", "total"))
            .transpose()
            .map_err(unavailable)?;
        found += usize::try_from(total.unwrap_or(0)).unwrap_or(0);
    }
    Ok(found.min(query.limit))
}

/// The statements as they are run: for who wants to see their plans.
pub(super) fn statements(connection: &DatabaseConnection) -> Vec<(&'static str, Statement)> {
    let agents = [Arc::from("echo"), Arc::from("other")];
    let of = |owners| select(connection, &agents, &owners, 100);
    vec![
        ("open tasks of an agent", of(Owners::All)),
        (
            "open tasks of an owner",
            of(Owners::One(Principal::verified("o7"))),
        ),
        (
            "open tasks of an organisation",
            of(Owners::Beginning("o7".to_owned())),
        ),
    ]
}
