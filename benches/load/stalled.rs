//! Readers that keep up, alone and beside as many that have stopped reading, all on the same tasks.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use a2ad::pb::{
    SendMessageConfiguration, SendMessageRequest, SendMessageResponse, SubscribeToTaskRequest,
    send_message_response,
};
use h2::RecvStream;

use crate::client::Background;
use crate::client::grpc::{Connection, next};
use crate::measure::{Gauge, Sample, Series, Spread, order};
use crate::options::Options;
use crate::server::{Server, Store};
use crate::table::{Table, note, spread};
use crate::{Outcome, payload};

/// Tasks that all readers share.
const TASKS: usize = 10;
/// Readers of either kind.
const READERS: usize = 1_000;
/// Connections of either kind.
const CONNECTIONS: usize = 10;
/// Microseconds between two events of a task: 20 a second, 20,000 a second for all readers that keep up.
const SPACING_US: u64 = 50_000;
/// A reader with this window has no room for the third event, and never makes any.
const STALLED_WINDOW_BYTES: u32 = 512;
/// How long it takes until all have stalled.
const STALL: Duration = Duration::from_secs(1);
/// More than the server's limits of a caller and of a connection; it stands at its defaults otherwise.
const LIMITS: [&str; 1] = ["limits.streams_per_caller_max=10000"];

pub async fn run(options: &Options) -> Outcome {
    let names = ["1,000 readers", "1,000 readers beside 1,000 stalled ones"];
    let mut series = vec![Series::default(); names.len()];
    for round in 0..options.rounds {
        for index in order(round, names.len()) {
            let sample = window(index == 1, options).await?;
            note(format!("{}, round {round}: {sample:?}", names[index]));
            series[index].push(sample);
        }
    }
    let mut table = Table::new(&[
        "SubscribeToTask, 10 tasks of 20 events/s",
        "events/s",
        "p50 us",
        "p99 us",
        "p99 more us",
    ]);
    for (name, one) in names.iter().zip(&series) {
        table.row(vec![
            (*name).to_owned(),
            spread(one.of(|sample| sample.per_second), 0),
            spread(one.of(|sample| sample.p50_us), 0),
            spread(one.of(|sample| sample.p99_us), 0),
            spread(more(one, &series[0]), 0),
        ]);
    }
    table.print("stalled: what readers that keep up notice of those that don't (aim: p99 within 5,000 us)");
    Ok(())
}

/// The differences to the rounds without stalled readers.
fn more(one: &Series, alone: &Series) -> Spread {
    one.minus(alone, |sample| sample.p99_us)
}

/// A new server each time, on which no tasks of an earlier window go on.
async fn window(with_stalled: bool, options: &Options) -> Outcome<Sample> {
    let server = Server::a2ad(options, Store::Memory, "bench", &LIMITS)?;
    let gauge = Gauge::new()?;
    let mut background = Background::default();
    let tasks = start_tasks(&server, options, &mut background).await?;
    for n in 0..CONNECTIONS {
        let connection = Connection::open(server.address, &mut background).await?;
        for reader in 0..READERS / CONNECTIONS {
            let stream = subscribe(&connection, &tasks[(n + reader) % TASKS]).await?;
            let gauge = gauge.clone();
            background.spawn(async move {
                if let Err(error) = keep_up(stream, &gauge).await {
                    gauge.fail(&*error);
                }
            });
        }
    }
    let mut stalled = Vec::new();
    if with_stalled {
        for n in 0..CONNECTIONS {
            let window = STALLED_WINDOW_BYTES;
            let connection = Connection::open_narrow(server.address, window, &mut background).await?;
            for reader in 0..READERS / CONNECTIONS {
                stalled.push(subscribe(&connection, &tasks[(n + reader) % TASKS]).await?);
            }
        }
        tokio::time::sleep(STALL).await;
    }
    let sample = gauge.watch(&server, options).await;
    drop(stalled);
    sample
}

/// Counts the events and how old they are when they come.
async fn keep_up(mut stream: RecvStream, gauge: &Arc<Gauge>) -> Outcome {
    while let Some(piece) = next(&mut stream).await? {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        for made_ns in payload::tick_times(&piece) {
            gauge.add(1, now.saturating_sub(Duration::from_nanos(made_ns)));
        }
    }
    Err("a task ended before its readers were measured".into())
}

/// Tasks that go on for longer than the window, begun one after the other so that their events don't come at once.
async fn start_tasks(
    server: &Server,
    options: &Options,
    background: &mut Background,
) -> Outcome<Vec<String>> {
    let mut connection = Connection::open(server.address, background).await?;
    let seconds = (options.warm_up + options.seconds + STALL).as_secs() + 30;
    let ticks = seconds * 1_000_000 / SPACING_US;
    let request = SendMessageRequest {
        configuration: Some(SendMessageConfiguration {
            return_immediately: true,
            ..SendMessageConfiguration::default()
        }),
        ..payload::request(format!("ticks:{ticks}:{SPACING_US}:0:64"))
    };
    let (frame, request) = (
        payload::grpc_frame(&request),
        connection.request(payload::SEND_MESSAGE),
    );
    let mut ids = Vec::new();
    for _ in 0..TASKS {
        let answer = connection.unary_body(request.clone(), frame.clone()).await?;
        match payload::unframe::<SendMessageResponse>(&answer)?.payload {
            Some(send_message_response::Payload::Task(task)) => ids.push(task.id),
            other => return Err(format!("not a task: {other:?}").into()),
        }
        tokio::time::sleep(Duration::from_micros(SPACING_US / TASKS as u64)).await;
    }
    Ok(ids)
}

async fn subscribe(connection: &Connection, id: &str) -> Outcome<RecvStream> {
    let request = SubscribeToTaskRequest {
        id: id.to_owned(),
        ..SubscribeToTaskRequest::default()
    };
    let frame = payload::grpc_frame(&request);
    let request = connection.request(payload::SUBSCRIBE_TO_TASK);
    connection.clone().start(request, frame).await
}
