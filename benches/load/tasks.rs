//! Completed tasks per second on SQLite with `synchronous=FULL`, next to what single commits reach on the same disk.

use crate::baseline::Commits;
use crate::client::Background;
use crate::measure::{Gauge, Sample, Series, order};
use crate::options::Options;
use crate::server::{Server, Store};
use crate::table::{Table, median, note, spread};
use crate::{Outcome, machine, unary};

const IN_FLIGHT: [usize; 3] = [64, 128, 256];

pub async fn run(options: &Options) -> Outcome {
    let mut table = Table::new(&[
        "SQLite, synchronous=FULL",
        "in flight",
        "per second",
        "x single rows",
        "server CPU us each",
        "p50 us",
        "p99 us",
    ]);
    for in_flight in IN_FLIGHT {
        rows(options, in_flight, &mut table).await?;
    }
    table.print("tasks: completed tasks per second, all durable before they are answered");
    Ok(())
}

async fn rows(options: &Options, in_flight: usize, table: &mut Table) -> Outcome {
    let server = Server::a2ad(options, Store::Sqlite, "echo", &[])?;
    let (mut single, mut tasks) = (Series::default(), Series::default());
    for round in 0..options.rounds {
        for turn in order(round, 2) {
            let series = if turn == 0 { &mut single } else { &mut tasks };
            let sample = if turn == 0 {
                single_rows(options)?
            } else {
                window(&server, in_flight, options).await?
            };
            note(format!("tasks x {in_flight}, round {round}: {sample:?}"));
            series.push(sample);
        }
    }
    table.row(row("one row, one commit (task_log)", 1, &single, &single));
    table.row(row("a2ad, completed tasks by gRPC", in_flight, &tasks, &single));
    Ok(())
}

fn row(name: &str, in_flight: usize, series: &Series, single: &Series) -> Vec<String> {
    vec![
        name.to_owned(),
        in_flight.to_string(),
        spread(series.of(|sample| sample.per_second), 0),
        spread(series.over(single, |sample| sample.per_second), 2),
        spread(series.of(|sample| sample.cpu_us), 1),
        median(series.of(|sample| sample.p50_us), 0),
        median(series.of(|sample| sample.p99_us), 0),
    ]
}

/// One commit after the other, so the time of one follows from their number.
fn single_rows(options: &Options) -> Outcome<Sample> {
    let commits = Commits::measure(options)?;
    let mean_us = 1e6 / commits.per_second;
    Ok(Sample {
        per_second: commits.per_second,
        cpu_us: commits.cpu_us,
        p50_us: mean_us,
        p99_us: f64::NAN,
    })
}

async fn window(server: &Server, in_flight: usize, options: &Options) -> Outcome<Sample> {
    machine::provide_memory()?;
    let gauge = Gauge::new()?;
    let mut background = Background::default();
    unary::load_grpc(server, in_flight, &gauge, &mut background).await?;
    gauge.watch(server, options).await
}
