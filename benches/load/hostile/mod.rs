//! What healthy callers notice of an attack: the same windows with and without it in turns, and what the server has kept
//! of it in memory.

mod attack;
#[path = "../../../tests/it/hostile/frames.rs"]
mod frames;

use std::time::{Duration, Instant};

use a2ad::pb::{GetTaskRequest, SendMessageResponse, send_message_response};
use bytes::Bytes;

use crate::client::Background;
use crate::client::grpc::Connection;
use crate::measure::{Gauge, Sample, Series, order};
use crate::options::Options;
use crate::server::{Server, Store};
use crate::table::{Table, median, note, spread};
use crate::{Outcome, machine, payload};

use attack::{Attack, Attacker};

/// Healthy callers, each on a connection of its own.
const CALLERS: usize = 8;
/// What each of them waits between two calls: about 2,000 calls a second in all, far from what the core can do.
const PAUSE: Duration = Duration::from_millis(4);
/// How long the server gets to let go what an attack has left behind.
const QUIET: Duration = Duration::from_secs(2);
/// Each attack comes as often as it can, although all of them come from one address; and the limits of silence are
/// short, so that their end falls into the windows too.
const SETTINGS: [&str; 3] = [
    "server.breaches_per_address_max=0",
    "server.connections_per_address_max=10000",
    "server.header_timeout_ms=1000",
];
const GET_TASK: &str = "/lf.a2a.v1.A2AService/GetTask";

pub async fn run(options: &Options) -> Outcome {
    let mut table = Table::new(&[
        "attack",
        "a second",
        "server core busy %",
        "p99 us without",
        "p99 us with",
        "x without",
        "MiB before",
        "MiB after",
    ]);
    let wanted = |attack: &Attack| attack.name.contains(&options.only);
    for attack in attack::all().into_iter().filter(wanted) {
        table.row(row(&attack, options).await?);
    }
    table.print(
        "hostile: what 8 callers of GetTask (2,000 calls a second) notice of an attack (aim: p99 at most 2x)",
    );
    Ok(())
}

/// One attack on a server of its own.
async fn row(attack: &Attack, options: &Options) -> Outcome<Vec<String>> {
    let server = Server::a2ad(options, Store::Memory, "echo", &SETTINGS)?;
    let task = task(&server).await?;
    // What a process takes for its first calls is not the attack's.
    window(&server, &task, None, options).await?;
    let before = server.memory_bytes()?;
    let (mut without, mut with) = (Series::default(), Series::default());
    let (mut busy, mut rates) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        for index in order(round, 2) {
            if index == 0 {
                without.push(window(&server, &task, None, options).await?.0);
                continue;
            }
            let (sample, share, rate) = window(&server, &task, Some(attack), options).await?;
            with.push(sample);
            busy.push(share);
            rates.push(rate);
        }
    }
    tokio::time::sleep(QUIET).await;
    let after = server.memory_bytes()?;
    note(format!("{}: {without:?} {with:?}", attack.name));
    let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
    Ok(vec![
        attack.name.to_owned(),
        median(crate::measure::Spread::new(rates), 0),
        median(crate::measure::Spread::new(busy), 0),
        median(without.of(|sample| sample.p99_us), 0),
        spread(with.of(|sample| sample.p99_us), 0),
        spread(with.over(&without, |sample| sample.p99_us), 2),
        mib(before),
        mib(after),
    ])
}

/// A window of healthy calls; with an attack also how busy it kept the server's core, and how often it came.
async fn window(
    server: &Server,
    task: &Bytes,
    attack: Option<&Attack>,
    options: &Options,
) -> Outcome<(Sample, f64, f64)> {
    machine::provide_memory()?;
    let gauge = Gauge::new()?;
    let mut background = Background::default();
    for _ in 0..CALLERS {
        let mut connection = Connection::open(server.address, &mut background).await?;
        let (gauge, frame) = (gauge.clone(), task.clone());
        background.spawn(async move {
            let request = connection.request(GET_TASK);
            let error = loop {
                let start = Instant::now();
                match connection.unary(request.clone(), frame.clone()).await {
                    Ok(_) => gauge.add(1, start.elapsed()),
                    Err(error) => break error,
                }
                tokio::time::sleep(PAUSE).await;
            };
            gauge.fail(&*error);
        });
    }
    let (cpu, begun) = (server.cpu()?, Instant::now());
    let attacker = attack.map(|attack| Attacker::start(server.address, attack));
    let sample = gauge.watch(server, options).await?;
    let elapsed = begun.elapsed().as_secs_f64();
    let busy = server.cpu()?.saturating_sub(cpu).as_secs_f64() / elapsed * 100.0;
    let attacks = attacker.map_or(Ok(0), Attacker::stop)?;
    Ok((sample, busy, attacks as f64 / elapsed))
}

/// A request for a task that has ended.
async fn task(server: &Server) -> Outcome<Bytes> {
    let mut background = Background::default();
    let mut connection = Connection::open(server.address, &mut background).await?;
    let frame = payload::grpc_frame(&payload::request(payload::text()));
    let request = connection.request(payload::SEND_MESSAGE);
    let answer = connection.unary_body(request, frame).await?;
    match payload::unframe::<SendMessageResponse>(&answer)?.payload {
        Some(send_message_response::Payload::Task(task)) => Ok(payload::grpc_frame(&GetTaskRequest {
            id: task.id,
            ..GetTaskRequest::default()
        })),
        other => Err(format!("not a task: {other:?}").into()),
    }
}
