//! Memory of the server for each gRPC subscriber of a task in which nothing happens.

use std::time::Duration;

use a2ad::pb::{
    SendMessageConfiguration, SendMessageRequest, SendMessageResponse, SubscribeToTaskRequest,
    send_message_response,
};
use futures_util::FutureExt;
use h2::RecvStream;

use crate::client::Background;
use crate::client::grpc::{Connection, next};
use crate::options::{Baseline, Options};
use crate::server::{Server, Store};
use crate::table::{Table, note, spread};
use crate::{Outcome, measure, payload};

const SUBSCRIBERS: usize = 5_000;
const CONNECTIONS: usize = 50;
/// What stays silent for longer than the bench takes.
const HOLD: &str = "hold:600";
/// All subscribers are one caller here, and every task has an execution.
const LIMITS: [&str; 3] = [
    "limits.streams_per_caller_max=100000",
    "limits.executions_max=100000",
    "execution.executions_per_owner_max=0",
];
/// Before memory is read, so that what is freed is freed.
const SETTLE: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    BareTonic,
    OneTask,
    ManyTasks,
}

impl Case {
    const ALL: [Self; 3] = [Self::BareTonic, Self::OneTask, Self::ManyTasks];

    fn name(self) -> &'static str {
        match self {
            Self::BareTonic => "bare tonic, streams that stay silent",
            Self::OneTask => "a2ad, all on one task",
            Self::ManyTasks => "a2ad, each on a task of its own",
        }
    }

    fn tasks(self) -> usize {
        match self {
            Self::BareTonic => 0,
            Self::OneTask => 1,
            Self::ManyTasks => SUBSCRIBERS,
        }
    }
}

pub async fn run(options: &Options) -> Outcome {
    let mut table = Table::new(&[
        "5,000 idle subscribers, 50 connections",
        "KB/subscriber",
        "KB/running task before it",
    ]);
    let mut measured = Vec::new();
    for round in 0..options.rounds {
        for index in measure::order(round, Case::ALL.len()) {
            let sizes = memory(options, Case::ALL[index]).await?;
            note(format!("{}, round {round}: {sizes:?}", Case::ALL[index].name()));
            measured.push((Case::ALL[index], sizes));
        }
    }
    for case in Case::ALL {
        let of = |value: fn(&Sizes) -> f64| {
            let own = measured.iter().filter(|(of, _)| *of == case);
            spread(
                measure::Spread::new(own.map(|(_, sizes)| value(sizes)).collect()),
                2,
            )
        };
        let per_task = if case == Case::ManyTasks {
            of(|sizes| sizes.task_kb)
        } else {
            "-".to_owned()
        };
        table.row(vec![
            case.name().to_owned(),
            of(|sizes| sizes.subscriber_kb),
            per_task,
        ]);
    }
    table.print("idle: resident memory of the server, the connections included");
    Ok(())
}

#[derive(Clone, Copy, Debug)]
struct Sizes {
    subscriber_kb: f64,
    task_kb: f64,
}

/// A new server for every reading: freed memory that is used again would hide what is needed.
async fn memory(options: &Options, case: Case) -> Outcome<Sizes> {
    let server = match case {
        Case::BareTonic => Server::baseline(options, Baseline::Tonic)?,
        _ => Server::a2ad(options, Store::Memory, "bench", &LIMITS)?,
    };
    let mut background = Background::default();
    // Code and buffers of the first call are not a subscriber's; those that follow are.
    let mut first = Connection::open(server.address, &mut background).await?;
    let mut tasks = start_tasks(&mut first, case.tasks().min(1)).await?;
    let _warm = subscribe(&mut first, id_of(&tasks, 0)).await?;
    let start = settled(&server).await?;
    tasks.extend(start_tasks(&mut first, case.tasks().saturating_sub(1)).await?);
    let before = settled(&server).await?;
    let mut streams = Vec::with_capacity(SUBSCRIBERS);
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(server.address, &mut background).await?;
        for _ in 0..SUBSCRIBERS / CONNECTIONS {
            let id = id_of(&tasks, streams.len());
            streams.push(subscribe(&mut connection, id).await?);
        }
    }
    let after = settled(&server).await?;
    still_open(&mut streams).await?;
    let kb = |from: u64, to: u64, count: usize| to.saturating_sub(from) as f64 / 1024.0 / count.max(1) as f64;
    Ok(Sizes {
        subscriber_kb: kb(before, after, SUBSCRIBERS),
        task_kb: kb(start, before, case.tasks()),
    })
}

/// A stream that has ended needs no memory, so none may have.
async fn still_open(streams: &mut [RecvStream]) -> Outcome {
    for stream in streams {
        if let Some(event) = next(stream).now_or_never() {
            return Err(format!("a subscriber that should be idle got {event:?}").into());
        }
    }
    Ok(())
}

async fn settled(server: &Server) -> Outcome<u64> {
    tokio::time::sleep(SETTLE).await;
    server.memory_bytes()
}

fn id_of(tasks: &[String], subscriber: usize) -> String {
    tasks
        .get(subscriber % tasks.len().max(1))
        .cloned()
        .unwrap_or_default()
}

/// Tasks that run without a word.
async fn start_tasks(connection: &mut Connection, count: usize) -> Outcome<Vec<String>> {
    let request = SendMessageRequest {
        configuration: Some(SendMessageConfiguration {
            return_immediately: true,
            ..SendMessageConfiguration::default()
        }),
        ..payload::request(HOLD.to_owned())
    };
    let (frame, request) = (
        payload::grpc_frame(&request),
        connection.request(payload::SEND_MESSAGE),
    );
    let mut ids = Vec::with_capacity(count);
    for _ in 0..count {
        let answer = connection.unary_body(request.clone(), frame.clone()).await?;
        let answer: SendMessageResponse = payload::unframe(&answer)?;
        match answer.payload {
            Some(send_message_response::Payload::Task(task)) => ids.push(task.id),
            other => return Err(format!("not a task: {other:?}").into()),
        }
    }
    Ok(ids)
}

/// A stream that has brought the task as it is, and waits.
async fn subscribe(connection: &mut Connection, id: String) -> Outcome<RecvStream> {
    let request = SubscribeToTaskRequest {
        id,
        ..SubscribeToTaskRequest::default()
    };
    let frame = payload::grpc_frame(&request);
    let mut body = connection
        .start(connection.request(payload::SUBSCRIBE_TO_TASK), frame)
        .await?;
    next(&mut body)
        .await?
        .ok_or("a subscription that ended at once")?;
    Ok(body)
}
