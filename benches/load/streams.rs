//! Events per second through gRPC streams: tasks of many ticks, one after the other on every stream.

use std::sync::Arc;

use crate::client::Background;
use crate::client::grpc::{Connection, Messages, next};
use crate::measure::{Gauge, Sample, Series, order};
use crate::options::{Baseline, Options};
use crate::server::{Server, Store};
use crate::table::{Table, note, spread};
use crate::{Outcome, machine, payload};

/// Streams open at once, each on a row of its own.
const STREAMS: [usize; 2] = [1, 100];
/// Connections that more than one stream share.
const CONNECTIONS: usize = 4;
/// Ticks of one task. Not more, because a task keeps all of them.
const TICKS: u64 = 1_000;
/// Padding of a tick, which makes an event of about 200 bytes.
const PAD_BYTES: usize = 64;

pub async fn run(options: &Options) -> Outcome {
    let mut table = Table::new(&[
        "SendStreamingMessage, 1,000 ticks a task",
        "streams",
        "events/s",
        "server CPU us/event",
        "x baseline",
    ]);
    for streams in STREAMS {
        rows(options, streams, &mut table).await?;
    }
    table.print("streams: events per second by gRPC");
    Ok(())
}

async fn rows(options: &Options, streams: usize, table: &mut Table) -> Outcome {
    let names = ["bare tonic", "a2ad, memory", "a2ad, SQLite"];
    let servers = [
        Server::baseline(options, Baseline::Tonic)?,
        Server::a2ad(options, Store::Memory, "bench", &[])?,
        Server::a2ad(options, Store::Sqlite, "bench", &[])?,
    ];
    let mut series = vec![Series::default(); servers.len()];
    for round in 0..options.rounds {
        for index in order(round, servers.len()) {
            let sample = window(&servers[index], streams, options).await?;
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
            spread(one.of(|sample| sample.cpu_us), 2),
            spread(one.over(&series[0], |sample| sample.cpu_us), 2),
        ]);
    }
    Ok(())
}

async fn window(server: &Server, streams: usize, options: &Options) -> Outcome<Sample> {
    machine::provide_memory()?;
    let gauge = Gauge::new()?;
    let mut background = Background::default();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS.min(streams) {
        connections.push(Connection::open(server.address, &mut background).await?);
    }
    for stream in 0..streams {
        let (connection, gauge) = (connections[stream % connections.len()].clone(), gauge.clone());
        background.spawn(async move {
            if let Err(error) = tasks(connection, &gauge).await {
                gauge.fail(&*error);
            }
        });
    }
    gauge.watch(server, options).await
}

/// Streams task after task until it is dropped.
async fn tasks(mut connection: Connection, gauge: &Arc<Gauge>) -> Outcome {
    let request = connection.request(payload::SEND_STREAMING_MESSAGE);
    let frame = payload::grpc_frame(&payload::request(payload::ticks_order(TICKS, PAD_BYTES)));
    loop {
        let mut body = connection.start(request.clone(), frame.clone()).await?;
        let (mut messages, mut count) = (Messages::default(), 0);
        while let Some(piece) = next(&mut body).await? {
            let new = messages.count(&piece);
            count += new;
            gauge.count(new);
        }
        if count < TICKS {
            return Err(format!("a stream ended after {count} events").into());
        }
    }
}
