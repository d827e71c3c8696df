//! SendMessage of `echo`, one answer for each request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::client::{Background, grpc, http};
use crate::measure::{Gauge, Sample, Series, order};
use crate::options::{Baseline, Options};
use crate::server::{Server, Store};
use crate::table::{Table, median, note, spread};
use crate::{Outcome, machine, payload};

/// Requests in flight, each on a row of its own.
const IN_FLIGHT: [usize; 3] = [1, 16, 64];
/// Connections that more than one request in flight share.
const GRPC_CONNECTIONS: usize = 4;

const JSON: &str = "application/json";
/// The protocol's own label of HTTP+JSON.
const A2A_JSON: &str = "application/a2a+json";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binding {
    Grpc,
    JsonRpc,
    HttpJson,
}

impl Binding {
    const ALL: [Self; 3] = [Self::Grpc, Self::JsonRpc, Self::HttpJson];

    fn name(self) -> &'static str {
        match self {
            Self::Grpc => "gRPC",
            Self::JsonRpc => "JSON-RPC",
            Self::HttpJson => "HTTP+JSON",
        }
    }

    fn baseline(self) -> Baseline {
        match self {
            Self::Grpc => Baseline::Tonic,
            Self::JsonRpc | Self::HttpJson => Baseline::Axum,
        }
    }

    fn baseline_name(self) -> &'static str {
        match self {
            Self::Grpc => "bare tonic",
            Self::JsonRpc => "bare axum, JSON-RPC",
            Self::HttpJson => "bare axum, HTTP+JSON",
        }
    }

    /// The bytes of one HTTP/1.1 request.
    fn http_request(self, address: SocketAddr) -> Bytes {
        let text = payload::text();
        match self {
            Self::JsonRpc => http::request(address, "/", JSON, &payload::json_rpc(&text)),
            _ => http::request(address, payload::HTTP_JSON_PATH, A2A_JSON, &payload::json(&text)),
        }
    }
}

pub async fn run(options: &Options) -> Outcome {
    let mut table = Table::new(&[
        "unary SendMessage, 256 B",
        "in flight",
        "server CPU us/request",
        "x baseline",
        "requests/s",
        "core busy %",
        "p50 us",
        "p99 us",
    ]);
    for binding in Binding::ALL {
        for in_flight in IN_FLIGHT {
            if wanted(options, binding, in_flight) {
                rows(options, binding, in_flight, &mut table).await?;
            }
        }
    }
    table.print("unary: server CPU and requests per second");
    Ok(())
}

fn wanted(options: &Options, binding: Binding, in_flight: usize) -> bool {
    if options.quick {
        binding == Binding::Grpc && in_flight == 16
    } else {
        binding.name().contains(&options.only)
    }
}

/// The baseline and a2ad on each store, in turn.
async fn rows(options: &Options, binding: Binding, in_flight: usize, table: &mut Table) -> Outcome {
    let mut names = vec![binding.baseline_name().to_owned()];
    let mut servers = vec![Server::baseline(options, binding.baseline())?];
    let stores: &[Store] = if options.quick {
        &[Store::Memory]
    } else {
        &[Store::Memory, Store::Sqlite]
    };
    for &store in stores {
        names.push(format!("a2ad {}, {}", binding.name(), store.name()));
        servers.push(Server::a2ad(options, store, "echo", &[])?);
    }
    for (name, server) in names.iter().zip(&servers) {
        let bytes = check(binding, server)
            .await
            .map_err(|error| format!("{name}: {error}"))?;
        note(format!("{name}: an answer has {bytes} bytes"));
    }
    let mut series = vec![Series::default(); servers.len()];
    for round in 0..options.rounds {
        for index in order(round, servers.len()) {
            let sample = window(binding, &servers[index], in_flight, options).await?;
            note(format!(
                "{} x {in_flight}, round {round}: {sample:?}",
                names[index]
            ));
            series[index].push(sample);
        }
    }
    for (name, one) in names.iter().zip(&series) {
        table.row(row(name, in_flight, one, &series[0]));
    }
    Ok(())
}

fn row(name: &str, in_flight: usize, series: &Series, baseline: &Series) -> Vec<String> {
    vec![
        name.to_owned(),
        in_flight.to_string(),
        spread(series.of(|sample| sample.cpu_us), 1),
        spread(series.over(baseline, |sample| sample.cpu_us), 2),
        spread(series.of(|sample| sample.per_second), 0),
        median(series.of(Sample::busy_percent), 0),
        median(series.of(|sample| sample.p50_us), 0),
        median(series.of(|sample| sample.p99_us), 0),
    ]
}

/// One answer, looked at closely; its length.
async fn check(binding: Binding, server: &Server) -> Outcome<usize> {
    if binding != Binding::Grpc {
        let mut connection = http::Connection::open(server.address).await?;
        let answer = connection.call(&binding.http_request(server.address)).await?;
        payload::check_json(answer)?;
        return Ok(answer.len());
    }
    let mut background = Background::default();
    let mut connection = grpc::Connection::open(server.address, &mut background).await?;
    let frame = payload::grpc_frame(&payload::request(payload::text()));
    let answer = connection
        .unary_body(connection.request(payload::SEND_MESSAGE), frame)
        .await?;
    payload::check(&payload::unframe(&answer)?)?;
    Ok(answer.len())
}

async fn window(binding: Binding, server: &Server, in_flight: usize, options: &Options) -> Outcome<Sample> {
    machine::provide_memory()?;
    let gauge = Gauge::new()?;
    let mut background = Background::default();
    match binding {
        Binding::Grpc => load_grpc(server, in_flight, &gauge, &mut background).await?,
        _ => load_http(binding, server, in_flight, &gauge, &mut background).await?,
    }
    gauge.watch(server, options).await
}

/// Few connections with many requests each, as a gRPC client has them.
pub async fn load_grpc(
    server: &Server,
    in_flight: usize,
    gauge: &Arc<Gauge>,
    background: &mut Background,
) -> Outcome {
    let frame = payload::grpc_frame(&payload::request(payload::text()));
    let mut connections = Vec::new();
    for _ in 0..GRPC_CONNECTIONS.min(in_flight) {
        connections.push(grpc::Connection::open(server.address, background).await?);
    }
    for worker in 0..in_flight {
        let mut connection = connections[worker % connections.len()].clone();
        let (request, frame, gauge) = (
            connection.request(payload::SEND_MESSAGE),
            frame.clone(),
            gauge.clone(),
        );
        background.spawn(async move {
            let error = loop {
                let start = Instant::now();
                match connection.unary(request.clone(), frame.clone()).await {
                    Ok(_) => gauge.add(1, start.elapsed()),
                    Err(error) => break error,
                }
            };
            gauge.fail(&*error);
        });
    }
    Ok(())
}

/// A connection for each request in flight, which is all that HTTP/1.1 can.
async fn load_http(
    binding: Binding,
    server: &Server,
    in_flight: usize,
    gauge: &Arc<Gauge>,
    background: &mut Background,
) -> Outcome {
    for _ in 0..in_flight {
        let mut connection = http::Connection::open(server.address).await?;
        let (request, gauge) = (binding.http_request(server.address), gauge.clone());
        background.spawn(async move {
            let error = loop {
                let start = Instant::now();
                match connection.call(&request).await {
                    Ok(_) => gauge.add(1, start.elapsed()),
                    Err(error) => break error,
                }
            };
            gauge.fail(&*error);
        });
    }
    Ok(())
}
