//! How the database would read: the plans of the statements behind a listing.
//!
//! For operators who wonder why a listing is slow, and for the tests that keep every listing on its index.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use super::{SeaOrmRepository, list, unavailable};
use crate::context::Scope;
use crate::repository::{Error, ListQuery};

/// The plans of one listing, in the database's own words, one step a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPlans {
    /// Which tasks are on the page.
    pub page: String,
    /// How many there are.
    pub total: String,
    /// The snapshot and the events of a task on it.
    pub task: String,
}

impl SeaOrmRepository {
    /// How the database would run a listing; nothing of it is read.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn explain_list(&self, scope: &Scope, query: &ListQuery) -> Result<ListPlans, Error> {
        let (scope, query) = (scope.clone(), query.clone());
        self.readers
            .run(|pool| async move { plans(&pool, &scope, &query).await })
            .await
    }
}

async fn plans(
    connection: &DatabaseConnection,
    scope: &Scope,
    query: &ListQuery,
) -> Result<ListPlans, Error> {
    let [page, total, task] = list::statements(connection.get_database_backend(), scope, query);
    Ok(ListPlans {
        page: plan(connection, page).await?,
        total: plan(connection, total).await?,
        task: plan(connection, task).await?,
    })
}

async fn plan(connection: &DatabaseConnection, statement: Statement) -> Result<String, Error> {
    let (verb, column) = match statement.db_backend {
        DbBackend::Sqlite => ("EXPLAIN QUERY PLAN", "detail"),
        _ => ("EXPLAIN", "QUERY PLAN"),
    };
    let explain = Statement {
        sql: format!("{verb} {}", statement.sql),
        ..statement
    };
    let rows = connection.query_all_raw(explain).await.map_err(unavailable)?;
    let steps = rows.iter().map(|row| row.try_get("", column));
    let steps: Vec<String> = steps.collect::<Result<_, _>>().map_err(unavailable)?;
    Ok(steps.join("\n"))
}
