//! What every insert costs that is durable on its own: the same schema and the same SQLite, one row to a commit.

use std::process::Stdio;
use std::time::{Duration, Instant};

use a2ad_migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement, Value};

use crate::options::Options;
use crate::server::{directory, pinned};
use crate::{Outcome, machine, payload};

/// What one run has shown.
#[derive(Clone, Copy, Debug)]
pub struct Commits {
    pub per_second: f64,
    pub cpu_us: f64,
}

impl Commits {
    /// Lets a process on the servers' core commit for as long as one round takes.
    pub fn measure(options: &Options) -> Outcome<Self> {
        let mut command = pinned(&std::env::current_exe()?, options.pin);
        command.arg("--single-rows").arg("--dir").arg(&options.dir);
        command.args(["--seconds", &options.seconds.as_secs_f64().to_string()]);
        command
            .env("TOKIO_WORKER_THREADS", "1")
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        let output = command.output()?;
        let text = String::from_utf8(output.stdout)?;
        let (per_second, cpu_us) = text
            .trim()
            .split_once(' ')
            .ok_or("the single rows were not committed")?;
        Ok(Self {
            per_second: per_second.parse()?,
            cpu_us: cpu_us.parse()?,
        })
    }
}

/// The process behind [`Commits::measure`].
pub fn run(options: &Options) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let directory = directory(&options.dir)?;
    let commits = runtime.block_on(async {
        let database = open(&directory.path().join("rows.db")).await?;
        commit(&database, options.seconds).await
    })?;
    println!("{} {}", commits.per_second, commits.cpu_us);
    Ok(())
}

/// Set up as a2ad sets up its writer.
async fn open(path: &std::path::Path) -> Outcome<DatabaseConnection> {
    let path = path.to_owned();
    let mut options = ConnectOptions::new("sqlite::memory:");
    options
        .max_connections(1)
        .min_connections(1)
        .idle_timeout(None)
        .max_lifetime(None);
    options
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .filename(&path)
                .in_memory(false)
                .shared_cache(false)
                .create_if_missing(true)
                .pragma("journal_mode", "WAL")
                .pragma("synchronous", "FULL")
                .pragma("foreign_keys", "OFF")
                .pragma("cache_size", "-16384")
                .pragma("temp_store", "MEMORY")
        });
    let database = Database::connect(options).await?;
    Migrator::up(&database, None).await?;
    Ok(database)
}

async fn commit(database: &DatabaseConnection, time: Duration) -> Outcome<Commits> {
    // As large as the events of an echo task.
    let events = payload::grpc_frame(&payload::snapshot()).to_vec();
    let (start, cpu) = (Instant::now(), machine::cpu("self")?);
    let mut count = 0_u64;
    while start.elapsed() < time {
        database.execute_raw(insert(database, count, &events)).await?;
        count += 1;
    }
    let cpu = machine::cpu("self")?.saturating_sub(cpu);
    Ok(Commits {
        per_second: count as f64 / start.elapsed().as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / count as f64,
    })
}

fn insert(database: &DatabaseConnection, number: u64, events: &[u8]) -> Statement {
    let sql = "INSERT INTO task_log (task_id, last_generation, first_generation, at_ms, events, snapshot, epoch) \
               VALUES ($1, $2, $3, $4, $5, NULL, $6)";
    let values: [Value; 6] = [
        format!("{number:036}").into(),
        3_i64.into(),
        1_i64.into(),
        1_700_000_000_000_i64.into(),
        events.to_vec().into(),
        1_i64.into(),
    ];
    Statement::from_sql_and_values(database.get_database_backend(), sql, values)
}
