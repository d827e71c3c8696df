//! What waits outlives the process.

use std::path::Path;

use a2ad::config::DatabaseUrl;

use super::{WIRE, begun, scenario, whole};
use crate::support::webhook::{Answer, Webhook};
use crate::support::world::Scenario;

fn in_folder(folder: &Path) -> Scenario {
    let url = format!("sqlite://{}", folder.join("a2ad.db").display());
    scenario().set(|config| config.database.url = DatabaseUrl::from(url.as_str()))
}

#[tokio::test]
async fn what_waits_is_delivered_by_the_next_start_with_the_same_ids() {
    let folder = tempfile::tempdir().unwrap();
    let is_up = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let up = is_up.clone();
    let receiver = Webhook::new(move |number, _| {
        let is_up = number == 0 || up.load(std::sync::atomic::Ordering::SeqCst);
        Answer::Status(if is_up { 200 } else { 500 })
    })
    .await;
    let mut world = in_folder(folder.path()).start().await;
    world.puppet.allow(3);
    begun(&world.client(WIRE), "steps 2", &receiver).await;
    let before = receiver.wait(3).await;
    world.stop();
    world.ended().await;
    is_up.store(true, std::sync::atomic::Ordering::SeqCst);
    let count = receiver.received().len();
    let _world = in_folder(folder.path()).start().await;
    let after = receiver.wait(count + 4).await;
    let labels: Vec<String> = after[count..].iter().map(|one| one.label()).collect();
    assert_eq!(labels, whole(2)[1..]);
    assert_eq!(after[count].id(), before[1].id());
}
