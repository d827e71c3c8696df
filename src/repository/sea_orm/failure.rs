//! What an error of the driver says about the write that met it.

use sea_orm::{DbErr, RuntimeErr};
use sqlx::error::DatabaseError;

/// True if the database refused something about the rows themselves, or about two writers that met: the same rows in
/// smaller portions may do better, and the neighbours of a row that can't be stored certainly do.
pub(super) fn is_of_the_rows(error: &DbErr) -> bool {
    database_error(error).is_some_and(|error| {
        let code = error.code().unwrap_or_default();
        if error
            .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
            .is_some()
        {
            POSTGRES.iter().any(|class| code.starts_with(class))
        } else {
            // An extended code holds the primary one in its lower byte.
            let primary = code.parse::<i32>().map_or(0, |code| code & 0xff);
            SQLITE.contains(&primary)
        }
    })
}

/// Classes of SQLSTATE: data exception, integrity violation, transaction rollback (a deadlock, for example), program
/// limit exceeded; and a lock that was not available in time.
const POSTGRES: [&str; 5] = ["22", "23", "40", "54", "55P03"];

/// SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH and SQLITE_RANGE.
const SQLITE: [i32; 4] = [18, 19, 20, 25];

fn database_error(error: &DbErr) -> Option<&dyn DatabaseError> {
    let (DbErr::Conn(cause) | DbErr::Exec(cause) | DbErr::Query(cause)) = error else {
        return None;
    };
    match cause {
        RuntimeErr::SqlxError(error) => error.as_database_error(),
        _ => None,
    }
}
