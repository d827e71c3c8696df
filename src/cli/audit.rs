//! `a2ad audit`.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use a2ad::audit::{Lines, Medium, Record, Row, Verified, Verifier, last_lines};
use a2ad::repository::sea_orm::Maintenance;
use clap::{Args, Subcommand};

use super::Outcome;
use super::db::{Which, look};
use super::output::{Format, print};

/// Batches of records that are read at once: some are of hundreds.
const PAGE: u64 = 100;

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How far back a database is looked at for records of other nodes that came late.
const LATE_MS: i64 = 10_000;

#[derive(Subcommand)]
pub enum Audit {
    /// Check that no record was changed, left out, moved or added; works while a server runs
    Verify(Verify),
    /// Print the newest records
    Tail(Tail),
}

impl Audit {
    pub async fn run(self) -> Outcome {
        match self {
            Self::Verify(command) => command.run().await,
            Self::Tail(command) => command.run().await,
        }
    }
}

#[derive(Args)]
pub struct Verify {
    #[command(flatten)]
    which: Which,
    /// A file of records instead of the database; several that were rotated in their order
    #[arg(long, value_name = "PATH")]
    file: Vec<PathBuf>,
    /// The hash of a record that has to be there: the last one that you know of
    #[arg(long, value_name = "HASH")]
    head: Option<String>,
    /// The form of the result
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

impl Verify {
    async fn run(self) -> Outcome {
        let head = self.head.map(|head| head.to_lowercase());
        let verified = if self.file.is_empty() {
            let database = look(&self.which.config()?).await?;
            let verified = verify_database(&database, head).await?;
            database.close().await?;
            verified
        } else {
            verify_files(&self.file, head)?
        };
        print(self.output, &verified, text)?;
        match verified.findings.first() {
            None => Ok(()),
            Some(first) => Err(format!("the audit log is not as it was written; first {first}").into()),
        }
    }
}

fn verify_files(files: &[PathBuf], head: Option<String>) -> std::io::Result<Verified> {
    let mut verifier = Verifier::new(Medium::File, head);
    for (at, file) in files.iter().enumerate() {
        verifier.next_file();
        let named = |error| std::io::Error::other(format!("{}: {error}", file.display()));
        let (mut lines, mut number) = (Lines::open(file, 0).map_err(named)?, 0_u64);
        while let Some(line) = lines.next_line().map_err(named)? {
            number += 1;
            verifier.take_line(format!("{}:{number}", file.display()), &line);
        }
        let torn = lines.rest().map_err(named)? + verifier.ends_file();
        if torn > 0 && at + 1 < files.len() {
            verifier.unfinished(file.display().to_string(), torn);
        } else if torn > 0 {
            eprintln!(
                "{}: {torn} bytes of torn records at the end; if no server writes to it now, the next start takes them out",
                file.display()
            );
        }
    }
    Ok(verifier.finish())
}

async fn verify_database(
    database: &Maintenance,
    head: Option<String>,
) -> Result<Verified, Box<dyn std::error::Error>> {
    let mut verifier = Verifier::new(Medium::Database, head);
    let mut last = (String::new(), 0);
    loop {
        let page = database.audit_by_chain((&last.0, last.1), PAGE).await?;
        for row in &page {
            let place = format!("chain {} record {}", row.chain, row.seq);
            verifier.take_row(place, row);
        }
        match page.into_iter().next_back() {
            Some(row) => last = (row.chain, row.seq),
            None => break,
        }
    }
    for reference in verifier.references() {
        let named = &reference.1;
        let found = database.audit_record(&named.chain, named.seq).await?;
        verifier.looked_up(reference, found.as_ref().map(|row| row.text.as_str()));
    }
    Ok(verifier.finish())
}

fn text(verified: &Verified) -> String {
    let findings = verified.findings.iter().map(ToString::to_string);
    let heads = verified.heads.iter().map(|head| {
        format!(
            "chain {} has {} records up to {}, its head is {}",
            head.chain, head.seq, head.at, head.hash
        )
    });
    let count = format!(
        "{} records in {} chains checked, {} findings",
        verified.records,
        verified.heads.len(),
        verified.findings.len()
    );
    findings
        .chain(heads)
        .chain([count])
        .collect::<Vec<_>>()
        .join("\n")
}

/// The newest rows with so many records in them, if there are so many; not many more than those are read, although a row
/// may have hundreds.
async fn newest(database: &Maintenance, records: usize) -> Result<Vec<Row>, Box<dyn std::error::Error>> {
    let mut wanted = 1;
    loop {
        let rows = database.last_audit(wanted as u64).await?;
        if records_of(&rows) >= records || rows.len() < wanted {
            return Ok(rows);
        }
        wanted *= 2;
    }
}

fn records_of(rows: &[Row]) -> usize {
    rows.iter().map(|row| row.lines().count()).sum()
}

#[derive(Args)]
pub struct Tail {
    #[command(flatten)]
    which: Which,
    /// A file of records instead of the database
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// How many records
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10)]
    count: u32,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// Lines for people, or the records as they are
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

impl Tail {
    async fn run(self) -> Outcome {
        match &self.file {
            Some(file) => self.of_file(file).await,
            None => self.of_database().await,
        }
    }

    async fn of_file(&self, file: &Path) -> Outcome {
        let named = |error: std::io::Error| format!("{}: {error}", file.display());
        let begin = last_lines(file, self.count as usize).map_err(named)?;
        let mut lines = Lines::open(file, begin).map_err(named)?;
        loop {
            while let Some(line) = lines.next_line().map_err(named)? {
                self.show(&line)?;
            }
            if !self.follow {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
            // A file that was renamed is followed by another one of its name, which begins anew.
            if let Ok(true) = lines.is_replaced(file) {
                lines = Lines::open(file, 0).map_err(named)?;
            }
        }
    }

    async fn of_database(self) -> Outcome {
        let Self {
            which,
            count,
            follow,
            output,
            ..
        } = self;
        let database = look(&which.config()?).await?;
        let mut shown = Shown::default();
        let rows = newest(&database, count as usize).await?;
        shown.skip = records_of(&rows).saturating_sub(count as usize);
        for row in &rows {
            shown.show(row, output)?;
        }
        if !follow {
            return Ok(database.close().await?);
        }
        loop {
            tokio::time::sleep(LOOK).await;
            shown.show_new(&database, output).await?;
        }
    }

    fn show(&self, line: &str) -> Outcome {
        show(line, self.output)
    }
}

/// Which records were printed: the last of each chain, and the newest time.
#[derive(Default)]
struct Shown {
    /// So many are older than those that were asked for.
    skip: usize,
    last: HashMap<String, u64>,
    at_ms: i64,
}

impl Shown {
    fn show(&mut self, row: &Row, output: Format) -> Outcome {
        let last = self.last.entry(row.chain.clone()).or_default();
        if row.seq <= *last {
            return Ok(());
        }
        *last = row.seq;
        self.at_ms = self.at_ms.max(row.at_ms);
        for line in row.lines() {
            match self.skip.checked_sub(1) {
                Some(less) => self.skip = less,
                None => show(line, output)?,
            }
        }
        Ok(())
    }

    async fn show_new(&mut self, database: &Maintenance, output: Format) -> Outcome {
        let mut after = (self.at_ms - LATE_MS, String::new(), 0);
        loop {
            let page = database.audit_by_time((after.0, &after.1, after.2), PAGE).await?;
            for row in &page {
                self.show(row, output)?;
            }
            match page.into_iter().next_back() {
                Some(row) => after = (row.at_ms, row.chain, row.seq),
                None => return Ok(()),
            }
        }
    }
}

fn show(line: &str, output: Format) -> Outcome {
    let value: serde_json::Value =
        serde_json::from_str(line).map_err(|_| "this is not an audit record; a2ad audit verify says more")?;
    match output {
        // As it was written: the hash is of this very text.
        Format::Json => {
            let mut out = std::io::stdout().lock();
            writeln!(out, "{line}")?;
            Ok(out.flush()?)
        }
        Format::Text => {
            let record: Record<'_> = serde_json::from_value(value)?;
            print(output, &record, in_words)
        }
    }
}

fn in_words(record: &Record<'_>) -> String {
    let kind = format!("{:?}", record.kind).to_lowercase();
    let words = [
        Some(record.at.to_string()),
        Some(kind),
        Some(record.outcome.to_string()),
        record.principal.as_deref().map(str::to_owned),
        record.peer.as_deref().map(|peer| format!("from {peer}")),
        record.method.as_deref().map(str::to_owned),
        record.agent.as_deref().map(|agent| format!("agent {agent}")),
        record.task_id.as_deref().map(|id| format!("task {id}")),
        record.to.as_deref().map(|to| step(record.from.as_deref(), to)),
        (!record.changes.is_empty()).then(|| {
            let steps = record.changes.iter();
            let steps = steps.map(|change| step(change.from.as_deref(), &change.to));
            steps.collect::<Vec<_>>().join(", ")
        }),
        record.request_id.as_deref().map(|id| format!("request {id}")),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join("  ")
}

/// A change of a task's state in words.
fn step(from: Option<&str>, to: &str) -> String {
    let from = from.unwrap_or("nothing");
    format!("{from} -> {to}").replace("TASK_STATE_", "")
}
