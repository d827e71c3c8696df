//! Heartbeats: what a slow database does to them, and who has the last word.

use std::time::Duration;

use a2ad::agent::AgentOptions;
use a2ad::execution::Swept;
use a2ad::pb::TaskState;
use a2ad::repository::TaskRepository as _;

use crate::support::engine::*;
use crate::support::faulty::{Fault, Method, once, script};

/// Longer than any heartbeat waits, and shorter than a test.
const SLOW: Duration = Duration::from_millis(50);

/// A fault once: a beat that hung kept all others back, and the lease ran out.
#[tokio::test(start_paused = true)]
async fn two_heartbeats_that_hang_cost_no_lease() {
    let (bed, gate) = (Bed::on_timers(), Gate::closed());
    let agent = gated(&gate);
    let id = bed.accepted(&agent).await.id;
    bed.reaches(&id, TaskState::Working).await;
    let beats = [Fault::Hang, Fault::Hang].map(Some).into();
    bed.repository.plan(script([(Method::Renew, beats)].into()));
    bed.shutdown.spawn("leases", bed.engine.clone().keep_leases());
    for second in 0..100 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let lapsed = bed.repository.lapsed(None, 9).await.unwrap();
        assert!(lapsed.is_empty(), "after {second} s");
    }
    assert!(bed.repository.calls(Method::Renew) >= 12);
    gate.open();
    bed.reaches(&id, TaskState::Completed).await;
}

/// A fault once: a beat that was on its way gave leases a full time again that had been handed back before it arrived.
#[tokio::test]
async fn a_heartbeat_on_its_way_does_not_take_back_what_is_handed_back() {
    let (one, gate) = (Bed::timed(), Gate::closed());
    let agent = Scripted::new(completing_behind(&gate)).restarting().agent();
    let id = one.accepted(&agent).await.id;
    one.reaches(&id, TaskState::Working).await;
    one.repository.plan(once(Method::Renew, 0, Fault::Delay(SLOW)));
    let back = async {
        eventually(async || one.repository.calls(Method::Renew) == 1).await;
        one.engine.hand_back_leases().await;
    };
    tokio::join!(one.engine.renew_leases(), back);
    let calls = one.repository.calls(Method::Renew);
    one.engine.renew_leases().await;
    patiently(one.engine.clone().keep_leases()).await;
    assert_eq!(one.repository.calls(Method::Renew), calls, "no beat comes behind");
    let two = one.beside();
    let swept = two.sweep(&agent).await;
    assert_eq!(
        swept,
        Swept {
            taken_up: 1,
            ..Swept::default()
        }
    );
    one.dies().await;
    gate.open();
    two.reaches(&id, TaskState::Completed).await;
    two.quiet().await;
}

/// The same for a single task, which leaves the line when the process drains.
#[tokio::test]
async fn a_heartbeat_on_its_way_does_not_keep_a_task_that_left_the_line() {
    let (one, gate) = (Bed::timed(), Gate::closed());
    let options = AgentOptions {
        executions_max: 1,
        ..AgentOptions::default()
    };
    let agent = Scripted::new(completing_behind(&gate)).with(options);
    let running = one.accepted(&agent).await.id;
    let waiting = one.accepted(&agent).await.id;
    one.reaches(&running, TaskState::Working).await;
    one.repository.plan(once(Method::Renew, 0, Fault::Delay(SLOW)));
    let leave = async {
        eventually(async || one.repository.calls(Method::Renew) == 1).await;
        one.shutdown.drain();
        eventually(async || one.engine.running() == 1).await;
    };
    tokio::join!(one.engine.renew_leases(), leave);
    let free = async || {
        let lapsed = one.repository.lapsed(None, 9).await.unwrap();
        lapsed.into_iter().map(|left| left.task_id).collect::<Vec<_>>()
    };
    eventually(async || !free().await.is_empty()).await;
    assert_eq!(free().await, [waiting]);
    gate.open();
    one.reaches(&running, TaskState::Completed).await;
    one.quiet().await;
}
