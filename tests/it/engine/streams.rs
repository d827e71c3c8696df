//! What readers see: every event once, in order, from wherever they begin.

use std::sync::Arc;

use a2ad::agent::{Agent, AgentOptions};
use a2ad::error::Kind;
use a2ad::execution::{ExecutionSettings, Wait};
use a2ad::pb::TaskState;
use a2ad::pb::stream_response::Payload;
use a2ad::repository::memory::MemoryRepository;
use a2ad::repository::{CompactQuery, TaskRepository as _};
use a2ad::task::TaskEvent;
use futures_util::StreamExt as _;
use futures_util::future::join_all;

use crate::support::engine::*;
use crate::support::observed::Observed;

/// Writes a number of lines, one for each time that the gate opens, and completes.
fn writing(gate: &Gate, lines: usize) -> Arc<Agent> {
    let gate = gate.clone();
    Scripted::new(move |_, updater| {
        let gate = gate.clone();
        async move {
            for line in 0..lines {
                gate.pass().await;
                updater.progress(&format!("line {line}")).await?;
            }
            updater.complete().await?;
            Ok(())
        }
    })
    .agent()
}

/// Writes a number of lines as fast as it can.
fn pouring(lines: usize) -> Arc<Agent> {
    Scripted::new(move |_, updater| async move {
        tokio::task::yield_now().await;
        for line in 0..lines {
            updater.progress(&format!("line {line}")).await?;
            if line % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
        updater.complete().await?;
        Ok(())
    })
    .agent()
}

#[tokio::test]
pub async fn a_stream_begins_with_the_task_and_ends_with_it() {
    let bed = Bed::new();
    for agent in [echo(), pouring(100)] {
        let events = all(bed.stream(&agent, "hello").await).await;
        let Ok(Payload::Task(first)) = events[0].decode() else {
            panic!("{:?}", events[0])
        };
        assert_eq!(state(&first), TaskState::Submitted);
        assert_dense(&events, 1);
        assert_eq!(events, bed.log(&first.id).await);
        assert_eq!(
            events.last().and_then(|event| event.state),
            Some(TaskState::Completed)
        );
    }
    bed.quiet().await;
}

#[tokio::test]
pub async fn a_subscriber_gets_the_task_and_what_follows() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let agent = writing(&gate, 3);
    let id = bed.accepted(&agent).await.id;
    let mut early = bed.subscribe(&agent, &id, None).await.unwrap();
    let opening = next(&mut early).await;
    assert!(matches!(opening.decode(), Ok(Payload::Task(task)) if task.id == id));
    gate.open();
    let line = next(&mut early).await;
    assert_eq!(line.generation, opening.generation + 1);
    let late = bed.subscribe(&agent, &id, None).await.unwrap();
    gate.open();
    gate.open();
    let (early, late) = (all(early).await, all(late).await);
    assert_dense(&early, line.generation + 1);
    assert_eq!(late[0].generation, line.generation);
    assert_eq!(late[1..], early[..]);
    let refused = bed.subscribe(&agent, &id, None).await.unwrap_err();
    assert_eq!(refused.kind, Kind::UnsupportedOperation);
    bed.quiet().await;
}

#[tokio::test]
pub async fn a_cursor_gets_exactly_what_is_later() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let agent = writing(&gate, 4);
    let id = bed.accepted(&agent).await.id;
    let readers = join_all((1..=1).map(|cursor| bed.subscribe(&agent, &id, Some(cursor)))).await;
    for _ in 0..4 {
        gate.open();
    }
    for reader in readers {
        let events = all(reader.unwrap()).await;
        assert_dense(&events, 2);
    }
    bed.quiet().await;
    let log = bed.log(&id).await;
    for cursor in 1..=log.len() {
        let later = all(bed.subscribe(&agent, &id, Some(cursor as u64)).await.unwrap()).await;
        assert_eq!(later, log[cursor..], "behind {cursor}");
    }
    let ahead = bed
        .subscribe(&agent, &id, Some(log.len() as u64 + 1))
        .await
        .unwrap_err();
    assert_eq!(ahead.kind, Kind::InvalidParams);
    assert_eq!(
        bed.subscribe(&agent, "unknown", Some(1)).await.unwrap_err().kind,
        Kind::TaskNotFound
    );
    bed.quiet().await;
}

#[tokio::test]
pub async fn a_slow_reader_falls_back_to_the_log() {
    let settings = ExecutionSettings {
        ring_events_max: 4,
        ..ExecutionSettings::default()
    };
    let bed = Bed::with(settings);
    let mut stream = bed.stream(&pouring(300), "go").await;
    let first = next(&mut stream).await;
    let Ok(Payload::Task(opening)) = first.decode() else {
        panic!()
    };
    bed.reaches(&opening.id, TaskState::Completed).await;
    let rest = all(stream).await;
    assert_eq!(rest.len(), 301);
    assert_eq!(rest, bed.log(&opening.id).await[1..]);
    bed.quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn all_readers_see_the_same() {
    let settings = ExecutionSettings {
        ring_events_max: 16,
        ..ExecutionSettings::default()
    };
    let (bed, gate) = (Bed::with(settings), Gate::closed());
    let agent = writing(&gate, 200);
    let id = bed.accepted(&agent).await.id;
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(bed.subscribe(&agent, &id, Some(1)).await.unwrap());
    }
    let read = async |n: usize, mut stream: a2ad::execution::EventStream| {
        let mut events: Vec<Arc<TaskEvent>> = Vec::new();
        while let Some(event) = stream.next().await {
            events.push(event.unwrap());
            if events.len().is_multiple_of(n + 1) {
                tokio::task::yield_now().await;
            }
        }
        events
    };
    let open = async {
        for _ in 0..200 {
            gate.open();
            tokio::task::yield_now().await;
        }
    };
    let reads = join_all(streams.into_iter().enumerate().map(|(n, stream)| read(n, stream)));
    let ((), seen) = patiently(async { tokio::join!(open, reads) }).await;
    let log = bed.log(&id).await;
    for events in seen {
        assert_eq!(events, log[1..]);
    }
    bed.quiet().await;
}

/// Whatever the moment of subscribing, the task that comes first and the events behind it have no gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
pub async fn nothing_falls_between_subscribing_and_writing() {
    for round in 0..220 {
        let bed = if round < 200 {
            Bed::new()
        } else {
            Bed::sqlite().await
        };
        let gate = Gate::closed();
        let agent = writing(&gate, 8);
        let id = bed.accepted(&agent).await.id;
        let open = async {
            for _ in 0..8 {
                gate.open();
                tokio::task::yield_now().await;
            }
        };
        let subscribe = async {
            for _ in 0..round % 11 {
                tokio::task::yield_now().await;
            }
            match bed.subscribe(&agent, &id, None).await {
                Ok(stream) => Some(all(stream).await),
                Err(error) => {
                    assert_eq!(error.kind, Kind::UnsupportedOperation);
                    None
                }
            }
        };
        let ((), seen) = tokio::join!(open, subscribe);
        if let Some(events) = seen {
            assert!(matches!(events[0].decode(), Ok(Payload::Task(_))));
            assert_dense(&events, events[0].generation);
            assert_eq!(events.last().map(|event| event.generation), Some(10));
        }
        bed.quiet().await;
    }
}

fn asking(options: AgentOptions) -> Arc<Agent> {
    Scripted::new(|request, updater| async move {
        tokio::task::yield_now().await;
        match &*request.text() {
            "done" => updater.complete().await?,
            _ => updater.ask_for_input("more?").await?,
        }
        Ok(())
    })
    .with(options)
}

#[tokio::test]
pub async fn a_stream_outlives_a_question_unless_the_agent_says_otherwise() {
    let bed = Bed::new();
    let agent = asking(AgentOptions::default());
    let mut stream = bed.stream(&agent, "go").await;
    let Ok(Payload::Task(opening)) = next(&mut stream).await.decode() else {
        panic!()
    };
    assert_eq!(next(&mut stream).await.state, Some(TaskState::InputRequired));
    bed.quiet_but_for_readers().await;
    bed.send(&agent, &opening.id, "done", Wait::Accepted)
        .await
        .unwrap();
    let rest = all(stream).await;
    assert_eq!(
        rest.last().and_then(|event| event.state),
        Some(TaskState::Completed)
    );
    assert_dense(&rest, 3);

    let closing = asking(AgentOptions {
        close_on_interrupt: true,
        ..AgentOptions::default()
    });
    let events = all(bed.stream(&closing, "go").await).await;
    let states: Vec<_> = events.iter().filter_map(|event| event.state).collect();
    assert_eq!(states, [TaskState::Submitted, TaskState::InputRequired]);
    // A subscriber of the task that asks came to see what follows.
    let Ok(Payload::Task(opening)) = events[0].decode() else {
        panic!()
    };
    let mut stream = bed.subscribe(&closing, &opening.id, None).await.unwrap();
    assert_eq!(next(&mut stream).await.state, Some(TaskState::InputRequired));
    bed.send(&closing, &opening.id, "done", Wait::Accepted)
        .await
        .unwrap();
    assert_eq!(
        all(stream).await.last().and_then(|event| event.state),
        Some(TaskState::Completed)
    );
    bed.quiet().await;
}

#[tokio::test]
pub async fn an_answer_may_be_streamed() {
    let bed = Bed::new();
    let agent = asking(AgentOptions::default());
    let asked = task(bed.start(&agent, "go", Wait::Settled).await);
    let stream = patiently(
        bed.engine
            .send_streaming(&agent, &bed.scope, &asked.id, incoming("done")),
    )
    .await;
    let events = all(stream.unwrap_or_else(|error| panic!("{error:?}"))).await;
    let Ok(Payload::Task(opening)) = events[0].decode() else {
        panic!("{:?}", events[0])
    };
    assert_eq!(said(&opening.history), ["go", "more?", "done"]);
    assert_dense(&events, 3);
    assert_eq!(
        events.last().and_then(|event| event.state),
        Some(TaskState::Completed)
    );
    let late = patiently(
        bed.engine
            .send_streaming(&agent, &bed.scope, &asked.id, incoming("x")),
    )
    .await;
    assert!(matches!(late, Err(Err(error)) if error.kind == Kind::UnsupportedOperation));
    bed.quiet().await;
}

#[tokio::test]
pub async fn a_dropped_reader_or_caller_does_not_stop_the_task() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let agent = gated(&gate);
    let mut stream = bed.stream(&agent, "go").await;
    let Ok(Payload::Task(streamed)) = next(&mut stream).await.decode() else {
        panic!()
    };
    drop(stream);
    // A caller that stops waiting for the end.
    let id = bed.accepted(&agent).await.id;
    {
        let mut waiting = Box::pin(bed.settled(&agent, &id));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        tokio::task::yield_now().await;
        let mut starting = Box::pin(bed.start(&agent, "dropped", Wait::Settled));
        assert!(futures_util::poll!(&mut starting).is_pending());
    }
    eventually(async || bed.engine.running() == 3).await;
    for _ in 0..3 {
        gate.open();
    }
    bed.quiet().await;
    assert_eq!(bed.state(&streamed.id).await, TaskState::Completed);
    assert_eq!(bed.state(&id).await, TaskState::Completed);
}

#[tokio::test]
pub async fn draining_ends_streams_with_their_cursor() {
    let (bed, gate) = (Bed::new(), Gate::closed());
    let agent = writing(&gate, 2);
    let mut stream = bed.stream(&agent, "go").await;
    let Ok(Payload::Task(opening)) = next(&mut stream).await.decode() else {
        panic!()
    };
    gate.open();
    assert_eq!(next(&mut stream).await.generation, 2);
    bed.shutdown.drain();
    let error = patiently(stream.next()).await.expect("an error").unwrap_err();
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(
        error.metadata.contains(&("lastGeneration", "2".to_owned())),
        "{error:?}"
    );
    assert!(patiently(stream.next()).await.is_none());
    // What runs may finish, and the next server goes on from the cursor.
    gate.open();
    bed.quiet().await;
    let next_server = Bed::over(
        Observed::new(Arc::new(MemoryRepository::new())),
        ExecutionSettings::default(),
    );
    assert_eq!(
        next_server
            .subscribe(&agent, &opening.id, Some(2))
            .await
            .unwrap_err()
            .kind,
        Kind::TaskNotFound
    );
    let next_server = Bed::over(bed.repository.clone(), ExecutionSettings::default());
    let rest = all(next_server.subscribe(&agent, &opening.id, Some(2)).await.unwrap()).await;
    assert_eq!(rest, bed.log(&opening.id).await[2..]);
}

/// Removes all events that a snapshot stands for; the first generation that is left of the task.
async fn compacted(bed: &Bed, id: &str) -> u64 {
    let everything = CompactQuery {
        after: String::new(),
        before_ms: i64::MAX,
        limit: 10_000,
    };
    bed.repository.compact(&everything).await.unwrap();
    match bed.repository.events(&bed.scope, id, 0, 1).await {
        Err(a2ad::repository::Error::Expired { first }) => first,
        other => panic!("nothing has expired: {other:?}"),
    }
}

fn forgetful() -> Bed {
    Bed::with(ExecutionSettings {
        ring_events_max: 2,
        snapshot_every_events: 4,
        ..ExecutionSettings::default()
    })
}

#[tokio::test]
async fn a_cursor_older_than_the_log_begins_with_the_task_and_goes_on() {
    let (bed, gate) = (forgetful(), Gate::closed());
    let agent = writing(&gate, 40);
    let id = bed.accepted(&agent).await.id;
    let mut live = bed.subscribe(&agent, &id, Some(1)).await.unwrap();
    assert_eq!((live.first_generation(), live.cursor_expired()), (Some(2), None));
    for _ in 0..30 {
        gate.open();
        next(&mut live).await;
    }
    let first = compacted(&bed, &id).await;
    for (generation, cursor) in (31..).zip([0, 1, first - 2]) {
        let mut stream = bed.subscribe(&agent, &id, Some(cursor)).await.unwrap();
        assert_eq!(stream.cursor_expired(), Some(first), "behind {cursor}");
        assert_eq!(stream.first_generation(), Some(generation));
        let opening = next(&mut stream).await;
        assert!(matches!(opening.decode(), Ok(Payload::Task(task)) if task.id == id));
        gate.open();
        assert_eq!(next(&mut stream).await.generation, generation + 1);
        next(&mut live).await;
    }
    let mut kept = bed.subscribe(&agent, &id, Some(first - 1)).await.unwrap();
    assert_eq!(
        (kept.first_generation(), kept.cursor_expired()),
        (Some(first), None)
    );
    assert_eq!(next(&mut kept).await.generation, first);
    // Who repeats a send has named no cursor.
    let mut replayed = patiently(bed.engine.replay(&agent, &bed.scope, &id))
        .await
        .unwrap();
    assert_eq!(replayed.cursor_expired(), None);
    assert!(matches!(next(&mut replayed).await.decode(), Ok(Payload::Task(_))));
    for _ in 0..7 {
        gate.open();
    }
    let rest = all(kept).await;
    assert_dense(&rest, first + 1);
    assert_eq!(
        rest.last().and_then(|event| event.state),
        Some(TaskState::Completed)
    );
    assert_eq!(all(live).await.last().map(|event| event.generation), Some(42));
    bed.quiet().await;
}

#[tokio::test]
async fn a_reader_that_falls_behind_the_log_is_told_its_cursor() {
    let bed = forgetful();
    let agent = pouring(100);
    let mut stream = bed.stream(&agent, "go").await;
    let Ok(Payload::Task(opening)) = next(&mut stream).await.decode() else {
        panic!()
    };
    bed.reaches(&opening.id, TaskState::Completed).await;
    let first = compacted(&bed, &opening.id).await;
    let mut seen = 1;
    let error = loop {
        match patiently(stream.next())
            .await
            .expect("an error comes before the end")
        {
            Ok(event) => seen = event.generation,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind, Kind::Unavailable);
    assert!(
        error.metadata.contains(&("lastGeneration", seen.to_string())),
        "{error:?}"
    );
    let back = bed.subscribe(&agent, &opening.id, Some(seen)).await.unwrap();
    assert_eq!(back.cursor_expired(), Some(first));
    let rest = all(back).await;
    assert_eq!(rest.len(), 1, "the task as it ended");
    assert_eq!(rest[0].state, Some(TaskState::Completed));
}
