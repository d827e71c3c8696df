//! What callers of SendMessage notice of webhooks: none, one for each task, and one that never answers.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::receiver::Receiver;
use super::with_webhook;
use crate::client::Background;
use crate::client::grpc::Connection;
use crate::measure::{Gauge, Sample, Series, order};
use crate::options::Options;
use crate::server::{Server, Store};
use crate::table::{Table, median, note, spread};
use crate::{Outcome, machine, payload};

/// Callers, each on a connection of its own.
const CALLERS: usize = 8;
/// What each of them waits between two calls: about 400 calls a second in all, and four deliveries for each.
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Webhook {
    None,
    Good,
    Silent,
}

impl Webhook {
    const ALL: [Self; 3] = [Self::None, Self::Good, Self::Silent];

    fn name(self) -> &'static str {
        match self {
            Self::None => "no webhooks",
            Self::Good => "a webhook for each task",
            Self::Silent => "a webhook for each task that never answers",
        }
    }
}

pub async fn run(options: &Options) -> Outcome {
    let mut table = Table::new(&[
        "SendMessage of `bench`, 8 callers",
        "store",
        "calls/s",
        "deliveries/s",
        "p50 us",
        "p99 us",
        "p99 more us",
    ]);
    for store in [Store::Memory, Store::Sqlite] {
        rows(options, store, &mut table).await?;
    }
    table.print("push: what callers notice of webhooks (aim: p99 within 5,000 us)");
    Ok(())
}

async fn rows(options: &Options, store: Store, table: &mut Table) -> Outcome {
    let mut series = vec![Series::default(); Webhook::ALL.len()];
    let mut delivered = vec![Series::default(); Webhook::ALL.len()];
    for round in 0..options.rounds {
        for index in order(round, Webhook::ALL.len()) {
            let webhook = Webhook::ALL[index];
            let (sample, deliveries) = window(webhook, store, options).await?;
            note(format!(
                "{}, {}, round {round}: {deliveries:.0} deliveries/s, {sample:?}",
                webhook.name(),
                store.name()
            ));
            series[index].push(sample);
            delivered[index].push(Sample {
                per_second: deliveries,
                ..sample
            });
        }
    }
    for (index, webhook) in Webhook::ALL.into_iter().enumerate() {
        let one = &series[index];
        table.row(vec![
            webhook.name().to_owned(),
            store.name().to_owned(),
            median(one.of(|sample| sample.per_second), 0),
            median(delivered[index].of(|sample| sample.per_second), 0),
            spread(one.of(|sample| sample.p50_us), 0),
            spread(one.of(|sample| sample.p99_us), 0),
            spread(one.minus(&series[0], |sample| sample.p99_us), 0),
        ]);
    }
    Ok(())
}

/// A new server each time, on which nothing waits that an earlier window has left; with its deliveries per second.
async fn window(webhook: Webhook, store: Store, options: &Options) -> Outcome<(Sample, f64)> {
    let server = Server::a2ad(options, store, "bench", &["push.allow_loopback_webhooks=true"])?;
    machine::provide_memory()?;
    let gauge = Gauge::new()?;
    let mut background = Background::default();
    let receiver = Receiver::shut(&mut background).await?;
    receiver.open(webhook != Webhook::Silent);
    let plain = payload::request(payload::text());
    let frame: Bytes = payload::grpc_frame(&match webhook {
        Webhook::None => plain,
        Webhook::Good | Webhook::Silent => with_webhook(plain, &receiver),
    });
    for _ in 0..CALLERS {
        let mut connection = Connection::open(server.address, &mut background).await?;
        let (gauge, frame) = (gauge.clone(), frame.clone());
        background.spawn(async move {
            let request = connection.request(payload::SEND_MESSAGE);
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
    let (begun, before) = (Instant::now(), receiver.taken());
    let sample = gauge.watch(&server, options).await?;
    let deliveries = (receiver.taken() - before) as f64 / begun.elapsed().as_secs_f64();
    Ok((sample, deliveries))
}
