//! A write that is on its way when everything has to stop: nobody knows whether it arrives, and that is recorded.

use std::sync::Arc;

use a2ad::audit::Audit;
use a2ad::bus::LocalBus;
use a2ad::clock::Clock;
use a2ad::execution::{ExecutionSettings, Executions, NewTask, Wait};
use a2ad::repository::conformance::scope;
use a2ad::repository::memory::MemoryRepository;
use a2ad::shutdown::Shutdown;

use super::changes::changes;
use super::logs::{Log, verify_file};
use super::program::records;
use crate::support::engine::{Gate, eventually, gated, incoming, patiently, task};
use crate::support::faulty::{Fault, Method};
use crate::support::observed::Observed;

#[tokio::test]
async fn a_write_that_is_given_up_is_recorded_as_unknown() {
    let (log, shutdown, gate) = (Log::new(), Shutdown::new(), Gate::closed());
    let audit = Audit::start(log.settings(), None, Clock::system(), &shutdown)
        .await
        .unwrap();
    let repository = Observed::new(Arc::new(MemoryRepository::new()));
    let engine = Executions::new(
        repository.clone(),
        Arc::new(LocalBus::new()),
        Clock::system(),
        shutdown.clone(),
        ExecutionSettings::default(),
        audit.clone(),
    );
    let new = NewTask {
        agent: gated(&gate),
        scope: scope("ada"),
        context_id: None,
        incoming: incoming("go"),
    };
    let id = task(patiently(engine.start(new, Wait::Accepted)).await).id;
    let working = || {
        let text = std::fs::read_to_string(log.file()).unwrap();
        let all = records(&text);
        all.iter()
            .any(|record| record.to.as_deref() == Some("TASK_STATE_WORKING"))
    };
    eventually(async || working()).await;
    let before = repository.calls(Method::Commit);
    repository.fail([Fault::Hang]);
    gate.open();
    eventually(async || repository.calls(Method::Commit) > before).await;
    shutdown.abort();
    audit.close().await;

    let text = std::fs::read_to_string(log.file()).unwrap();
    let states = changes(&records(&text));
    assert!(states.iter().all(|change| change.task_id == id), "{states:?}");
    let generations: Vec<u64> = states.iter().map(|change| change.generation).collect();
    assert_eq!(generations, [1, 2, 3], "{states:?}");
    let last = states.last().unwrap();
    assert_eq!((&*last.to, &*last.outcome), ("TASK_STATE_COMPLETED", "UNKNOWN"));
    assert!(verify_file(&log.file(), None).findings.is_empty());
}
