//! A database that does not answer: nobody is told what is not so, and every task still ends.

use a2ad::error::Kind;
use a2ad::execution::{Answer, Wait};
use a2ad::pb::TaskState;
use a2ad::pb::stream_response::Payload;
use a2ad::repository::conformance::key;

use crate::support::engine::*;
use crate::support::observed::Fault;

#[tokio::test(start_paused = true)]
async fn a_task_ends_however_often_its_commits_fail() {
    use Fault::{After, Before, Late};
    let patterns: [&[Fault]; 8] = [
        &[Late],
        &[Late, Before],
        &[Before, Late, After],
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
