//! The one way to a transaction of a writer: whatever it ends with, the next one begins anew.

use sea_orm::{
    DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};

use super::{connect, unavailable};
use crate::repository::Error;

/// Why nothing was written.
#[derive(Debug)]
pub(super) enum Failure<R = Error> {
    /// The statements found something that the caller has to know.
    Refused(R),
    /// The database failed; whether a commit took place is unknown.
    Database(DbErr),
}

impl<R> From<DbErr> for Failure<R> {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) => error,
            Failure::Database(error) => unavailable(error),
        }
    }
}

/// Begins a transaction. What was done in it goes to [`end`].
pub(super) async fn begin(writer: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    // SQLite would take its write lock with the first statement, where it can't wait for it.
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let begun = writer.begin_with_options(options).await;
    if begun.is_err() {
        connect::discard(writer).await;
    }
    begun
}

/// Commits what went well, and takes the rest back. A connection whose database failed is not used again.
pub(super) async fn end<T, R>(
    writer: &DatabaseConnection,
    transaction: DatabaseTransaction,
    outcome: Result<T, Failure<R>>,
) -> Result<T, Failure<R>> {
    let ended = match &outcome {
        Ok(_) => transaction.commit().await,
        Err(_) => transaction.rollback().await,
    };
    let outcome = match (outcome, ended) {
        (Err(Failure::Database(error)), _) | (_, Err(error)) => Err(Failure::Database(error)),
        (outcome, Ok(())) => outcome,
    };
    if matches!(outcome, Err(Failure::Database(_))) {
        connect::discard(writer).await;
    }
    outcome
}
