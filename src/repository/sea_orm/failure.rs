//! What an error of the driver says about the write that met it.

use sea_orm::{DbErr, RuntimeErr};
use sqlx::error::DatabaseError;

/// True if the database refused something about the rows themselves, or about two writers that met: the same rows in
/// smaller portions may do better, and the neighbours of a row that can't be stored certainly do.
pub(super) fn is_of_the_rows(error: &DbErr) -> bool {
    is_final(error) || is_postgres_class(error, &POSTGRES_MET)
}

/// True if the same rows will be refused each time.
pub(super) fn is_final(error: &DbErr) -> bool {
    is_postgres_class(error, &POSTGRES_FINAL) || is_sqlite_final(error)
}

/// Classes of SQLSTATE: data exception, integrity violation, program limit exceeded.
const POSTGRES_FINAL: [&str; 3] = ["22", "23", "54"];

/// Transaction rollback (a deadlock, for example), and a lock that was not available in time.
const POSTGRES_MET: [&str; 2] = ["40", "55P03"];

/// SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH and SQLITE_RANGE.
const SQLITE: [i32; 4] = [18, 19, 20, 25];

fn is_postgres_class(error: &DbErr, classes: &[&str]) -> bool {
    database_error(error).is_some_and(|error| {
        let code = error.code().unwrap_or_default();
        is_postgres(error) && classes.iter().any(|class| code.starts_with(class))
    })
}

fn is_sqlite_final(error: &DbErr) -> bool {
    database_error(error).is_some_and(|error| {
        let code = error.code().unwrap_or_default();
        // An extended code holds the primary one in its lower byte.
        let primary = code.parse::<i32>().map_or(0, |code| code & 0xff);
        !is_postgres(error) && SQLITE.contains(&primary)
    })
}

fn is_postgres(error: &dyn DatabaseError) -> bool {
    error
        .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
        .is_some()
}

fn database_error(error: &DbErr) -> Option<&dyn DatabaseError> {
    let (DbErr::Conn(cause) | DbErr::Exec(cause) | DbErr::Query(cause)) = error else {
        return None;
    };
    match cause {
        RuntimeErr::SqlxError(error) => error.as_database_error(),
        _ => None,
    }
}
