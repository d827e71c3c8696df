//! How the database would run the statements behind a listing, and those that run without a caller.
//!
//! For operators who wonder why something is slow, and for the tests that keep every statement on its index.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use super::{SeaOrmRepository, lease, list, open, prune, push, removal, side, unavailable};
use crate::context::Scope;
use crate::repository::{Error, ListQuery};

/// The plans of one listing, in the database's own words, one step a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPlans {
    /// Which tasks are on the page.
    pub page: String,
    /// How many there are.
    pub total: String,
    /// The snapshots and the events of the tasks that are loaded at once.
    pub tasks: String,
}

/// How the database would run one statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementPlan {
    /// What the statement is for.
    pub purpose: &'static str,
    /// The plan, in the database's own words, one step a line.
    pub plan: String,
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

    /// How the database would run what happens without a caller: leases, retention, care and push notifications. Nothing
    /// of it is run.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn explain_upkeep(&self) -> Result<Vec<StatementPlan>, Error> {
        self.readers.run(|pool| async move { upkeep(&pool).await }).await
    }
}

async fn plans(
    connection: &DatabaseConnection,
    scope: &Scope,
    query: &ListQuery,
) -> Result<ListPlans, Error> {
    let [page, total, tasks] = list::statements(connection.get_database_backend(), scope, query);
    Ok(ListPlans {
        page: plan(connection, page).await?,
        total: plan(connection, total).await?,
        tasks: plan(connection, tasks).await?,
    })
}

async fn upkeep(connection: &DatabaseConnection) -> Result<Vec<StatementPlan>, Error> {
    let mut statements = lease::statements(connection);
    statements.extend(prune::statements(connection));
    statements.extend(removal::statements(connection));
    statements.extend(side::statements(connection));
    statements.extend(open::statements(connection));
    statements.extend(push::statements(connection));
    let mut plans = Vec::with_capacity(statements.len());
    for (purpose, statement) in statements {
        let plan = plan(connection, statement).await?;
        plans.push(StatementPlan { purpose, plan });
    }
    Ok(plans)
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
