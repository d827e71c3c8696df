//! Push notifications: deliveries per second and what one costs, and what callers notice of them.

mod beside;
mod receiver;

use std::time::{Duration, Instant};

use a2ad::pb::{
    SendMessageConfiguration, SendMessageRequest, SendMessageResponse, Task, TaskPushNotificationConfig,
    send_message_response,
};

use crate::baseline::order_posts;
use crate::client::Background;
use crate::client::grpc::Connection;
use crate::measure::{Sample, Series, order};
use crate::options::{Baseline, Options};
use crate::server::{Server, Store};
use crate::table::{Table, median, note, spread};
use crate::{Outcome, machine, payload};

use receiver::Receiver;

/// Configurations that have deliveries waiting, each on rows of its own.
const STREAMS: [usize; 3] = [1, 16, 256];
/// Deliveries of one window for each second that a window is to last: about what a core sends.
const PER_SECOND: u64 = 8_000;
/// All streams may be sent at once, although all go to one host and are of one owner. Nothing of what waits for its answer
/// while the log is being filled runs into its end.
const SETTINGS: [&str; 6] = [
    "push.allow_loopback_webhooks=true",
    "push.requests_max=256",
    "push.requests_per_owner_max=256",
    "push.requests_per_host_max=256",
    "push.request_timeout_ms=60000",
    "push.claim_ms=600000",
];
/// How long a window may take at worst.
const WINDOW_MAX: Duration = Duration::from_secs(120);

pub async fn run(options: &Options) -> Outcome {
    let mut table = Table::new(&[
        "deliveries to one receiver",
        "streams",
        "deliveries/s",
        "server CPU us/delivery",
        "x baseline",
        "core busy %",
    ]);
    let streams: &[usize] = if options.quick { &STREAMS[1..2] } else { &STREAMS };
    for &streams in streams {
        rows(options, streams, &mut table).await?;
    }
    table.print("push: deliveries that wait, to a receiver that answers at once");
    beside::run(options).await
}

async fn rows(options: &Options, streams: usize, table: &mut Table) -> Outcome {
    let names = ["bare hyper client", "a2ad, memory", "a2ad, SQLite"];
    let servers = [
        Server::baseline(options, Baseline::Hyper)?,
        Server::a2ad(options, Store::Memory, "bench", &SETTINGS)?,
        Server::a2ad(options, Store::Sqlite, "bench", &SETTINGS)?,
    ];
    let mut series = vec![Series::default(); servers.len()];
    for round in 0..options.rounds {
        for index in order(round, servers.len()) {
            let sample = match index {
                0 => bare(&servers[0], streams, options).await?,
                _ => window(&servers[index], streams, options).await?,
            };
            note(format!(
                "{} x {streams} streams, round {round}: {sample:?}",
                names[index]
            ));
            series[index].push(sample);
        }
    }
    for (name, one) in names.iter().zip(&series) {
        table.row(vec![
            (*name).to_owned(),
            streams.to_string(),
            spread(one.of(|sample| sample.per_second), 0),
            spread(one.of(|sample| sample.cpu_us), 1),
            spread(one.over(&series[0], |sample| sample.cpu_us), 2),
            median(one.of(Sample::busy_percent), 0),
        ]);
    }
    Ok(())
}

/// How much is delivered in one window.
fn count(options: &Options) -> u64 {
    ((options.seconds.as_secs_f64() * PER_SECOND as f64) as u64).max(1_000)
}

async fn bare(server: &Server, streams: usize, options: &Options) -> Outcome<Sample> {
    machine::provide_memory()?;
    let mut background = Background::default();
    let receiver = Receiver::shut(&mut background).await?;
    receiver.open(true);
    let (cpu, start, count) = (server.cpu()?, Instant::now(), count(options));
    order_posts(server.address, receiver.address, streams, count).await?;
    note(format!("a bare body has {} bytes", receiver.body_bytes()));
    sample(server, cpu, start.elapsed(), receiver.taken())
}

/// Fills the log while the receiver answers nothing, then opens it and waits until it has everything.
async fn window(server: &Server, streams: usize, options: &Options) -> Outcome<Sample> {
    machine::provide_memory()?;
    let mut background = Background::default();
    let receiver = Receiver::shut(&mut background).await?;
    let mut connection = Connection::open(server.address, &mut background).await?;
    let ticks = count(options).div_ceil(streams as u64);
    // Each is answered when its task has ended, with the whole of it in the log.
    for _ in 0..streams {
        let order = payload::ticks_order(ticks, payload::PADDING.len());
        begin(&mut connection, order, &receiver).await?;
    }
    // What a task says beside its ticks: that it exists, that it works, and its end.
    let expected = streams as u64 * (ticks + 3);
    let (cpu, start) = (server.cpu()?, Instant::now());
    receiver.open(true);
    let all = async {
        while receiver.taken() < expected {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let in_time = tokio::time::timeout(WINDOW_MAX, all).await;
    let elapsed = start.elapsed();
    in_time.map_err(|_| {
        format!(
            "{} of {expected} were delivered in {WINDOW_MAX:?}",
            receiver.taken()
        )
    })?;
    note(format!("a body has {} bytes", receiver.body_bytes()));
    sample(server, cpu, elapsed, receiver.taken())
}

fn sample(server: &Server, cpu: Duration, elapsed: Duration, done: u64) -> Outcome<Sample> {
    let cpu = server.cpu()?.saturating_sub(cpu);
    Ok(Sample {
        per_second: done as f64 / elapsed.as_secs_f64(),
        cpu_us: cpu.as_secs_f64() * 1e6 / done as f64,
        p50_us: f64::NAN,
        p99_us: f64::NAN,
    })
}

/// A task with a webhook, at its end.
async fn begin(connection: &mut Connection, text: String, receiver: &Receiver) -> Outcome<Task> {
    let frame = payload::grpc_frame(&with_webhook(payload::request(text), receiver));
    let request = connection.request(payload::SEND_MESSAGE);
    let answer = connection.unary_body(request, frame).await?;
    match payload::unframe::<SendMessageResponse>(&answer)?.payload {
        Some(send_message_response::Payload::Task(task)) => Ok(task),
        other => Err(format!("not a task: {other:?}").into()),
    }
}

/// The same message with a webhook for its task.
fn with_webhook(request: SendMessageRequest, receiver: &Receiver) -> SendMessageRequest {
    let config = TaskPushNotificationConfig {
        id: "bench".to_owned(),
        url: receiver.url(),
        ..TaskPushNotificationConfig::default()
    };
    SendMessageRequest {
        configuration: Some(SendMessageConfiguration {
            task_push_notification_config: Some(config),
            ..SendMessageConfiguration::default()
        }),
        ..request
    }
}
