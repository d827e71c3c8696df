//! The end of a configuration by its receiver is on record.

use a2ad::audit::Kind;

use crate::audit::program::Place;
use crate::support::engine::eventually;
use crate::support::messages::{configured, send, task};
use crate::support::webhook::{Answer, Webhook};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_its_receiver_ends_has_a_record() {
    let place = Place::new("[push]\nallow_loopback_webhooks = true\n");
    let server = place.start();
    let caller = place.caller(&server, "a").await;
    let receiver = Webhook::new(|_, _| Answer::Status(410)).await;
    let request = configured(send("conformance", "tck-complete-task", "x"), |configuration| {
        configuration.task_push_notification_config = Some(super::hook("", "c", receiver.url("/")));
    });
    let task = task(caller.grpc().send_message(request).await.unwrap().into_inner());
    let of_push = || {
        let records = place.records();
        records
            .into_iter()
            .filter(|record| record.kind == Kind::Push)
            .collect::<Vec<_>>()
    };
    eventually(async || !of_push().is_empty()).await;
    let [record] = &of_push()[..] else {
        panic!("one record")
    };
    let text = |field: &Option<std::borrow::Cow<str>>| field.as_deref().map(str::to_owned);
    assert_eq!(text(&record.principal).as_deref(), Some("runtime"));
    assert_eq!(text(&record.task_id), Some(task.id));
    assert_eq!(text(&record.config_id).as_deref(), Some("c"));
    assert_eq!(text(&record.agent).as_deref(), Some("conformance"));
    assert_eq!(text(&record.owner).as_deref(), Some("spiffe://example.org/a"));
    drop(server);
    place.is_whole();
}
