//! How many tasks have not ended, for quotas.

use sea_orm::sea_query::{Expr, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    Statement,
};

use super::entity::task;
use super::unavailable;
use crate::repository::{Error, OpenQuery, Owners};

/// SUBMITTED, WORKING, INPUT_REQUIRED and AUTH_REQUIRED.
const OPEN: [i64; 4] = [1, 2, 6, 8];

/// Counts no further than the limit. States, agents and owners are the beginning of the index `task_by_state`, so that the
/// tasks that have ended cost nothing.
fn select(query: &OpenQuery) -> SelectStatement {
    let agents = query.agents.iter().map(|agent| &**agent);
    let mut open = task::Entity::find()
        .filter(task::Column::State.is_in(OPEN))
        .filter(task::Column::Agent.is_in(agents));
    match &query.owners {
        Owners::All => {}
        Owners::One(owner) => open = open.filter(task::Column::Owner.eq(owner.as_str())),
        Owners::Beginning(beginning) => {
            open = open
                .filter(task::Column::Owner.gte(beginning))
                .filter(task::Column::Owner.lt(behind(beginning)));
        }
    }
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX).unsigned_abs();
    let mut open = open.select_only().into_query();
    open.expr(Expr::cust("1")).limit(limit);
    Query::select()
        .expr_as(Expr::cust("COUNT(*)"), "total")
        .from_subquery(open, "open")
        .to_owned()
}

/// The first text behind all that begin with `beginning`, by the order of bytes: any character is less than this one.
fn behind(beginning: &str) -> String {
    format!("{beginning}{}", char::MAX)
}

pub(super) async fn count(connection: &DatabaseConnection, query: &OpenQuery) -> Result<usize, Error> {
    let row = connection.query_one(&select(query)).await.map_err(unavailable)?;
    let total: i64 = row
        .map(|row| row.try_get("", "total"))
        .transpose()
        .map_err(unavailable)?
        .unwrap_or(0);
    Ok(usize::try_from(total).unwrap_or(0))
}

/// The statements as they are run: for who wants to see their plans.
pub(super) fn statements(connection: &DatabaseConnection) -> Vec<(&'static str, Statement)> {
    let backend = connection.get_database_backend();
    let statement = |agents: &[&str], owners| {
        let query = OpenQuery {
            agents: agents.iter().map(|&agent| agent.into()).collect(),
            owners,
            limit: 100,
        };
        backend.build(&select(&query))
    };
    vec![
        ("open tasks of an agent", statement(&["echo"], Owners::All)),
        (
            "open tasks of an owner",
            statement(
                &["echo", "other"],
                Owners::One(crate::context::Principal::verified("o7")),
            ),
        ),
        (
            "open tasks of an organisation",
            statement(&["echo", "other"], Owners::Beginning("o7".to_owned())),
        ),
    ]
}
