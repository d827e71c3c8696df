//! What operators do to deliveries that are under way.

use a2ad::pb::admin::{DeliveryFilter, DiscardDeliveriesRequest, RedeliverDeliveriesRequest};

use super::Post;
use crate::support::webhook::{Answer, Webhook};
use crate::support::world::Scenario;

/// The deliveries to a receiver.
fn to(receiver: &Webhook) -> Option<DeliveryFilter> {
    Some(DeliveryFilter {
        host: receiver.address.to_string(),
        ..DeliveryFilter::default()
    })
}

/// Nothing is over here because its time is.
fn patient() -> Scenario {
    Scenario::new().sqlite().set(|config| {
        config.push.request_timeout_ms = 600_000;
        config.push.claim_ms = 3_600_000;
    })
}

#[tokio::test]
async fn a_discard_drops_the_request_under_way() {
    let post = Post::of(patient()).await;
    let receiver = Webhook::new(|_, _| Answer::Never).await;
    post.make_to("echo", receiver.url("/")).await;
    receiver.wait(1).await;
    let request = DiscardDeliveriesRequest {
        filter: to(&receiver),
        ..DiscardDeliveriesRequest::default()
    };
    assert!(post.chief().discard(request).await.unwrap().count > 0);
    receiver.broken(1).await;
}

#[tokio::test]
async fn a_redelivery_takes_the_place_of_the_request_under_way() {
    let post = Post::of(patient()).await;
    let receiver = Webhook::new(|number, _| match number {
        0 => Answer::Never,
        _ => Answer::Status(200),
    })
    .await;
    post.make_to("echo", receiver.url("/")).await;
    receiver.wait(1).await;
    let request = RedeliverDeliveriesRequest {
        filter: to(&receiver),
        ..RedeliverDeliveriesRequest::default()
    };
    post.chief().redeliver(request).await.unwrap();
    receiver.broken(1).await;
    let received = receiver.wait(2).await;
    assert_eq!(received[0].id(), received[1].id());
}
