//! What happens when records can't be written, are too many, or go to another file.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use a2ad::access::Method;
use a2ad::audit::{
    Audit, AuditSettings, BadCertificate, Kind as RecordKind, Place, Record, Removed, Row, Store,
};
use a2ad::clock::Clock;
use a2ad::context::{CallContext, Principal};
use a2ad::error::Kind;
use a2ad::shutdown::Shutdown;
use parking::Kept;

use super::logs::{Log, call, call_by, stranger, verify_file};
use super::program::records;
use crate::support::engine::eventually;

mod parking {
    //! A database that can be away.

    use super::*;

    #[derive(Default)]
    pub struct Kept {
        pub rows: Mutex<Vec<Row>>,
        pub is_away: AtomicBool,
    }

    #[async_trait::async_trait]
    impl Store for Kept {
        async fn append(&self, rows: &[Row]) -> Result<(), String> {
            if self.is_away.load(Ordering::SeqCst) {
                return Err("away".to_owned());
            }
            self.rows.lock().unwrap().extend_from_slice(rows);
            Ok(())
        }

        async fn newest(&self) -> Result<Option<Row>, String> {
            Ok(None)
        }

        async fn last_before(&self, _: i64) -> Result<Option<Vec<Row>>, String> {
            Ok(None)
        }

        async fn remove_before(&self, _: i64, _: u64) -> Result<u64, String> {
            Ok(0)
        }
    }

    impl Kept {
        pub fn records(&self) -> Vec<Record<'static>> {
            let rows = self.rows.lock().unwrap();
            rows.iter()
                .flat_map(|row| records(&format!("{}\n", row.text)))
                .collect()
        }

        pub fn calls(&self) -> usize {
            self.records()
                .iter()
                .filter(|record| record.method.is_some())
                .count()
        }
    }
}

async fn start(settings: AuditSettings) -> (Audit, Arc<Kept>) {
    let kept = Arc::new(Kept::default());
    let store: Arc<dyn Store> = kept.clone();
    let settings = AuditSettings {
        sync_interval: Duration::from_millis(1),
        ..settings
    };
    let audit = Audit::start(settings, Some(store), Clock::system(), &Shutdown::new()).await;
    eventually(async || !kept.rows.lock().unwrap().is_empty()).await;
    (audit.unwrap(), kept)
}

/// Places of so many writes that are on their way.
fn places(audit: &Audit, count: usize) -> Result<Vec<Place>, a2ad::error::Error> {
    (0..count).map(|_| audit.place(1)).collect()
}

#[tokio::test]
async fn nothing_goes_on_unrecorded_while_the_database_is_away() {
    let (audit, kept) = start(AuditSettings::default()).await;
    call(&audit, 0).unwrap();
    eventually(async || kept.calls() == 1).await;
    kept.is_away.store(true, Ordering::SeqCst);
    let mut taken = 1;
    let refused = loop {
        match call(&audit, taken) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert_eq!(refused.kind, Kind::Unavailable);
    assert!(refused.message.contains("audit"), "{refused}");
    assert!(audit.place(1).is_ok(), "what runs may still end");
    kept.is_away.store(false, Ordering::SeqCst);
    eventually(async || call(&audit, usize::MAX).is_ok()).await;
    audit.close().await;
    // Every call that was taken before, and the one after.
    assert_eq!(kept.calls(), taken + 1);
    assert!(call(&audit, 0).is_err(), "closed");
}

#[tokio::test]
async fn a_full_queue_refuses_calls_and_changes() {
    let settings = AuditSettings {
        queue_max: 8,
        batch_max: 1,
        ..AuditSettings::default()
    };
    let (audit, kept) = start(settings).await;
    kept.is_away.store(true, Ordering::SeqCst);
    // Places are held by calls that are under way, whatever is written.
    let held = places(&audit, 8);
    assert!(held.is_ok());
    let refused = call(&audit, 0).unwrap_err();
    assert_eq!(refused.kind, Kind::Unavailable);
    assert!(refused.message.contains("audit.queue_max"), "{refused}");
    assert!(audit.place(1).is_err());
    drop(held);
    assert!(places(&audit, 8).is_ok());
}

/// A caller that is denied all the time takes its share and no more, whatever becomes of calls beyond it.
#[tokio::test]
async fn who_fills_its_share_of_the_queue_disturbs_nobody() {
    for is_required in [true, false] {
        let settings = AuditSettings {
            queue_max: 64,
            queue_per_caller_max: 16,
            is_required,
            ..AuditSettings::default()
        };
        let (audit, kept) = start(settings).await;
        // Nothing is written between two calls here: the writer has no turn.
        let flood: Vec<_> = (0..1_000).map(|n| call_by(&audit, "eve", n)).collect();
        let others: Vec<_> = (0..16).map(|n| call_by(&audit, &format!("c{n}"), n)).collect();
        assert!(others.iter().all(Result::is_ok), "{others:?}");
        let refused: Vec<_> = flood.into_iter().filter_map(Result::err).collect();
        assert_eq!(refused.len(), if is_required { 984 } else { 0 });
        for error in &refused {
            assert_eq!(error.kind, Kind::ResourceExhausted);
            assert_eq!(error.retry_after, Some(Duration::from_secs(1)));
            assert!(error.message.contains("audit.queue_per_caller_max"), "{error}");
        }
        // What was written makes room again.
        eventually(async || kept.calls() == 32).await;
        call_by(&audit, "eve", 0).unwrap();
        audit.close().await;
        assert_eq!(kept.calls(), 33);
        let dropped: u64 = kept.records().iter().filter_map(|record| record.dropped).sum();
        assert_eq!(dropped, if is_required { 0 } else { 984 });
    }
}

#[tokio::test]
async fn where_records_are_not_required_it_is_said_how_many_are_missing() {
    let settings = AuditSettings {
        queue_max: 8,
        batch_max: 4,
        is_required: false,
        ..AuditSettings::default()
    };
    let (audit, kept) = start(settings).await;
    kept.is_away.store(true, Ordering::SeqCst);
    for number in 0..1_000 {
        call(&audit, number).unwrap();
    }
    kept.is_away.store(false, Ordering::SeqCst);
    let lost = async || {
        kept.records()
            .iter()
            .filter_map(|record| record.dropped)
            .sum::<u64>()
    };
    eventually(async || kept.calls() as u64 + lost().await == 1_000).await;
    assert!(lost().await >= 980, "{}", lost().await);
}

#[tokio::test]
async fn strangers_take_half_of_the_queue_and_are_counted_beyond() {
    let settings = AuditSettings {
        queue_max: 64,
        ..AuditSettings::default()
    };
    let (audit, kept) = start(settings).await;
    for _ in 0..10_000 {
        stranger(&audit);
    }
    // In the middle of the flood there is room for callers.
    let mut calls = Vec::new();
    for number in 0..32 {
        calls.push(call(&audit, number));
    }
    assert!(calls.iter().all(Result::is_ok), "{calls:?}");
    audit.close().await;
    let records = kept.records();
    let strangers = records
        .iter()
        .filter(|record| record.outcome == "EXPIRED")
        .count() as u64;
    let suppressed: u64 = records.iter().filter_map(|record| record.suppressed).sum();
    assert_eq!(strangers + suppressed, 10_000);
    assert!((1..=10_000 - 32).contains(&strangers), "{strangers}");
    assert_eq!(kept.calls(), 32);
}

/// Credentials and certificates have one limit: who is turned away by the one can't fill the log by the other.
#[tokio::test]
async fn refused_certificates_count_among_the_strangers() {
    let settings = AuditSettings {
        strangers_per_s_max: 10,
        ..AuditSettings::default()
    };
    let (audit, kept) = start(settings).await;
    for _ in 0..1_000 {
        stranger(&audit);
        audit.certificate_refused(BadCertificate {
            peer: ([192, 0, 2, 1], 4711).into(),
            name: None,
            fingerprint: String::new(),
            reason: "missing",
        });
    }
    audit.close().await;
    let records = kept.records();
    let of = |outcome: &str| records.iter().filter(|record| record.outcome == outcome).count() as u64;
    let (credentials, certificates) = (of("EXPIRED"), of("missing"));
    let suppressed: u64 = records.iter().filter_map(|record| record.suppressed).sum();
    assert_eq!(credentials + certificates + suppressed, 2_000);
    // Ten a second, of each as many; the machine may be slow.
    assert!(
        credentials.abs_diff(certificates) <= 1,
        "{credentials} {certificates}"
    );
    assert!(credentials >= 5 && suppressed > 0, "{credentials} {suppressed}");
}

/// What has to end is ended, with room for its record or without.
#[tokio::test]
async fn an_ended_stream_is_recorded_once_or_counted() {
    let settings = AuditSettings {
        queue_max: 8,
        ..AuditSettings::default()
    };
    let (audit, kept) = start(settings).await;
    let call = CallContext::detached(Principal::verified("a"), Arc::from("r"));
    let stream = || audit.stream(&call, Method::SubscribeToTask, &Arc::from("echo"), Some("task"));
    let ended = stream();
    let copy = ended.clone();
    ended.ended("expired");
    copy.ended("RESOURCE_EXHAUSTED");
    drop(stream());
    let streams = || {
        let mut records = kept.records();
        records.retain(|record| record.kind == RecordKind::Stream);
        records
    };
    eventually(async || streams().len() == 1).await;
    assert_eq!(streams()[0].outcome, "expired");
    let held = places(&audit, 8).unwrap();
    for _ in 0..3 {
        stream().ended("expired");
    }
    drop(held);
    audit.close().await;
    let dropped: u64 = kept.records().iter().filter_map(|record| record.dropped).sum();
    assert_eq!((streams().len(), dropped), (1, 3));
}

#[tokio::test]
async fn a_pass_of_retention_is_recorded_unless_it_found_nothing() {
    let (audit, kept) = start(AuditSettings::default()).await;
    audit.retention().unwrap().ends();
    let opened = |tasks| {
        let mut record = audit.retention().unwrap();
        record.removed = Removed {
            tasks,
            events: 7,
            dead_letters: 1,
        };
        record
    };
    opened(1).ends();
    opened(2).fails();
    drop(opened(3));
    kept.is_away.store(true, Ordering::SeqCst);
    let refused = async || {
        call(&audit, 0).ok();
        audit.retention().map(a2ad::audit::RetentionRecord::ends).is_err()
    };
    eventually(refused).await;
    kept.is_away.store(false, Ordering::SeqCst);
    audit.close().await;
    let passes: Vec<_> = kept
        .records()
        .into_iter()
        .filter_map(|record| Some((record.outcome.into_owned(), record.removed?.tasks)))
        .collect();
    let expected = [("ok", 1), ("UNKNOWN", 2), ("ABANDONED", 3)];
    assert_eq!(
        passes,
        expected.map(|(outcome, tasks)| (outcome.to_owned(), tasks))
    );
}

#[tokio::test]
async fn a_renamed_file_is_followed_by_a_new_one() {
    let log = Log::new();
    let shutdown = Shutdown::new();
    let settings = log.settings();
    let audit = Audit::start(settings, None, Clock::system(), &shutdown)
        .await
        .unwrap();
    let file = log.file();
    let lines = |file: &std::path::Path| std::fs::read_to_string(file).unwrap_or_default().lines().count();
    let old: Vec<_> = (0..3)
        .map(|number| file.with_extension(format!("{number}")))
        .collect();
    for old in &old {
        for number in 0..3 {
            call(&audit, number).unwrap();
        }
        eventually(async || lines(&file) == 4).await;
        std::fs::rename(&file, old).unwrap();
    }
    call(&audit, 0).unwrap();
    audit.close().await;
    let all: Vec<_> = old.iter().chain([&file]).collect();
    let counts: Vec<_> = all.iter().map(|file| lines(file)).collect();
    assert_eq!(counts, [4, 4, 4, 3], "begun or continued, and then calls");
    let joined = log.file().with_extension("joined");
    for file in all {
        assert!(verify_file(file, None).findings.is_empty(), "{}", file.display());
        let mut text = std::fs::read_to_string(&joined).unwrap_or_default();
        text.push_str(&std::fs::read_to_string(file).unwrap());
        std::fs::write(&joined, text).unwrap();
    }
    let whole = verify_file(&joined, None);
    assert!(whole.findings.is_empty() && whole.records == 15, "{whole:?}");
}

/// Old records go, and what is left is whole; what goes beyond shows.
#[tokio::test]
async fn retention_takes_the_beginning_and_says_so() {
    let log = Log::new();
    let day_ms = 24 * 60 * 60 * 1_000;
    let now = Clock::system().now_ms();
    let settings = AuditSettings {
        retention: None,
        ..log.settings()
    };
    for days in [30, 20, 2] {
        log.chain_with(settings.clone(), Clock::manual(now - days * day_ms), 5)
            .await;
    }
    let settings = AuditSettings {
        retention: Some(Duration::from_millis(10 * day_ms as u64)),
        sync_interval: Duration::from_millis(1),
        ..settings
    };
    let before = log.verify_database(None).await;
    assert_eq!((before.records, before.findings.len()), (21, 0), "{before:?}");
    let clock = Clock::system();
    let repository = log.open().await;
    let store: Arc<dyn Store> = repository.clone();
    let audit = Audit::start(settings, Some(store), clock, &Shutdown::new())
        .await
        .unwrap();
    let records = async || log.verify_database(None).await;
    eventually(async || records().await.heads.len() == 2).await;
    let after = records().await;
    assert!(after.findings.is_empty(), "{after:?}");
    audit.close().await;
    log.close(repository).await;
    let raw = crate::support::raw::Raw::open(&log.database()).await;
    raw.execute("DELETE FROM audit_record WHERE seq = 1").await;
    let cut = log.verify_database(None).await;
    assert!(!cut.findings.is_empty(), "{cut:?}");
}

/// A database with batches of old records, which says how many went in each turn.
struct Old {
    left: AtomicU64,
    turns: Mutex<Vec<u64>>,
}

#[async_trait::async_trait]
impl Store for Old {
    async fn append(&self, _: &[Row]) -> Result<(), String> {
        Ok(())
    }

    async fn newest(&self) -> Result<Option<Row>, String> {
        Ok(None)
    }

    async fn last_before(&self, _: i64) -> Result<Option<Vec<Row>>, String> {
        let is_old = self.left.load(Ordering::SeqCst) > 0;
        Ok(is_old.then(Vec::new))
    }

    async fn remove_before(&self, _: i64, limit: u64) -> Result<u64, String> {
        let removed = self.left.load(Ordering::SeqCst).min(limit);
        self.left.fetch_sub(removed, Ordering::SeqCst);
        self.turns.lock().unwrap().push(removed);
        Ok(removed)
    }
}

/// However much is old, it goes in short turns: others want to write too.
#[tokio::test]
async fn retention_goes_in_turns() {
    let log = Log::new();
    let old = Arc::new(Old {
        left: AtomicU64::new(200),
        turns: Mutex::default(),
    });
    let settings = AuditSettings {
        retention: Some(Duration::from_secs(1)),
        sync_interval: Duration::from_millis(1),
        ..log.settings()
    };
    let audit = Audit::start(settings, Some(old.clone()), Clock::system(), &Shutdown::new())
        .await
        .unwrap();
    eventually(async || old.left.load(Ordering::SeqCst) == 0).await;
    audit.close().await;
    assert_eq!(*old.turns.lock().unwrap(), [64, 64, 64, 8]);
}
