//! Sending and waiting in every way, over a wire that breaks and over one that does not.

use a2ad::client::streams::{Wait, WaitMode, Waited};
use a2ad::pb::TaskState;
use std::time::Duration;

use super::client;
use crate::sockets::soon;
use crate::support::agents::{BINDINGS, eager, instance};
use crate::support::cutter::Cutter;
use crate::support::messages::{reply, send, state};

const MODES: [WaitMode; 3] = [WaitMode::Blocking, WaitMode::Polling, WaitMode::Streaming];

fn by(mode: WaitMode) -> Wait {
    Wait {
        mode,
        interval: Duration::from_millis(1),
        interval_max: Duration::from_millis(20),
        ..Wait::default()
    }
}

#[tokio::test]
async fn every_way_comes_to_the_same_end() {
    let world = super::world().await;
    for binding in BINDINGS {
        let mut ends = Vec::new();
        for mode in MODES {
            let writer = client(instance(world.address, binding, "writer").await, &eager());
            let request = send("writer", "m", "11 20 500");
            let waited = soon("an end", writer.send_and_wait(request, &by(mode)))
                .await
                .unwrap();
            let Waited::Task(mut task) = waited else {
                panic!("a task")
            };
            assert_eq!(state(&task), TaskState::Completed, "{mode:?}");
            // Ids and times are each task's own.
            let texts = |task: &a2ad::pb::Task| {
                let parts = task.artifacts.iter().flat_map(|artifact| artifact.parts.clone());
                parts.collect::<Vec<_>>()
            };
            ends.push((texts(&task), task.history.len()));
            task.history.clear();
        }
        assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{ends:?}");
    }
}

#[tokio::test]
async fn a_question_is_an_end_and_its_answer_goes_on() {
    let world = super::world().await;
    for binding in BINDINGS {
        for mode in MODES {
            let agent = client(instance(world.address, binding, "conformance").await, &eager());
            let first = send("conformance", "m", "tck-multi-turn");
            let waited = soon("a question", agent.send_and_wait(first, &by(mode)))
                .await
                .unwrap();
            let Waited::Task(task) = waited else {
                panic!("a task")
            };
            assert_eq!(state(&task), TaskState::InputRequired, "{mode:?}");
            let answer = reply("conformance", &task, "m2", "done");
            let waited = soon("an end", agent.send_and_wait(answer, &by(mode)))
                .await
                .unwrap();
            let Waited::Task(task) = waited else {
                panic!("a task")
            };
            assert_eq!(state(&task), TaskState::Completed, "{mode:?}");
            let direct = send("conformance", "m", "tck-message-response");
            let waited = soon("a message", agent.send_and_wait(direct, &by(mode)))
                .await
                .unwrap();
            assert!(matches!(waited, Waited::Message(_)), "{mode:?}");
        }
    }
}

/// An agent without streams is asked instead; and a wire that breaks again and again delays the end only.
#[tokio::test]
async fn waiting_gets_by_without_streams_and_over_bad_wires() {
    let world = super::world().await;
    for binding in BINDINGS {
        let plain = client(instance(world.address, binding, "plain").await, &eager());
        let request = send("plain", "m", "hello");
        let waited = soon("an end", plain.send_and_wait(request, &by(WaitMode::Streaming)))
            .await
            .unwrap();
        assert!(matches!(waited, Waited::Task(task) if state(&task) == TaskState::Completed));
        let wire = Cutter::start(world.address).await;
        for mode in MODES {
            let writer = client(instance(wire.address, binding, "writer").await, &eager());
            wire.cut_after(&[400, 10, 700, 300, 900]);
            let request = send("writer", "m", "5 20 500");
            let waited = soon("an end", writer.send_and_wait(request, &by(mode)))
                .await
                .unwrap();
            assert!(
                matches!(waited, Waited::Task(task) if state(&task) == TaskState::Completed),
                "{mode:?}"
            );
        }
    }
}
