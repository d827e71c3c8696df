//! A stream that is claimed again while an older claim of it is still being sent, and claims that have no place.

use super::world::{Reply, World};
use super::*;
use crate::repository::{DeliveryFilter, PushRepository as _};

#[tokio::test(start_paused = true)]
async fn what_an_operator_sends_anew_takes_the_place_of_what_is_under_way() {
    let world = World::new(PushSettings::default(), |sent, before| {
        match (sent.body.starts_with("{\"task\":"), before) {
            (true, 0) => Reply::Never,
            (true, 1) => Reply::After(s(1)),
            _ => Reply::Status(200),
        }
    });
    world.start();
    world.task("a", "t", URL, 3).await;
    tokio::time::sleep(s(1)).await;
    let all = DeliveryFilter::default();
    world.repository.redeliver(&all, None, 9).await.unwrap();
    world.pushes.ring();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((world.receiver.sent().len(), world.receiver.dropped()), (2, 1));
    world.all_delivered().await;
    assert_eq!(world.receiver.most(URL), 1);
    let ids: Vec<String> = world.receiver.sent().into_iter().map(|one| one.id).collect();
    assert_eq!((ids.len(), &ids[0]), (4, &ids[1]));
}
