//! Whether everything that is stored is what was stored.
//!
//! Every log is replayed and compared with its snapshots and with the row of its task; every checksum is checked. Each
//! task is read by one statement, so that a server that goes on writing can't make a sound task look damaged.

use std::fmt;

use sea_orm::{DbBackend, DbErr, QueryResult, Value};
use serde::Serialize;

use super::Maintenance;
use crate::context::{Principal, Scope};
use crate::pb::Task;
use crate::repository::Error;
use crate::repository::log;
use crate::repository::sea_orm::read::{LogRow, decoded, generation_of, snapshot, unsigned};
use crate::repository::sea_orm::side;
use crate::task::replay;

/// Tasks whose ids are read at once.
const PAGE: i64 = 256;

/// Findings that are kept; a database in ruins is not told sentence by sentence.
const FINDINGS_MAX: usize = 1_000;

const IDS: &str = "SELECT id FROM task WHERE id > $1 ORDER BY id LIMIT $2";

const TASK: &str = "SELECT t.agent, t.owner, t.context_id, t.state, t.status_ms, t.generation, t.snapshot_generation, \
     t.first_generation AS floor, l.last_generation, l.first_generation, l.events, l.snapshot \
     FROM task t LEFT JOIN task_log l ON l.task_id = t.id WHERE t.id = $1 ORDER BY l.last_generation";

/// Rows that lead nowhere, by their task.
const ORPHANS: [(&str, &str); 6] = [
    (
        "events without a task",
        "SELECT l.task_id, COUNT(*) AS rows_found FROM task_log l LEFT JOIN task t ON t.id = l.task_id \
         WHERE t.id IS NULL GROUP BY l.task_id ORDER BY l.task_id",
    ),
    (
        "push configurations without a task",
        "SELECT p.task_id, COUNT(*) AS rows_found FROM push_config p LEFT JOIN task t ON t.id = p.task_id \
         WHERE t.id IS NULL GROUP BY p.task_id ORDER BY p.task_id",
    ),
    (
        "idempotency keys that lead nowhere",
        "SELECT k.task_id, COUNT(*) AS rows_found FROM idempotency_key k \
         LEFT JOIN task t ON t.id = k.task_id AND t.agent = k.agent AND t.owner = k.owner \
         WHERE t.id IS NULL GROUP BY k.task_id ORDER BY k.task_id",
    ),
    (
        "deliveries without a push configuration",
        "SELECT o.task_id, COUNT(*) AS rows_found FROM push_outbox o \
         LEFT JOIN push_config p ON p.task_id = o.task_id AND p.id = o.config_id \
         WHERE p.id IS NULL GROUP BY o.task_id ORDER BY o.task_id",
    ),
    (
        "deliveries of events that are not in the log",
        "SELECT o.task_id, COUNT(*) AS rows_found FROM push_outbox o LEFT JOIN task t ON t.id = o.task_id \
         AND o.generation BETWEEN t.first_generation AND t.generation \
         WHERE t.id IS NULL GROUP BY o.task_id ORDER BY o.task_id",
    ),
    (
        "push configurations whose deliveries would wait for ever",
        "SELECT p.task_id, COUNT(*) AS rows_found FROM push_config p WHERE p.due_ms IS NULL AND EXISTS \
         (SELECT 1 FROM push_outbox o WHERE o.task_id = p.task_id AND o.config_id = p.id AND o.dead_ms IS NULL) \
         GROUP BY p.task_id ORDER BY p.task_id",
    ),
];

const KEYS: &str = "SELECT agent, owner, key, task_id, fingerprint FROM idempotency_key \
     WHERE (agent, owner, key) > ($1, $2, $3) ORDER BY agent, owner, key LIMIT $4";

const CONFIGS: &str = "SELECT task_id, id, config FROM push_config WHERE (task_id, id) > ($1, $2) \
     ORDER BY task_id, id LIMIT $3";

/// Something that is not as it was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The task; empty for what concerns the file itself.
    pub task_id: String,
    /// The event, where it is one.
    pub generation: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&*self.task_id, self.generation) {
            ("", _) => write!(out, "database: {}", self.what),
            (task_id, Some(generation)) => write!(out, "task {task_id}, event {generation}: {}", self.what),
            (task_id, None) => write!(out, "task {task_id}: {}", self.what),
        }
    }
}

/// What was checked, and what was found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Tasks whose logs were replayed.
    pub tasks: u64,
    /// Events whose checksums were checked.
    pub events: u64,
    /// Snapshots that were compared with the log.
    pub snapshots: u64,
    /// What is wrong, at most the first thousand findings; empty when all is sound.
    pub findings: Vec<Finding>,
}

impl Verified {
    /// True when nothing was found wrong.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, task_id: &str, generation: Option<u64>, what: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding {
                task_id: task_id.to_owned(),
                generation,
                what: what.into(),
            });
        }
    }

    fn find_error(&mut self, task_id: &str, error: Error) {
        match error {
            Error::Corrupt {
                generation, cause, ..
            } => self.find(task_id, generation, cause),
            other => self.find(task_id, None, other.to_string()),
        }
    }
}

impl Maintenance {
    /// Checks everything that is stored. Damage is a finding; only a database that can't be read at all is an error.
    ///
    /// # Errors
    /// When the database does not answer, or is not one of this program.
    pub async fn verify(&self) -> Result<Verified, DbErr> {
        let mut verified = Verified::default();
        self.file(&mut verified).await?;
        let mut after = String::new();
        loop {
            let ids = self
                .rows(IDS, [Value::from(after.as_str()), Value::from(PAGE)])
                .await?;
            let Some(last) = ids.last() else { break };
            after = last.try_get("", "id")?;
            for id in &ids {
                self.task(id.try_get("", "id")?, &mut verified).await?;
            }
        }
        for (what, sql) in ORPHANS {
            for row in self.rows(sql, []).await? {
                let count: i64 = row.try_get("", "rows_found")?;
                let task_id: String = row.try_get("", "task_id")?;
                verified.find(&task_id, None, format!("{what}: {count}"));
            }
        }
        self.configs(&mut verified).await?;
        self.keys(&mut verified).await?;
        Ok(verified)
    }

    /// What SQLite itself says about its file.
    async fn file(&self, verified: &mut Verified) -> Result<(), DbErr> {
        if self.0.get_database_backend() != DbBackend::Sqlite {
            return Ok(());
        }
        for row in self.rows("PRAGMA integrity_check(100)", []).await? {
            let line: String = row.try_get("", "integrity_check")?;
            if line != "ok" {
                verified.find("", None, line);
            }
        }
        Ok(())
    }

    async fn task(&self, task_id: String, verified: &mut Verified) -> Result<(), DbErr> {
        let rows = self.rows(TASK, [Value::from(task_id.as_str())]).await?;
        // Retention may have taken it since its id was read.
        let Some(first) = rows.first() else { return Ok(()) };
        let head = Head::of(first)?;
        let mut log = Vec::with_capacity(rows.len());
        for row in &rows {
            log.extend(LogRow::from_row(row)?);
        }
        verified.tasks += 1;
        Replay::of(&task_id, verified).run(&head, log);
        Ok(())
    }

    async fn configs(&self, verified: &mut Verified) -> Result<(), DbErr> {
        let mut after = (String::new(), String::new());
        loop {
            let place = [after.0.as_str(), after.1.as_str()].map(Value::from);
            let rows = self
                .rows(CONFIGS, place.into_iter().chain([Value::from(PAGE)]))
                .await?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                let (task_id, id): (String, String) = (row.try_get("", "task_id")?, row.try_get("", "id")?);
                if let Err(error) = side::config_bytes(&task_id, &id, row.try_get("", "config")?) {
                    verified.find_error(&task_id, error);
                }
                after = (task_id, id);
            }
        }
    }

    async fn keys(&self, verified: &mut Verified) -> Result<(), DbErr> {
        let mut after = [String::new(), String::new(), String::new()];
        loop {
            let place = after.each_ref().map(|part| Value::from(part.as_str()));
            let rows = self
                .rows(KEYS, place.into_iter().chain([Value::from(PAGE)]))
                .await?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                let part = |column| row.try_get::<String>("", column);
                let (agent, owner, key) = (part("agent")?, part("owner")?, part("key")?);
                let scope = Scope {
                    agent: agent.as_str().into(),
                    owner: Principal::verified(&owner),
                };
                let task_id = part("task_id")?;
                let stored = row.try_get("", "fingerprint")?;
                if let Err(error) = side::decode_fingerprint(&scope, &key, &task_id, stored) {
                    verified.find_error(&task_id, error);
                }
                after = [agent, owner, key];
            }
        }
    }
}

/// What the row of a task says.
struct Head {
    context_id: String,
    state: i64,
    status_ms: i64,
    generation: u64,
    snapshot_generation: u64,
    floor: u64,
}

impl Head {
    fn of(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self {
            context_id: row.try_get("", "context_id")?,
            state: row.try_get("", "state")?,
            status_ms: row.try_get("", "status_ms")?,
            generation: unsigned(row.try_get("", "generation")?),
            snapshot_generation: unsigned(row.try_get("", "snapshot_generation")?),
            floor: unsigned(row.try_get("", "floor")?),
        })
    }
}

/// One log from its beginning to its end.
struct Replay<'a> {
    task_id: &'a str,
    verified: &'a mut Verified,
    /// The task as the events make it; `None` while its beginning is past its retention, and once something is
    /// damaged: what follows could not be right.
    task: Option<Task>,
    last: u64,
    newest_snapshot: u64,
    is_broken: bool,
}

impl<'a> Replay<'a> {
    fn of(task_id: &'a str, verified: &'a mut Verified) -> Self {
        Self {
            task_id,
            verified,
            task: None,
            last: 0,
            newest_snapshot: 0,
            is_broken: false,
        }
    }

    fn run(mut self, head: &Head, log: Vec<LogRow>) {
        self.last = head.floor.saturating_sub(1);
        for row in log {
            self.row(head, row);
        }
        if self.last != head.generation {
            let what = format!("the log ends here, and the task is at {}", head.generation);
            self.find(self.last, what);
            return;
        }
        if self.newest_snapshot != head.snapshot_generation {
            let what = format!(
                "the newest snapshot is of event {}, and not of this one",
                self.newest_snapshot
            );
            self.find(head.snapshot_generation, what);
        }
        if let Some(task) = self.task.take() {
            self.compare(head, &task);
        }
    }

    fn find(&mut self, generation: u64, what: impl Into<String>) {
        self.is_broken = true;
        self.task = None;
        self.verified.find(self.task_id, Some(generation), what);
    }

    fn find_error(&mut self, error: Error) {
        self.is_broken = true;
        self.task = None;
        self.verified.find_error(self.task_id, error);
    }

    fn row(&mut self, head: &Head, mut row: LogRow) {
        if row.first_generation != self.last + 1 {
            let what = format!(
                "the event is missing; the log goes on with {}",
                row.first_generation
            );
            self.find(self.last + 1, what);
        }
        let range = (row.first_generation, row.last_generation);
        let decoded = log::decode(self.task_id, range, std::mem::take(&mut row.events).into());
        let mut events = Vec::with_capacity(decoded.len());
        for event in decoded {
            self.verified.events += 1;
            match event {
                Ok(event) => events.push(event),
                Err(error) => self.find_error(error),
            }
        }
        let is_beginning = row.first_generation == 1;
        if !self.is_broken && (is_beginning || self.task.is_some()) {
            match replay(self.task.take(), row.first_generation - 1, &events) {
                Ok(task) => self.task = task,
                Err(error) => {
                    self.find(generation_of(&error, row.last_generation), error.to_string());
                }
            }
        }
        self.last = row.last_generation;
        if row.snapshot.is_some() {
            self.newest_snapshot = row.last_generation;
            self.snapshot(head, &row);
        }
    }

    /// A snapshot must be what the events make. Behind damage, or where the beginning of the log is past its retention,
    /// it is what the events go on from.
    fn snapshot(&mut self, head: &Head, row: &LogRow) {
        self.verified.snapshots += 1;
        let stored = snapshot(self.task_id, row).and_then(|snapshot| decoded(self.task_id, &snapshot));
        match (stored, &self.task) {
            (Ok(stored), Some(task)) if stored != *task => {
                self.find(row.last_generation, "the snapshot is not what the events make");
            }
            (Ok(stored), None) if head.floor > 1 || self.is_broken => {
                self.task = Some(stored);
                self.is_broken = false;
            }
            (Ok(_), _) => {}
            (Err(error), _) => {
                // The events before it are sound all the same.
                let task = self.task.take();
                let was_broken = self.is_broken;
                self.find_error(error);
                (self.task, self.is_broken) = (task, was_broken);
            }
        }
    }

    fn compare(&mut self, head: &Head, task: &Task) {
        let status = task.status.clone().unwrap_or_default();
        let at = status.timestamp.unwrap_or_default();
        let status_ms = at.seconds * 1_000 + i64::from(at.nanos) / 1_000_000;
        let pairs = [
            ("id", task.id == self.task_id),
            ("context", task.context_id == head.context_id),
            ("state", i64::from(status.state) == head.state),
            ("status time", status_ms == head.status_ms),
        ];
        for (what, is_same) in pairs {
            if !is_same {
                let what = format!("the {what} of the task's row is not what the log says");
                self.verified.find(self.task_id, None, what);
            }
        }
    }
}
