//! More work than an agent may do at once: who waits, who is next, who is refused.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use a2ad::agent::{Agent, AgentOptions, CancelOutcome};
use a2ad::error::{Error, Kind};
use a2ad::execution::{Answer, Wait};
use a2ad::pb::TaskState;
use a2ad::repository::conformance::{key, scope};

use crate::support::engine::*;

fn one_at_once() -> AgentOptions {
    AgentOptions {
        executions_max: 1,
        ..AgentOptions::default()
    }
}

/// Starts a task of an owner that is acknowledged before it ends; its id.
async fn start_as(bed: &Bed, agent: &Arc<Agent>, owner: &str, text: &str) -> Result<String, Error> {
    let mut new = bed.new_task(agent, text);
    new.scope = scope(owner);
    let answer = patiently(bed.engine.start(new, Wait::Accepted)).await?;
    Ok(task(Ok(answer)).id)
}

#[tokio::test]
pub async fn a_task_that_waits_is_stored_and_runs_when_its_turn_comes() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let agent = Scripted::new(completing_behind(&gate)).with(one_at_once());
    let first = bed.accepted(&agent).await.id;
    let waiting = bed.accepted(&agent).await;
    assert_eq!(state(&waiting), TaskState::Submitted);
    assert_eq!(bed.stored(&waiting.id).await.attempt, 0);
    let settled = bed.settled(&agent, &waiting.id);
    gate.open();
    bed.reaches(&first, TaskState::Completed).await;
    gate.open();
    assert_eq!(state(&task(settled.await)), TaskState::Completed);
    assert_eq!(bed.stored(&waiting.id).await.attempt, 1);
    // A blocking send waits in line like any other, and a stream shows the task from the start.
    gate.open();
    gate.open();
    gate.open();
    let stream = bed.stream(&agent, "go").await;
    let blocking = bed.start(&agent, "go", Wait::Settled).await;
    assert_eq!(state(&task(blocking)), TaskState::Completed);
    let states: Vec<TaskState> = all(stream).await.iter().filter_map(|event| event.state).collect();
    assert_eq!(states.first(), Some(&TaskState::Submitted));
    assert_eq!(states.last(), Some(&TaskState::Completed));
    bed.quiet().await;
}

/// One owner with twenty tasks in line delays another one's first by one turn.
#[tokio::test]
pub async fn owners_take_turns() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let order = Arc::new(Mutex::new(Vec::new()));
    let (pass, note) = (gate.clone(), order.clone());
    let agent = Scripted::new(move |request, updater| {
        note.lock().unwrap().push(request.text().into_owned());
        let gate = pass.clone();
        async move {
            gate.pass().await;
            updater.complete().await?;
            Ok(())
        }
    })
    .with(one_at_once());
    for n in 0..20 {
        start_as(&bed, &agent, "greedy", &format!("greedy {n}"))
            .await
            .unwrap();
    }
    for n in 0..2 {
        start_as(&bed, &agent, "modest", &format!("modest {n}"))
            .await
            .unwrap();
    }
    start_as(&bed, &agent, "shy", "shy 0").await.unwrap();
    for done in 1..=23 {
        eventually(async || order.lock().unwrap().len() == done).await;
        gate.open();
    }
    bed.quiet().await;
    let order = order.lock().unwrap();
    let begun = [
        "greedy 0", "modest 0", "shy 0", "greedy 1", "modest 1", "greedy 2", "greedy 3", "greedy 4",
    ];
    assert_eq!(order[..8], begun);
}

/// A fault once: one owner with endless tasks kept everybody else from the agent for ever.
#[tokio::test]
pub async fn an_owner_at_its_limit_waits_while_others_run() {
    for (limit, greedy_runs) in [(None, 3), (Some(2), 2), (Some(usize::MAX), 4)] {
        let (bed, gate) = (Bed::new(), Gate::closed());
        let options = AgentOptions {
            executions_max: 4,
            executions_per_owner_max: limit,
            ..AgentOptions::default()
        };
        let pass = gate.clone();
        let agent = Scripted::new(move |request, updater| {
            let gate = pass.clone();
            async move {
                updater.working().await?;
                if request.text() == "endless" {
                    gate.pass().await;
                }
                updater.complete().await?;
                Ok(())
            }
        })
        .with(options);
        let mut greedy = Vec::new();
        for _ in 0..6 {
            greedy.push(start_as(&bed, &agent, "greedy", "endless").await.unwrap());
        }
        let owner = scope("greedy");
        let working = async |id: &String| {
            use a2ad::repository::TaskRepository as _;
            let stored = bed.repository.get(&owner, id).await.unwrap();
            stored.is_some_and(|stored| state(&stored.task) == TaskState::Working)
        };
        for (n, id) in greedy.iter().enumerate() {
            if n < greedy_runs {
                eventually(async || working(id).await).await;
            } else {
                assert!(!working(id).await, "{limit:?}: number {n} waits");
            }
        }
        if greedy_runs < 4 {
            let other = bed.start(&agent, "quick", Wait::Settled).await;
            assert_eq!(state(&task(other)), TaskState::Completed, "at once");
        }
        for _ in 0..6 {
            gate.open();
        }
        bed.quiet().await;
    }
}

#[tokio::test]
pub async fn the_line_is_bounded_and_says_by_what() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let options = AgentOptions {
        queue_max: 3,
        queue_per_owner_max: 2,
        ..one_at_once()
    };
    let agent = Scripted::new(completing_behind(&gate)).with(options);
    for _ in 0..3 {
        start_as(&bed, &agent, "ada", "go").await.unwrap();
    }
    let refused = async |owner: &str, limit: &str| {
        let error = start_as(&bed, &agent, owner, "go").await.unwrap_err();
        assert_eq!(error.kind, Kind::ResourceExhausted);
        assert!(
            error.message.contains(limit) && error.retry_after.is_some(),
            "{error:?}"
        );
    };
    refused("ada", "queue_per_owner_max").await;
    start_as(&bed, &agent, "bob", "go").await.unwrap();
    refused("eve", "queue_max").await;
    for _ in 0..4 {
        gate.open();
    }
    bed.quiet().await;
    gate.open();
    start_as(&bed, &agent, "eve", "go").await.unwrap();
    bed.quiet().await;
}

/// Nobody has begun, so nobody can refuse; and whoever is next in line is not held up.
#[tokio::test]
pub async fn a_task_that_waits_is_canceled_without_its_agent() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let agent = Scripted::new(completing_behind(&gate))
        .on_cancel(move || {
            count.fetch_add(1, Ordering::AcqRel);
            std::future::ready(CancelOutcome::Refused("no".to_owned()))
        })
        .with(one_at_once());
    let running = bed.accepted(&agent).await.id;
    let canceled = bed.accepted(&agent).await.id;
    let next = bed.accepted(&agent).await.id;
    assert_eq!(
        state(&task(bed.cancel(&agent, &canceled).await)),
        TaskState::Canceled
    );
    assert_eq!(asked.load(Ordering::Acquire), 0);
    assert_eq!(
        bed.states(&canceled).await,
        [TaskState::Submitted, TaskState::Canceled]
    );
    gate.open();
    gate.open();
    for id in [running, next] {
        bed.reaches(&id, TaskState::Completed).await;
    }
    bed.quiet().await;
}

/// An answer to a question waits in line as well, and so does the next message of a task that works.
#[tokio::test]
pub async fn messages_wait_in_line() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let pass = gate.clone();
    let agent = Scripted::new(move |request, updater| {
        let gate = pass.clone();
        async move {
            gate.pass().await;
            match &*request.text() {
                "done" => updater.complete().await?,
                _ => updater.ask_for_input("more?").await?,
            }
            Ok(())
        }
    })
    .with(one_at_once());
    gate.open();
    let asked = task(bed.start(&agent, "go", Wait::Settled).await).id;
    bed.quiet().await;
    let other = start_as(&bed, &agent, "bob", "done").await.unwrap();
    bed.send(&agent, &asked, "one", Wait::Accepted).await.unwrap();
    bed.send(&agent, &asked, "done", Wait::Accepted).await.unwrap();
    assert_eq!(bed.stored(&asked).await.attempt, 0);
    let last = start_as(&bed, &agent, "bob", "done").await.unwrap();
    // Bob's first, Ada's answer, Bob's second, and only then Ada's next message.
    let bob = scope("bob");
    for (id, owner, wanted) in [
        (&other, &bob, TaskState::Completed),
        (&asked, &bed.scope, TaskState::Working),
        (&last, &bob, TaskState::Completed),
        (&asked, &bed.scope, TaskState::Completed),
    ] {
        use a2ad::repository::TaskRepository as _;
        gate.open();
        eventually(async || {
            let stored = bed.repository.get(owner, id).await.unwrap();
            stored.is_some_and(|stored| state(&stored.task) == wanted)
        })
        .await;
    }
    bed.log(&asked).await;
    bed.quiet().await;
}

#[tokio::test]
pub async fn a_key_is_known_while_its_task_waits() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let agent = Scripted::new(completing_behind(&gate)).with(one_at_once());
    bed.accepted(&agent).await;
    let send = async || {
        let mut new = bed.new_task(&agent, "go");
        new.incoming.key = Some(key("k"));
        patiently(bed.engine.start(new, Wait::Accepted)).await
    };
    let first = task(send().await).id;
    assert_eq!(send().await, Ok(Answer::Known(first.clone())));
    gate.open();
    gate.open();
    bed.reaches(&first, TaskState::Completed).await;
    bed.quiet().await;
}

/// Such an agent has no task otherwise; one that waits must be stored.
#[tokio::test]
pub async fn a_direct_answer_from_the_line_completes_the_task() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let pass = gate.clone();
    let agent = Scripted::new(move |_, updater| {
        let gate = pass.clone();
        async move {
            gate.pass().await;
            updater.reply(updater.message("just words")).await?;
            Ok(())
        }
    })
    .replying()
    .with(one_at_once());
    let waiting = async {
        eventually(async || bed.engine.running() == 1).await;
        let id = bed.accepted(&agent).await.id;
        gate.open();
        gate.open();
        id
    };
    let (first, second) = tokio::join!(bed.start(&agent, "go", Wait::Settled), waiting);
    assert!(matches!(first, Ok(Answer::Message(_))), "{first:?}");
    bed.reaches(&second, TaskState::Completed).await;
    let status = bed.stored(&second).await.task.status;
    assert_eq!(
        said(&[status.and_then(|status| status.message).expect("words")]),
        ["just words"]
    );
    bed.quiet().await;
}

/// Whoever has not begun when the server drains is left to the next one: begun now, it would be cut off in the middle.
#[tokio::test]
pub async fn who_waits_in_line_when_the_server_drains_is_left_to_the_next() {
    let (bed, gate) = (Bed::timed(), Gate::closed());
    let agent = Scripted::new(completing_behind(&gate)).with(one_at_once());
    let running = bed.accepted(&agent).await.id;
    let waiting = bed.accepted(&agent).await.id;
    let drained = async {
        eventually(async || bed.engine.running() == 2).await;
        bed.shutdown.drain();
    };
    let (settled, ()) = tokio::join!(bed.settled(&agent, &waiting), drained);
    assert_eq!(settled.unwrap_err().kind, Kind::Unavailable);
    gate.open();
    patiently(bed.engine.idle()).await;
    assert_eq!(bed.state(&running).await, TaskState::Completed);
    assert_eq!(bed.states(&waiting).await, [TaskState::Submitted]);
    let next = bed.beside();
    assert_eq!(
        next.sweep(&agent).await.taken_up,
        1,
        "without waiting for the lease"
    );
    gate.open();
    next.reaches(&waiting, TaskState::Completed).await;
    next.quiet().await;
}
