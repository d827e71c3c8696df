//! A database that does not answer: nobody is told what is not so, and every task still ends.

use std::time::Duration;

use a2ad::error::Kind;
use a2ad::execution::{Answer, Wait};
use a2ad::pb::TaskState;
use a2ad::pb::stream_response::Payload;
use a2ad::repository::TaskRepository as _;
use a2ad::repository::conformance::key;

use crate::support::engine::*;
use crate::support::observed::Fault;

#[tokio::test(start_paused = true)]
async fn a_task_ends_however_often_its_commits_fail() {
    use Fault::{After, Before};
    let late = Fault::Late(Duration::from_millis(60));
    let patterns: [&[Fault]; 8] = [
        &[late],
        &[late, Before],
        &[Before, late, After],
        &[Before],
        &[After],
        &[Before, Before, Before],
        &[After, Before],
        &[Before, After],
    ];
    for faults in patterns {
        let (bed, gate) = (Bed::new(), Gate::closed());
        let agent = gated(&gate);
        let mut stream = bed.stream(&agent, "go").await;
        let Ok(Payload::Task(opening)) = next(&mut stream).await.decode() else {
            panic!()
        };
        bed.reaches(&opening.id, TaskState::Working).await;
        bed.repository.fail(faults.iter().copied());
        gate.open();
        let error = bed.settled(&agent, &opening.id).await.unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable, "{faults:?}");
        let rest = all(stream).await;
        assert_eq!(bed.state(&opening.id).await, TaskState::Completed, "{faults:?}");
        assert_eq!(rest, bed.log(&opening.id).await[1..], "{faults:?}");
        bed.quiet().await;
    }
}

/// A bug once: a write that arrived behind the look for it made its own repetition stale. The engine took that for
/// another writer, gave the task up, and it stayed WORKING.
#[tokio::test(start_paused = true)]
async fn a_write_that_arrives_behind_its_repetition_is_our_own() {
    let millis = Duration::from_millis;
    let faults = [Fault::Late(millis(60)), Fault::Delay(millis(30))];
    let (bed, gate) = (Bed::new(), Gate::closed());
    let agent = gated(&gate);
    let id = bed.accepted(&agent).await.id;
    bed.reaches(&id, TaskState::Working).await;
    bed.repository.fail(faults);
    let asked = bed.send(&agent, &id, "more", Wait::Accepted).await.unwrap_err();
    assert_eq!(asked.kind, Kind::Unavailable);
    gate.open();
    gate.open();
    bed.reaches(&id, TaskState::Completed).await;
    bed.log(&id).await;
    bed.quiet().await;

    // The same for a write that binds a key: its repetition finds the key taken, by itself.
    let (bed, gate) = (Bed::new(), Gate::closed());
    let agent = gated(&gate);
    bed.repository.fail(faults);
    let mut new = bed.new_task(&agent, "go");
    new.incoming.key = Some(key("k"));
    let lost = patiently(bed.engine.start(new, Wait::Accepted))
        .await
        .unwrap_err();
    assert_eq!(lost.kind, Kind::Unavailable);
    gate.open();
    bed.quiet().await;
    let known = bed.repository.known_key(&bed.scope, "k", 0).await.unwrap();
    let id = known.expect("the key is bound").task_id;
    assert_eq!(bed.state(&id).await, TaskState::Completed);
}

/// A bug once: a message was refused because of an end that was not committed, and never came to be.
#[tokio::test(start_paused = true)]
async fn nobody_is_told_of_an_end_that_is_not_committed() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let agent = gated(&gate);
    let id = bed.accepted(&agent).await.id;
    bed.reaches(&id, TaskState::Working).await;
    let second = Duration::from_secs(1);
    bed.repository.fail([Fault::Delay(second)]);
    gate.open();
    tokio::time::sleep(second / 2).await;
    // The end is on its way: whoever comes now waits for it.
    let began = tokio::time::Instant::now();
    let error = bed.send(&agent, &id, "more", Wait::Accepted).await.unwrap_err();
    assert_eq!(error.kind, Kind::UnsupportedOperation);
    assert_eq!(began.elapsed(), second / 2);
    assert_eq!(bed.state(&id).await, TaskState::Completed);

    // The second task's end does not arrive at first, and that is what its caller is told.
    let id = bed.accepted(&agent).await.id;
    bed.reaches(&id, TaskState::Working).await;
    bed.repository.fail([Fault::Before]);
    gate.open();
    let (settled, sent) = tokio::join!(
        biased;
        bed.settled(&agent, &id),
        async {
            tokio::task::yield_now().await;
            bed.send(&agent, &id, "more", Wait::Accepted).await
        }
    );
    assert_eq!(settled.unwrap_err().kind, Kind::Unavailable);
    assert_eq!(sent.unwrap_err().kind, Kind::Unavailable);
    bed.reaches(&id, TaskState::Completed).await;
    bed.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_never_acknowledged() {
    for fault in [Fault::Before, Fault::After] {
        // An agent that is done at once, and one that is not.
        let bed = Bed::new();
        bed.repository.fail([fault]);
        let error = bed.start(&echo(), "go", Wait::Settled).await.unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable);

        let (bed, gate) = (Bed::new(), Gate::closed());
        bed.repository.fail([fault]);
        let error = bed.start(&gated(&gate), "go", Wait::Accepted).await.unwrap_err();
        assert_eq!(error.kind, Kind::Unavailable);
        // The task was begun, so it ends.
        gate.open();
        bed.quiet().await;
        assert_eq!(bed.repository.commits(), 2, "creation and end");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_are_refused_until_the_database_is_back() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let agent = gated(&gate);
    let id = bed.accepted(&agent).await.id;
    bed.reaches(&id, TaskState::Working).await;
    bed.repository.fail([Fault::Before; 4]);
    let error = bed.send(&agent, &id, "one", Wait::Accepted).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    let error = bed.cancel(&agent, &id).await.unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    gate.open();
    gate.open();
    eventually(async || bed.settled(&agent, &id).await.is_ok()).await;
    assert_eq!(bed.state(&id).await, TaskState::Completed);
    bed.log(&id).await;
    bed.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_taken_key_leads_to_the_other_task() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let agent = gated(&gate);
    let begin = async |text: &str| {
        let mut new = bed.new_task(&agent, text);
        new.incoming.key = Some(key("k"));
        patiently(bed.engine.start(new, Wait::Accepted)).await
    };
    let first = task(begin("first").await);
    assert_eq!(begin("second").await, Ok(Answer::Known(first.id.clone())));
    let mut new = bed.new_task(&agent, "streamed");
    new.incoming.key = Some(key("k"));
    let streamed = patiently(bed.engine.start_streaming(new)).await;
    assert!(matches!(streamed, Err(Ok(id)) if id == first.id));
    // The first attempt of a send may have arrived unseen: its repetition finds the task.
    let (other, second_gate) = (Bed::new(), Gate::closed());
    let agent = gated(&second_gate);
    other.repository.fail([Fault::After]);
    let mut new = other.new_task(&agent, "go");
    new.incoming.key = Some(key("k"));
    let lost = patiently(other.engine.start(new, Wait::Accepted))
        .await
        .unwrap_err();
    assert_eq!(lost.kind, Kind::Unavailable);
    let mut again = other.new_task(&agent, "go");
    again.incoming.key = Some(key("k"));
    let Ok(Answer::Known(id)) = patiently(other.engine.start(again, Wait::Accepted)).await else {
        panic!()
    };
    second_gate.open();
    other.reaches(&id, TaskState::Completed).await;
    other.quiet().await;
    gate.open();
    bed.reaches(&first.id, TaskState::Completed).await;
    bed.quiet().await;
}
