//! The statements of the outbox with some values, by what they are for: for who wants to see their plans.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{DatabaseConnection, Statement, Value};

use super::sql::{BEGIN_ANEW, DELETE, DELETE_WAITING, FAIL, LOCK, LOCK_CLAIMS, MAKE_DUE, REST};
use super::{claim, desk, due, note};
use crate::context::Principal;
use crate::repository::{ClaimQuery, Except};

/// All statements but those that add rows, and those for operators, who look for whatever they like.
pub(in crate::repository::sea_orm) fn statements(
    connection: &DatabaseConnection,
) -> Vec<(&'static str, Statement)> {
    let query = ClaimQuery {
        limit: 32,
        deliveries_max: 32,
        ttl: Duration::from_secs(60),
        except: Except {
            owners: vec![Principal::verified("busy")],
            hosts: vec![Arc::from("full.org:443")],
            pairs: vec![(Principal::verified("ada"), Arc::from("away.org:443"))],
        },
    };
    let mut statements = claim::statements(connection, &query);
    statements.extend(due::statements(connection, &query));
    statements.extend(note::statements(connection));
    statements.extend(desk::statements(connection));
    let backend = connection.get_database_backend();
    for (purpose, many) in [
        ("make streams due", &MAKE_DUE),
        ("lock claims", &LOCK_CLAIMS),
        ("lock streams", &LOCK),
        ("deliveries that are over", &DELETE_WAITING),
        ("discard deliveries", &DELETE),
        ("redeliver", &BEGIN_ANEW),
        ("an attempt that failed", &FAIL),
        ("leave streams", &REST),
    ] {
        let values = (0..64).flat_map(|n| {
            many.types
                .iter()
                .enumerate()
                .map(move |(column, kind)| match (column, *kind) {
                    (0, _) => Value::from(format!("t{:06}", 100 + n)),
                    (_, "BIGINT") => Value::from(1_i64),
                    _ => Value::from("p"),
                })
        });
        let made = many.statements(backend, values.collect());
        statements.extend(made.into_iter().map(|statement| (purpose, statement)));
    }
    statements
}
