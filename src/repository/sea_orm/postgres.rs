//! Opening PostgreSQL the way that keeps what it acknowledges.

use std::io::ErrorKind;
use std::str::FromStr as _;
use std::time::Duration;

use a2ad_migrations::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbErr};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Row as _};

use super::DatabaseSettings;
use super::connect::OpenError;
use super::schema;
use crate::config::DatabaseUrl;
use crate::fault;

/// The oldest server whose makers still mend it.
const VERSION_MIN: u32 = 14;

/// The advisory lock that migrations take: "a2ad" in ASCII.
const MIGRATIONS_LOCK: i64 = 0x6132_6164;

/// How long a connection lies unused before it is tried out: a server that went away takes its connections with it.
const TRY_OUT_AFTER: Duration = Duration::from_millis(500);

/// When a connection is made anew, so that a name that leads elsewhere by now is followed.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// What is asked of the session that migrates: it may wait for another one, and a large table takes its time.
const NO_LIMITS: [(&str, &str); 2] = [("statement_timeout", "0"), ("lock_timeout", "0")];

const TLS_ADVICE: &str = "check sslmode and sslrootcert, and the server's certificate";

/// What the session of somebody who only looks is not allowed.
const READ_ONLY: [(&str, &str); 1] = [("default_transaction_read_only", "on")];

/// Options for a pool of at most `connections`.
///
/// What they set for a session outranks what the server, the database and the role have as their defaults, and what
/// the URL asks for.
pub(super) fn options(url: &str, settings: &DatabaseSettings, connections: u32) -> ConnectOptions {
    options_with(url, settings, connections, &[])
}

/// Options for one connection that reads.
pub(super) fn read_only(url: &str, settings: &DatabaseSettings) -> ConnectOptions {
    options_with(url, settings, 1, &READ_ONLY)
}

/// The same with `more` settings of the session, which outrank the others.
fn options_with(
    url: &str,
    settings: &DatabaseSettings,
    connections: u32,
    more: &'static [(&str, &str)],
) -> ConnectOptions {
    let session = session(settings);
    let name = settings.application_name.clone();
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections.max(1))
        .min_connections(0)
        .acquire_timeout(settings.connect_timeout)
        .idle_timeout(None)
        .max_lifetime(LIFETIME)
        .test_before_acquire_if_idle_for(TRY_OUT_AFTER)
        .sqlx_logging(false)
        .map_sqlx_postgres_opts(move |postgres| {
            postgres
                .options(session.clone())
                .options(more.iter().copied())
                .application_name(&name)
                .statement_cache_capacity(256)
        });
    options
}

fn session(settings: &DatabaseSettings) -> [(&'static str, String); 4] {
    let ms = |limit: Duration| limit.as_millis().to_string();
    [
        ("synchronous_commit", "on".to_owned()),
        ("statement_timeout", ms(settings.statement_timeout)),
        ("lock_timeout", ms(settings.lock_timeout)),
        (
            "idle_in_transaction_session_timeout",
            ms(settings.idle_transaction_timeout),
        ),
    ]
}

/// A pool of these options. It connects when it is first used.
pub(super) async fn pool(options: &ConnectOptions) -> Result<DatabaseConnection, OpenError> {
    Ok(Database::connect(options.clone().connect_lazy(true).clone()).await?)
}

/// Connects once, for what a pool would not say: why it can't, and whether the server will do.
pub(super) async fn probe(url: &str, settings: &DatabaseSettings) -> Result<(), OpenError> {
    let refused = |error: &sqlx::Error| refusal(url, error);
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| refused(&error))?
        .options(session(settings))
        .application_name(&settings.application_name);
    let connect = tokio::time::timeout(settings.connect_timeout, PgConnection::connect_with(&options));
    let mut connection = match connect.await {
        Ok(connection) => connection.map_err(|error| refused(&error))?,
        Err(_) => {
            let cause = format!("no answer within {:?}", settings.connect_timeout);
            return Err(failed(url, cause, "check host and port, and the network between"));
        }
    };
    check_version(connection.server_version_num().unwrap_or(0))?;
    let row = sqlx::query("SHOW synchronous_commit")
        .fetch_one(&mut connection)
        .await;
    let row = row.map_err(|error| refused(&error))?;
    let durable: String = row.try_get(0).map_err(|error| refused(&error))?;
    if durable != "on" {
        let cause = format!("synchronous_commit is {durable} in spite of what the session asked for");
        return Err(failed(
            url,
            cause,
            "connect to the server itself, not through a proxy that drops options",
        ));
    }
    connection.close().await.map_err(|error| refused(&error))
}

fn check_version(number: u32) -> Result<(), OpenError> {
    let major = number / 10_000;
    if major < VERSION_MIN {
        return Err(OpenError::PostgresVersion {
            found: major,
            min: VERSION_MIN,
        });
    }
    tracing::debug!(postgres.version = major, "database reached");
    Ok(())
}

/// Applies what migrations are missing, alone: another process that wants the same waits. The number applied.
pub(super) async fn migrate(url: &str, settings: &DatabaseSettings) -> Result<usize, OpenError> {
    let mut options = options_with(url, settings, 1, &NO_LIMITS);
    options.max_lifetime(None);
    let connection = Database::connect(options).await?;
    lock(&connection).await?;
    let pending = Migrator::get_pending_migrations(&connection).await?.len();
    Migrator::up(&connection, None).await?;
    fault::point("migration_step");
    schema::check(&connection).await?;
    // The lock goes with the connection.
    connection.close().await?;
    Ok(pending)
}

async fn lock(connection: &DatabaseConnection) -> Result<(), DbErr> {
    let attempt = format!("SELECT pg_try_advisory_lock({MIGRATIONS_LOCK}) AS locked");
    let statement = sea_orm::Statement::from_string(connection.get_database_backend(), attempt);
    let row = connection.query_one_raw(statement).await?;
    if row.map(|row| row.try_get("", "locked")).transpose()? == Some(true) {
        return Ok(());
    }
    tracing::info!("waiting for another process that migrates the database");
    let wait = format!("SELECT pg_advisory_lock({MIGRATIONS_LOCK})");
    connection.execute_unprepared(&wait).await.map(|_| ())
}

fn failed(url: &str, cause: String, advice: &'static str) -> OpenError {
    OpenError::Postgres {
        url: DatabaseUrl::new(url).to_string(),
        cause,
        advice,
    }
}

/// The error with what to do about it.
fn refusal(url: &str, error: &sqlx::Error) -> OpenError {
    let code = error.as_database_error().and_then(|error| error.code());
    let advice = match (error, code.as_deref()) {
        (sqlx::Error::Configuration(_), _) => "write postgres://user:password@host:port/database",
        (sqlx::Error::Io(error), _) if error.kind() == ErrorKind::ConnectionRefused => {
            "check that the server runs there and takes connections by TCP"
        }
        // What TLS has against a certificate comes as invalid data, and a file that is missing as what it is.
        (sqlx::Error::Io(error), _)
            if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::NotFound) =>
        {
            TLS_ADVICE
        }
        (sqlx::Error::Io(_), _) => "check host and port, and the network between",
        (sqlx::Error::Tls(_), _) => TLS_ADVICE,
        (_, Some("28P01" | "28000")) => "check user and password, and the server's pg_hba.conf",
        (_, Some("3D000")) => "create the database first",
        (_, Some("57P03")) => "the server is starting or stopping; try again",
        (_, Some("53300")) => "the server has no connection left; raise its max_connections",
        _ => "check the server and its log",
    };
    failed(url, error.to_string(), advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_nobody_mends_is_refused() {
        assert!(check_version(140_000).is_ok());
        assert!(check_version(180_004).is_ok());
        let error = check_version(130_021).unwrap_err().to_string();
        assert!(error.contains("13") && error.contains("14"), "{error}");
    }
}
