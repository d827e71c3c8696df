//! `a2ad db`.

use std::path::PathBuf;

use a2ad::app::{RetentionPolicy, database_settings, forget_dead_letters, open_stores, prune, record_admin};
use a2ad::audit::Step;
use a2ad::clock::Clock;
use a2ad::config::{Backend, Config};
use a2ad::repository::sea_orm::{Access, Beside, Maintenance, Stats, Verified};
use a2ad::secrets::KeySource;
use a2ad::shutdown::Shutdown;
use clap::{Args, Subcommand};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Outcome;
use super::output::{Format, print};
use super::settings::Settings;

const NOT_IN_MEMORY: &str = "a database in memory ends with its server; name another with --database";

#[derive(Subcommand)]
pub enum Db {
    /// Count tasks, events and bytes; works while a server runs
    Stats(StatsCommand),
    /// Remove what is past its retention; the server must not run, because it does so itself
    Prune(Prune),
    /// Copy a SQLite database into a new file and verify the copy; works while a server runs, whose write-ahead log
    /// can't shrink until the copy is made
    Backup(Backup),
    /// Check every log, checksum and snapshot; works while a server runs
    Verify(Verify),
    /// Seal the secrets of webhooks with secrets.key that a former key has sealed; works while a server runs that has
    /// the same secrets.key
    Reseal(Reseal),
}

impl Db {
    pub async fn run(self) -> Outcome {
        match self {
            Self::Stats(command) => command.run().await,
            Self::Prune(command) => command.run().await,
            Self::Backup(command) => command.run().await,
            Self::Verify(command) => command.run().await,
            Self::Reseal(command) => command.run().await,
        }
    }
}

/// Which database.
#[derive(Args)]
pub(super) struct Which {
    #[command(flatten)]
    settings: Settings,
    /// The database, as for serve
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

impl Which {
    pub(super) fn config(self) -> Result<Config, a2ad::config::Error> {
        let mut loader = self.settings.loader();
        if let Some(url) = self.database {
            loader = loader.set_text("database.url", url);
        }
        Ok(loader.load()?.config)
    }
}

/// Opens what a configuration names, beside a server that may run; `instead` says what to do if it is in memory.
pub(super) async fn open(
    config: &Config,
    access: Access,
    instead: &str,
) -> Result<Beside, Box<dyn std::error::Error>> {
    match config.database.backend()? {
        Backend::Sqlite(path) => Ok(Beside::open_sqlite(&path, access).await?),
        Backend::Postgres(url) => {
            Ok(Beside::open_postgres(url.expose(), &database_settings(config)?, access).await?)
        }
        Backend::Memory => Err(instead.into()),
    }
}

/// The same to look at it only.
pub(super) async fn look(config: &Config) -> Result<Maintenance, Box<dyn std::error::Error>> {
    Ok(open(config, Access::Read, NOT_IN_MEMORY).await?.into())
}

#[derive(Args)]
pub struct StatsCommand {
    #[command(flatten)]
    which: Which,
    /// Print one JSON value instead of lines for people
    #[arg(long)]
    json: bool,
}

pub(super) fn form(json: bool) -> Format {
    if json { Format::Json } else { Format::Text }
}

impl StatsCommand {
    async fn run(self) -> Outcome {
        let database = look(&self.which.config()?).await?;
        let stats = database.stats().await?;
        database.close().await?;
        print(form(self.json), &stats, stats_text)
    }
}

fn stats_text(stats: &Stats) -> String {
    let mut lines = vec![format!("schema            {}", stats.schema)];
    for count in &stats.tasks {
        let state = count.state.trim_start_matches("TASK_STATE_");
        lines.push(format!(
            "tasks             {} of {} {state}, {} events",
            count.tasks, count.agent, count.events
        ));
    }
    lines.extend([
        format!(
            "events            {} in {} commits, {} bytes",
            stats.events, stats.commits, stats.event_bytes
        ),
        format!(
            "snapshots         {}, {} bytes",
            stats.snapshots, stats.snapshot_bytes
        ),
        format!("idempotency keys  {}", stats.idempotency_keys),
        format!("push configs      {}", stats.push_configs),
        format!(
            "deliveries        {} waiting, {} dead",
            stats.push_waiting, stats.push_dead
        ),
        format!("database          {} bytes", stats.database_bytes),
    ]);
    if let Some(bytes) = stats.wal_bytes {
        lines.push(format!("write-ahead log   {bytes} bytes"));
    }
    if let Some(oldest_ms) = stats.oldest_ms {
        lines.push(format!("oldest task       created {}", date(oldest_ms)));
    }
    lines.join("\n")
}

/// A time as RFC 3339 writes it.
pub(super) fn date(at_ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp(at_ms.div_euclid(1_000))
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{at_ms} ms after 1970-01-01"))
}

#[derive(Args)]
pub struct Prune {
    #[command(flatten)]
    which: Which,
    /// Say what would go, and remove nothing; works while a server runs
    #[arg(long)]
    dry_run: bool,
}

impl Prune {
    async fn run(self) -> Outcome {
        let config = self.which.config()?;
        let policy = RetentionPolicy::of(&config);
        if self.dry_run {
            return dry_run(&config, &policy).await;
        }
        if config.database.backend()? == Backend::Memory {
            return Err(NOT_IN_MEMORY.into());
        }
        let shutdown = Shutdown::new();
        let stores = open_stores(&config, &shutdown).await?;
        let clock = Clock::system();
        record_admin(&config, "db prune", Step::Begins).await?;
        let removed = prune(&stores.tasks, &policy, &clock).await;
        let dead_letters = forget_dead_letters(&stores.push, &policy, &clock).await;
        stores.tasks.close().await;
        let is_done = removed.is_ok() && dead_letters.is_ok();
        record_admin(&config, "db prune", Step::ends(is_done)).await?;
        let (removed, dead_letters) = (removed?, dead_letters?);
        println!("{} tasks and {} events removed", removed.tasks, removed.events);
        if dead_letters > 0 {
            println!("{dead_letters} dead letters of push notifications removed");
        }
        Ok(())
    }
}

async fn dry_run(config: &Config, policy: &RetentionPolicy) -> Outcome {
    let database = look(config).await?;
    let now_ms = Clock::system().now_ms();
    let mut total = 0;
    for agent in database.agents().await? {
        for state in RetentionPolicy::STATES {
            let Some(before_ms) = policy.cutoff_ms(&agent, state, now_ms) else {
                continue;
            };
            let (tasks, events) = database.tasks_before(&agent, state, before_ms).await?;
            if tasks > 0 {
                let state = state.as_str_name().trim_start_matches("TASK_STATE_");
                println!("{tasks} tasks of {agent} {state} would go, with {events} events");
            }
            total += tasks;
        }
    }
    println!("{total} tasks would be removed");
    if let Some(before_ms) = policy.events_cutoff_ms(now_ms) {
        let events = database.events_before(before_ms).await?;
        println!("{events} events that snapshots stand for are past their time");
    }
    if let Some(before_ms) = policy.dead_cutoff_ms(now_ms) {
        let letters = database.dead_letters_before(before_ms).await?;
        println!("{letters} dead letters of push notifications would go");
    }
    Ok(database.close().await?)
}

#[derive(Args)]
pub struct Backup {
    #[command(flatten)]
    which: Which,
    /// The new file; one that exists is never replaced
    #[arg(value_name = "FILE")]
    target: PathBuf,
}

impl Backup {
    async fn run(self) -> Outcome {
        let config = self.which.config()?;
        if let Backend::Postgres(_) = config.database.backend()? {
            return Err("a2ad copies SQLite only; use pg_dump for PostgreSQL".into());
        }
        let database = look(&config).await?;
        record_admin(&config, "db backup", Step::Begins).await?;
        let copied = database.backup(&self.target).await;
        database.close().await?;
        record_admin(&config, "db backup", Step::ends(copied.is_ok())).await?;
        let verified = copied?;
        println!("{}: {}", self.target.display(), verified_text(&verified));
        if let Backend::Sqlite(path) = config.database.backend()?
            && let Some(key) = KeySource::file_beside(&path)
        {
            tell!(
                "{} is not in the copy; keep it too, in another place: without it nobody reads the copy's webhooks. \
                 To use the copy, lay it beside as {}.key",
                key.display(),
                self.target.display()
            );
        }
        Ok(())
    }
}

#[derive(Args)]
pub struct Reseal {
    #[command(flatten)]
    which: Which,
}

impl Reseal {
    async fn run(self) -> Outcome {
        let config = self.which.config()?;
        let settings = database_settings(&config)?;
        let database = Maintenance::from(open(&config, Access::Write, NOT_IN_MEMORY).await?);
        let current = settings.keys.needed()?.current();
        record_admin(&config, "db reseal", Step::Begins).await?;
        let resealed = database.reseal(&settings.keys).await;
        database.close().await?;
        record_admin(&config, "db reseal", Step::ends(resealed.is_ok())).await?;
        let resealed = resealed?;
        println!(
            "{} push configurations sealed with the key {current}; {} were already",
            resealed.rows, resealed.current
        );
        if resealed.api_keys > 0 {
            tell!(
                "{} API keys were made under a former key: they work as long as it stays in secrets.previous_keys; make \
                 new ones before you take it out",
                resealed.api_keys
            );
        }
        if resealed.changed > 0 {
            return Err(format!("{} changed at the same moment; run it again", resealed.changed).into());
        }
        Ok(())
    }
}

#[derive(Args)]
pub struct Verify {
    #[command(flatten)]
    which: Which,
    /// Print one JSON value instead of lines for people
    #[arg(long)]
    json: bool,
}

impl Verify {
    async fn run(self) -> Outcome {
        let database = look(&self.which.config()?).await?;
        let verified = database.verify().await?;
        database.close().await?;
        print(form(self.json), &verified, findings_text)?;
        if verified.is_sound() {
            return Ok(());
        }
        Err(format!("{} things are not as they were stored", verified.findings.len()).into())
    }
}

fn findings_text(verified: &Verified) -> String {
    let findings = verified.findings.iter().map(ToString::to_string);
    findings
        .chain([verified_text(verified)])
        .collect::<Vec<_>>()
        .join("\n")
}

fn verified_text(verified: &Verified) -> String {
    format!(
        "{} tasks, {} events and {} snapshots checked, {} findings",
        verified.tasks,
        verified.events,
        verified.snapshots,
        verified.findings.len()
    )
}
