//! What an error of the driver says about the write that met it.

use sea_orm::{DbErr, RuntimeErr};
use sqlx::error::DatabaseError;

/// A database, by whose list a code is looked up.
#[derive(Clone, Copy, Debug)]
enum Codes {
    /// Extended result codes, as numbers.
    Sqlite,
    /// SQLSTATEs.
    Postgres,
}

/// True if the database refused something about the rows themselves, or about two writers that met: the same rows in
/// smaller portions may do better, and the neighbours of a row that can't be stored certainly do. All other errors are
/// of the database as a whole (it is full, away, stopping or out of something), and so is an error without a code.
pub(super) fn is_of_the_rows(error: &DbErr) -> bool {
    code(error).is_some_and(|(codes, code)| match codes {
        Codes::Postgres => is_of_rows_in_postgres(&code),
        Codes::Sqlite => is_of_rows_in_sqlite(&code),
    })
}

/// True if the same rows will be refused each time.
pub(super) fn is_final(error: &DbErr) -> bool {
    code(error).is_some_and(|(codes, code)| match codes {
        Codes::Postgres => is_final_in_postgres(&code),
        Codes::Sqlite => is_of_rows_in_sqlite(&code),
    })
}

/// True if a statement named a table or a column that is not there.
pub(super) fn is_of_the_schema(error: &DbErr) -> bool {
    code(error).is_some_and(|(codes, code)| match codes {
        Codes::Postgres => code.starts_with("42"),
        Codes::Sqlite => code == "1",
    })
}

/// Classes of SQLSTATE: data exception, integrity violation, program limit exceeded.
fn is_final_in_postgres(code: &str) -> bool {
    ["22", "23", "54"].iter().any(|class| code.starts_with(class))
}

/// The same, and transaction rollback (a deadlock, for example), and a lock that was not available in time.
fn is_of_rows_in_postgres(code: &str) -> bool {
    is_final_in_postgres(code) || code.starts_with("40") || code.starts_with("55P03")
}

/// SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH and SQLITE_RANGE, of which an extended code holds the number in its
/// lower byte.
fn is_of_rows_in_sqlite(code: &str) -> bool {
    let primary = code.parse::<i32>().map_or(0, |code| code & 0xff);
    [18, 19, 20, 25].contains(&primary)
}

fn code(error: &DbErr) -> Option<(Codes, String)> {
    let error = database_error(error)?;
    let is_postgres = error
        .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
        .is_some();
    let codes = if is_postgres {
        Codes::Postgres
    } else {
        Codes::Sqlite
    };
    Some((codes, error.code()?.into_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::Error;
    use crate::repository::sea_orm::unavailable;

    #[test]
    fn what_postgres_is_out_of_is_not_the_rows_fault() {
        for (code, of_rows) in [
            // Connection exceptions, insufficient resources (disk, memory, connections), operator intervention.
            ("08000", false),
            ("08003", false),
            ("08006", false),
            ("53000", false),
            ("53100", false),
            ("53200", false),
            ("53300", false),
            ("53400", false),
            ("57014", false),
            ("57P01", false),
            ("57P02", false),
            ("57P03", false),
            ("57P05", false),
            ("58030", false),
            ("25006", false),
            ("25P03", false),
            ("42P01", false),
            ("XX001", false),
            ("22021", true),
            ("23505", true),
            ("40001", true),
            ("40P01", true),
            ("54000", true),
            ("55P03", true),
            // Of the same class, and no lock.
            ("55006", false),
        ] {
            assert_eq!(is_of_rows_in_postgres(code), of_rows, "{code}");
        }
    }

    #[test]
    fn what_sqlite_is_out_of_is_not_the_rows_fault() {
        for (code, of_rows) in [
            ("5", false),
            ("10", false),
            ("13", false),
            ("778", false),
            ("18", true),
            ("1555", true),
            ("2067", true),
            ("20", true),
        ] {
            assert_eq!(is_of_rows_in_sqlite(code), of_rows, "{code}");
        }
    }

    #[test]
    fn an_error_without_a_code_is_of_the_database() {
        for error in [
            DbErr::ConnectionAcquire(sea_orm::ConnAcquireErr::Timeout),
            DbErr::Custom("gone".to_owned()),
            DbErr::Query(RuntimeErr::SqlxError(std::sync::Arc::new(
                sqlx::Error::PoolTimedOut,
            ))),
        ] {
            assert!(!is_of_the_rows(&error) && !is_of_the_schema(&error), "{error}");
            assert!(matches!(unavailable(error), Error::Unavailable(_)));
        }
    }
}
