//! Ends of the process between the answer of a receiver and its settlement, on SQLite.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use super::{Look, all_attempts, all_streams, at_rest, judge, order};
use crate::binary::Server;
use crate::support::random::Random;
use crate::support::webhook::{Answer, Webhook};
use crate::support::wire::{TestClient, Wire};

const KILLS: usize = 20;

/// A life that ends as by kill -9 behind so many answers of receivers, before the last one is written down. Until then
/// tasks with webhooks begin; how many of them were acknowledged.
pub async fn doomed_life(arguments: &[&str], passes: u64, receiver: &Webhook) -> usize {
    let point = format!("push_sent_before_mark:{passes}");
    // What waits from the life before may be enough to end this one before it is ready.
    let Some(server) = Server::start_armed(&point, arguments) else {
        return 0;
    };
    let client = TestClient::new(server.addr, Wire::Grpc);
    let ending = tokio::task::spawn_blocking(move || server.ended());
    let mut begun = 0;
    while !ending.is_finished() {
        // Whoever is not answered knows nothing; the database will tell.
        let call = client.call(order("ticks:6:0:0:16", "c", receiver));
        if let Ok(Ok(_)) = tokio::time::timeout(Duration::from_secs(5), call).await {
            begun += 1;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let status = ending.await.unwrap();
    assert!(status.signal().is_some(), "it was to be killed: {status}");
    begun
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_answer_and_settlement_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("a2ad.db").display());
    let arguments = [
        "--database",
        &database,
        "--allow-loopback-webhooks",
        "--set",
        "push.poll_ms=50",
    ];
    let mut random = Random::from_environment();
    let receivers = [
        Webhook::good().await,
        Webhook::new(|number, _| Answer::After(Duration::from_millis(number as u64 % 4))).await,
    ];
    let mut begun = 0;
    for kill in 0..KILLS {
        begun += doomed_life(&arguments, 1 + random.below(30), &receivers[kill % 2]).await;
    }
    let server = Server::start(&arguments);
    let look = Look::at(&database).await;
    at_rest(&look).await;
    drop(server);
    let (logs, wanted) = (look.logs().await, all_streams(&look).await);
    assert!(logs.len() >= begun, "{begun} acknowledged, {} there", logs.len());
    println!("{KILLS} kills, {begun} tasks acknowledged");
    let verdict = judge("killed", &logs, &wanted, &all_attempts(&receivers));
    assert!(verdict.deliveries >= 5 * KILLS, "{verdict:?}");
    assert!(
        verdict.repeated_after_taken >= KILLS,
        "each kill leaves at least one that was taken and not written down: {}",
        verdict.repeated_after_taken
    );
}
