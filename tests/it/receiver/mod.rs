//! The receiver of webhooks, against requests that are signed as the runtime signs them.

mod examples;
mod keys;
mod published;
mod refused;
mod waiting;

use std::sync::Arc;

use a2ad::client::receiver::{
    Notification, Notifications, ReceiverBuilder, ReceiverSettings, SenderKeys, Target,
};
use a2ad::clock::Clock;
use a2ad::signature::message::{Outgoing, sign};
use a2ad::signature::{PublicKeys, SigningKey, jwk_set};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

/// When all of this happens, in seconds since 1970.
const NOW: i64 = 1_800_000_000;
const URL: &str = "https://me.example.com/hooks";
const EVENT: &str =
    r#"{"statusUpdate":{"taskId":"t-1","contextId":"c","status":{"state":"TASK_STATE_WORKING"}}}"#;

fn key(seed: u8) -> SigningKey {
    SigningKey::of_seed(&[seed; 32]).unwrap()
}

fn public(key: &SigningKey) -> PublicKeys {
    PublicKeys::parse(jwk_set([key]).as_bytes()).unwrap()
}

/// A request as a sender makes it.
struct Sent<'a> {
    key: &'a SigningKey,
    url: String,
    id: String,
    body: Bytes,
    created: i64,
}

impl<'a> Sent<'a> {
    fn new(key: &'a SigningKey, id: &str) -> Self {
        Self {
            key,
            url: URL.to_owned(),
            id: id.to_owned(),
            body: Bytes::from_static(EVENT.as_bytes()),
            created: NOW,
        }
    }

    fn headers(&self) -> HeaderMap {
        let message = Outgoing {
            method: &Method::POST,
            target: &self.url.parse::<Uri>().unwrap(),
            content_type: "application/a2a+json",
            body: &self.body,
            delivery_id: &self.id,
            created: self.created,
        };
        sign(self.key, &message).unwrap().into_iter().collect()
    }

    /// As the program gets it: with the path only.
    fn request(&self) -> Request<Bytes> {
        let uri: Uri = self.url.parse().unwrap();
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.path_and_query().unwrap().as_str().parse().unwrap();
        *request.headers_mut() = self.headers();
        request
    }
}

/// A receiver in this process.
struct Bench {
    router: Router,
    notifications: Notifications,
    clock: Clock,
}

impl Bench {
    /// That knows the first key, with the usual limits.
    fn new() -> Self {
        Self::with(ReceiverSettings::default(), |builder| builder)
    }

    fn with(settings: ReceiverSettings, change: impl FnOnce(ReceiverBuilder) -> ReceiverBuilder) -> Self {
        let clock = Clock::manual(NOW * 1_000);
        let builder = ReceiverBuilder::new(Target::url(URL).unwrap())
            .keys(SenderKeys::Fixed(public(&key(1))))
            .settings(settings)
            .clock(clock.clone());
        let (router, notifications) = change(builder).build().unwrap();
        Self {
            router,
            notifications,
            clock,
        }
    }

    fn send(&self, request: Request<Bytes>) -> impl Future<Output = Response<Body>> + use<> {
        let router = self.router.clone();
        async move { router.oneshot(request.map(Body::from)).await.unwrap() }
    }

    /// The status of the answer and its text, where nothing is yielded.
    async fn refused(&mut self, request: Request<Bytes>) -> (u16, String) {
        let response = self.send(request).await;
        self.is_quiet();
        read(response).await
    }

    /// Sends what has to be yielded and accepts it.
    async fn accepted(&mut self, request: Request<Bytes>) -> Notification {
        let sending = self.send(request);
        let taking = async {
            let mut notification = self.notifications.next().await.unwrap();
            assert!(notification.accept().await.unwrap());
            notification
        };
        let (response, notification) = tokio::join!(sending, taking);
        assert_eq!(response.status(), 200);
        notification
    }

    fn is_quiet(&mut self) {
        let next = self.notifications.next().now_or_never();
        assert!(next.is_none(), "{next:?}");
    }
}

async fn read(response: Response<Body>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn an_event_is_yielded_and_its_sender_waits_until_it_is_accepted() {
    let (key, mut bench) = (key(1), Bench::new());
    let mut sending = Box::pin(bench.send(Sent::new(&key, "id-1").request()));
    assert!(
        sending.as_mut().now_or_never().is_none(),
        "answered before it was accepted"
    );
    let mut notification = bench.notifications.next().await.unwrap();
    assert_eq!(notification.delivery_id.as_deref(), Some("id-1"));
    assert_eq!(notification.task_id(), Some("t-1"));
    assert_eq!(notification.signed_by.as_deref(), Some(key.id()));
    assert_eq!(notification.path, "/hooks");
    assert!(
        sending.as_mut().now_or_never().is_none(),
        "answered before it was accepted"
    );
    assert!(notification.accept().await.unwrap());
    assert_eq!(sending.await.status(), 200);
}

#[tokio::test]
async fn what_was_accepted_is_answered_and_not_yielded_again() {
    let (key, mut bench) = (key(1), Bench::new());
    let first = Sent::new(&key, "id-1");
    bench.accepted(first.request()).await;
    // The same bytes, and the same delivery signed anew.
    assert_eq!(bench.refused(first.request()).await, (200, String::new()));
    let later = Sent {
        created: NOW - 9,
        ..Sent::new(&key, "id-1")
    };
    assert_eq!(bench.refused(later.request()).await, (200, String::new()));
    bench.accepted(Sent::new(&key, "id-2").request()).await;
}

#[tokio::test]
async fn it_can_be_mounted_where_the_webhook_is_and_serve_many() {
    let key = key(1);
    let mut bench = Bench::with(ReceiverSettings::default(), |builder| builder);
    let (router, notifications) = ReceiverBuilder::new(Target::origin("https://me.example.com").unwrap())
        .keys(SenderKeys::Fixed(public(&key)))
        .clock(bench.clock.clone())
        .build()
        .unwrap();
    bench.router = Router::new().nest("/hooks", router);
    bench.notifications = notifications;
    for (number, url) in [
        "https://me.example.com/hooks",
        "https://me.example.com/hooks/a/b",
        "https://me.example.com/hooks/a?task=1",
    ]
    .into_iter()
    .enumerate()
    {
        let sent = Sent {
            url: url.to_owned(),
            ..Sent::new(&key, &format!("id-{number}"))
        };
        let notification = bench.accepted(sent.request()).await;
        assert_eq!(
            notification.path,
            url.trim_start_matches("https://me.example.com")
        );
    }
    // Signed for one of them and sent to another one.
    let mut moved = Sent::new(&key, "id-9").request();
    *moved.uri_mut() = Uri::from_static("/hooks/a/b");
    assert_eq!(bench.refused(moved).await.0, 401);
}

/// A store that fails as it is told.
#[derive(Default)]
struct Broken {
    fails_to_look: bool,
}

#[async_trait::async_trait]
impl a2ad::client::receiver::DeliveryStore for Broken {
    async fn is_known(&self, _: &str) -> Result<bool, a2ad::client::receiver::StoreError> {
        if self.fails_to_look {
            return Err(a2ad::client::receiver::StoreError::Full(1));
        }
        Ok(false)
    }

    async fn record(&self, _: &str) -> Result<bool, a2ad::client::receiver::StoreError> {
        Err(a2ad::client::receiver::StoreError::Failed("away".into()))
    }
}

#[tokio::test]
async fn what_can_not_be_recorded_is_not_accepted() {
    let key = key(1);
    let blind = Broken { fails_to_look: true };
    let mut bench = Bench::with(ReceiverSettings::default(), |builder| {
        builder.store(Arc::new(blind))
    });
    assert_eq!(bench.refused(Sent::new(&key, "id-1").request()).await.0, 503);

    let mut bench = Bench::with(ReceiverSettings::default(), |builder| {
        builder.store(Arc::new(Broken::default()))
    });
    let sending = bench.send(Sent::new(&key, "id-1").request());
    let taking = async {
        let mut notification = bench.notifications.next().await.unwrap();
        assert!(notification.accept().await.is_err());
    };
    let (response, ()) = tokio::join!(sending, taking);
    assert_eq!(response.status(), 503);
}
