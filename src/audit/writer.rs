//! The task that puts records into the chain and brings them to the sinks, in order, as long as that takes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::AuditSettings;
use super::chain::Chain;
use super::entry::Entry;
use super::file::Sink;
use super::gathered::gather;
use super::handle::Shared;
use super::record::{Outcome, Pruned, at};
use super::store::{Row, Store};
use super::verify::head_of;

/// How long records gather before they are written together: a write for each would cost more than the records.
const GATHER: Duration = Duration::from_millis(5);

/// How long the end waits for records of calls that are being dropped.
const LAST_RECORDS: Duration = Duration::from_millis(250);
/// The pause before a failed write is tried again; it doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How often old records are looked for, and how many batches of them go at once: each has up to `batch_max` records, and
/// the one writer of SQLite is to be held up for milliseconds. A turn follows every sync, so that what is old goes faster
/// than new records can be written.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
const PRUNE_ROWS: u64 = 64;

pub(super) struct Writer {
    shared: Arc<Shared>,
    settings: AuditSettings,
    queue: mpsc::Receiver<Entry>,
    chain: Chain,
    sink: Option<Sink>,
    store: Option<Arc<dyn Store>>,
    /// Lines that the sink has not got, and whether it has some that are not synced.
    lines: Vec<u8>,
    is_unsynced: bool,
    /// Rows that the database has not got, and the number of the last record that it has.
    rows: Vec<Row>,
    stored: u64,
    /// When the file was synced and the database got its rows.
    synced: Instant,
    /// The pause before the next attempt, while something fails.
    pause: Option<Duration>,
    tried: Instant,
    pruned: Option<Instant>,
    /// What is older than this time is about to be removed; the record that says so is in front of it.
    pruning: Option<i64>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        settings: AuditSettings,
        queue: mpsc::Receiver<Entry>,
        chain: Chain,
        sink: Option<Sink>,
        store: Option<Arc<dyn Store>>,
    ) -> Self {
        let now = Instant::now();
        let mut writer = Self {
            shared,
            settings,
            queue,
            chain,
            sink,
            store,
            lines: Vec::new(),
            is_unsynced: false,
            rows: Vec::new(),
            stored: 0,
            synced: now,
            pause: None,
            tried: now,
            pruned: None,
            pruning: None,
        };
        writer.keep();
        writer
    }

    pub(super) async fn run(mut self) {
        let (shared, mut entries) = (self.shared.clone(), Vec::new());
        self.bring(true).await;
        loop {
            let (room, due) = (self.room(), self.due());
            tokio::select! {
                biased;
                () = shared.closing.cancelled() => break,
                count = self.queue.recv_many(&mut entries, room), if room > 0 => {
                    if count == 0 {
                        break;
                    }
                    self.gather(&mut entries, room).await;
                }
                () = tokio::time::sleep_until(due) => {}
            }
            self.take(&mut entries).await;
            self.bring(false).await;
        }
        self.end(entries).await;
    }

    /// How many more records there is room for: none while the last ones can't be written.
    fn room(&self) -> usize {
        if self.lines.is_empty() && self.pause.is_none() {
            self.settings.batch_max.saturating_sub(self.waiting())
        } else {
            0
        }
    }

    /// How many records wait for the database.
    fn waiting(&self) -> usize {
        match self.rows.last() {
            Some(last) => usize::try_from(last.seq - self.stored).unwrap_or(usize::MAX),
            None => 0,
        }
    }

    /// When there is something to do without another record.
    fn due(&self) -> Instant {
        if let Some(pause) = self.pause {
            return self.tried + pause;
        }
        let shared = &self.shared;
        let lost = shared.dropped.load(Ordering::Acquire) + shared.suppressed.load(Ordering::Acquire) > 0;
        if lost || self.is_unsynced || !self.rows.is_empty() || self.pruning.is_some() {
            return self.synced + self.settings.sync_interval.max(GATHER);
        }
        Instant::now() + Duration::from_secs(1)
    }

    async fn gather(&mut self, entries: &mut Vec<Entry>, room: usize) {
        if entries.len() >= room {
            return;
        }
        tokio::time::sleep(GATHER).await;
        while entries.len() < room
            && let Ok(entry) = self.queue.try_recv()
        {
            entries.push(entry);
        }
    }

    /// Puts records into the chain, as one batch if they are not too many.
    async fn take(&mut self, entries: &mut Vec<Entry>) {
        if self.pause.is_some() {
            return;
        }
        self.follow(!entries.is_empty()).await;
        self.tell_of_lost();
        self.begin_pruning().await;
        gather(entries);
        for entry in entries.drain(..) {
            if entry.is_of_stranger() {
                self.shared.strangers.fetch_sub(1, Ordering::AcqRel);
            }
            entry.add_to(&mut self.chain);
            // An entry with several changes is several records.
            if self.chain.open() >= self.settings.batch_max as u64 {
                self.keep();
            }
        }
        self.keep();
    }

    /// Ends the batch, which waits for the sinks from here on.
    fn keep(&mut self) {
        let Some(row) = self.chain.close() else { return };
        if self.sink.is_some() {
            self.lines.extend_from_slice(row.text.as_bytes());
            self.lines.push(b'\n');
        }
        if self.store.is_some() {
            self.rows.push(row);
        }
    }

    /// A file that was renamed is finished; the first record of the next one says that more is in front of it.
    async fn follow(&mut self, is_needed: bool) {
        let Some(sink) = self.sink.as_mut().filter(|_| is_needed) else {
            return;
        };
        match sink.follow().await {
            Ok(false) => {}
            Ok(true) => self.chain.note(self.shared.now_ms(), Outcome::Continued, |_| {}),
            // The old file is still open, and takes what comes until the new one does.
            Err(error) => tracing::error!(%error, "the audit file was moved, and no new one can be made"),
        }
    }

    fn tell_of_lost(&mut self) {
        let some = |count: u64| (count > 0).then_some(count);
        let dropped = some(self.shared.dropped.swap(0, Ordering::AcqRel));
        let suppressed = some(self.shared.suppressed.swap(0, Ordering::AcqRel));
        if dropped.is_none() && suppressed.is_none() {
            return;
        }
        tracing::warn!(
            dropped,
            suppressed,
            "audit records were left out for want of room"
        );
        self.chain.note(self.shared.now_ms(), Outcome::Lost, |line| {
            line.number("dropped", dropped);
            line.number("suppressed", suppressed);
        });
    }

    /// Brings what there is to the sinks: lines at once, the rest when it is due or `at_once`.
    async fn bring(&mut self, at_once: bool) {
        self.tried = Instant::now();
        let due = at_once || self.synced.elapsed() >= self.settings.sync_interval || self.pause.is_some();
        let brought = async {
            self.write_lines().await?;
            if due || self.waiting() >= self.settings.batch_max {
                self.sync().await?;
            }
            Ok::<(), String>(())
        };
        match brought.await {
            Ok(()) => {
                if self.pause.take().is_some() {
                    tracing::info!("audit records are written again");
                }
                self.shared.is_failing.store(false, Ordering::Release);
            }
            Err(error) => {
                if self.pause.is_none() {
                    tracing::error!(error, "audit records can't be written; they wait");
                }
                self.shared.is_failing.store(true, Ordering::Release);
                self.pause = Some(self.pause.map_or(PAUSE, |pause| (pause * 2).min(PAUSE_MAX)));
            }
        }
    }

    async fn write_lines(&mut self) -> Result<(), String> {
        let Some(sink) = self.sink.as_mut().filter(|_| !self.lines.is_empty()) else {
            return Ok(());
        };
        sink.write(&self.lines).await.map_err(|error| error.to_string())?;
        self.lines.clear();
        self.is_unsynced = true;
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), String> {
        if let Some(sink) = self.sink.as_mut().filter(|_| self.is_unsynced) {
            sink.sync().await.map_err(|error| error.to_string())?;
            self.is_unsynced = false;
        }
        if let Some(store) = &self.store {
            if !self.rows.is_empty() {
                store.append(&self.rows).await?;
                self.rows.clear();
                self.stored = self.chain.seq();
            }
            self.prune_a_turn().await;
        }
        self.synced = Instant::now();
        Ok(())
    }

    /// Says in the chain what is about to be removed: the removal follows when that is stored.
    async fn begin_pruning(&mut self) {
        let (Some(store), Some(retention)) = (self.store.clone(), self.settings.retention) else {
            return;
        };
        if self.pruning.is_some() || self.pruned.is_some_and(|at| at.elapsed() < PRUNE_EVERY) {
            return;
        }
        self.pruned = Some(Instant::now());
        let retention_ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        let before_ms = self.shared.now_ms().saturating_sub(retention_ms);
        let last = match store.last_before(before_ms).await {
            Ok(Some(last)) => last,
            Ok(None) => return,
            Err(error) => return tracing::warn!(error, "old audit records could not be looked for"),
        };
        let pruned = Pruned {
            before: at(before_ms),
            chains: last.iter().filter_map(|row| head_of(&row.text)).collect(),
        };
        self.chain.note(self.shared.now_ms(), Outcome::Pruned, |line| {
            line.object("pruned", Some(&pruned));
        });
        self.pruning = Some(before_ms);
    }

    async fn prune_a_turn(&mut self) {
        let (Some(store), Some(before_ms)) = (&self.store, self.pruning) else {
            return;
        };
        match store.remove_before(before_ms, PRUNE_ROWS).await {
            Ok(removed) if removed >= PRUNE_ROWS => {}
            Ok(_) => self.pruning = None,
            Err(error) => {
                tracing::warn!(
                    error,
                    "old audit records could not be removed; the next round tries again"
                );
                self.pruning = None;
            }
        }
    }

    /// Everything that was accepted goes out, and the end of the chain.
    async fn end(mut self, mut entries: Vec<Entry>) {
        self.queue.close();
        loop {
            // Places that are still held are those of calls and writes that are being dropped: each sends its record.
            if entries.is_empty()
                && let Ok(Some(entry)) = tokio::time::timeout(LAST_RECORDS, self.queue.recv()).await
            {
                entries.push(entry);
            }
            while entries.len() < self.settings.batch_max
                && let Ok(entry) = self.queue.try_recv()
            {
                entries.push(entry);
            }
            let is_last = entries.is_empty();
            self.take(&mut entries).await;
            if is_last && self.pause.is_none() {
                self.chain.note(self.shared.now_ms(), Outcome::Ended, |_| {});
                self.keep();
            }
            self.pruning = None;
            self.bring(true).await;
            if self.pause.is_some() {
                let lost = self.queue.len() + entries.len() + self.waiting();
                tracing::error!(
                    lost,
                    "the process ends, and its last audit records can't be written"
                );
                return;
            }
            if is_last {
                return;
            }
        }
    }
}
