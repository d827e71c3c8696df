//! Keys from a URL: fetched when they are needed, once however many wait, and kept when they can't be had.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use a2ad::client::receiver::{ReceiverSettings, SenderKeys};
use a2ad::egress::{Egress, EgressClient, EgressPolicy, EgressSettings};
use a2ad::shutdown::Shutdown;
use a2ad::signature::{SigningKey, jwk_set};
use axum::Router;
use futures_util::StreamExt as _;
use futures_util::future::join_all;

use super::{Bench, Sent, key};

/// A server of keys that counts how often it is asked.
struct KeyServer {
    url: String,
    set: Arc<Mutex<String>>,
    is_away: Arc<AtomicBool>,
    is_stalled: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    client: EgressClient,
    shutdown: Shutdown,
}

impl KeyServer {
    async fn of(key: &SigningKey) -> Self {
        let shutdown = Shutdown::new();
        let set = Arc::new(Mutex::new(jwk_set([key])));
        let (is_away, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let is_stalled = Arc::new(AtomicBool::new(false));
        let shared = (set.clone(), is_away.clone(), asked.clone(), is_stalled.clone());
        let app = Router::new().fallback(move || {
            let (set, is_away, asked, is_stalled) = shared.clone();
            async move {
                asked.fetch_add(1, Ordering::AcqRel);
                if is_stalled.load(Ordering::Acquire) {
                    std::future::pending::<()>().await;
                }
                if is_away.load(Ordering::Acquire) {
                    return Err(http::StatusCode::BAD_GATEWAY);
                }
                let set = set.lock().unwrap().clone();
                Ok(set)
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/.well-known/jwks.json", listener.local_addr().unwrap());
        shutdown.spawn("keys", async move {
            let _ = axum::serve(listener, app).await;
        });
        Self {
            url,
            set,
            is_away,
            is_stalled,
            asked,
            client: client(&shutdown).await,
            shutdown,
        }
    }

    fn bench(&self, keys_pause: Duration) -> Bench {
        let settings = ReceiverSettings {
            keys_pause,
            ..ReceiverSettings::default()
        };
        self.bench_with(settings)
    }

    fn bench_with(&self, settings: ReceiverSettings) -> Bench {
        let keys = SenderKeys::at(self.client.clone(), &self.url);
        Bench::with(settings, |builder| builder.keys(keys))
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Acquire)
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.shutdown.abort();
    }
}

/// A client that may ask this machine.
pub async fn client(shutdown: &Shutdown) -> EgressClient {
    let egress = Egress::open(EgressSettings::default(), shutdown).await.unwrap();
    egress.client(EgressPolicy {
        allow_loopback: true,
        ..EgressPolicy::default()
    })
}

const LONG: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn many_requests_fetch_the_keys_once() {
    let key = key(1);
    let server = KeyServer::of(&key).await;
    let mut bench = server.bench(Duration::ZERO);
    assert_eq!(server.asked(), 0, "asked before anybody needs a key");
    let sending = join_all((0..20).map(|n| bench.send(Sent::new(&key, &format!("id-{n}")).request())));
    let taking = async {
        for _ in 0..20 {
            bench.notifications.next().await.unwrap().accept().await.unwrap();
        }
    };
    let (responses, ()) = tokio::join!(sending, taking);
    assert!(responses.iter().all(|response| response.status() == 200));
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn a_new_key_is_fetched_when_it_is_used() {
    let (old, new) = (key(1), key(2));
    let server = KeyServer::of(&old).await;
    let mut bench = server.bench(Duration::ZERO);
    bench.accepted(Sent::new(&old, "id-1").request()).await;
    *server.set.lock().unwrap() = jwk_set([&old, &new]);
    bench.accepted(Sent::new(&new, "id-2").request()).await;
    bench.accepted(Sent::new(&old, "id-3").request()).await;
    assert_eq!(server.asked(), 2);
    // One that is withdrawn counts no more, once the set has been fetched again.
    *server.set.lock().unwrap() = jwk_set([&new]);
    assert_eq!(bench.refused(Sent::new(&key(3), "id-4").request()).await.0, 401);
    assert_eq!(bench.refused(Sent::new(&old, "id-5").request()).await.0, 401);
}

#[tokio::test]
async fn made_up_keys_cost_no_fetches() {
    let key = key(1);
    let server = KeyServer::of(&key).await;
    let mut bench = server.bench(LONG);
    for seed in 2..12 {
        let stranger = super::key(seed);
        assert_eq!(bench.refused(Sent::new(&stranger, "id").request()).await.0, 401);
    }
    assert_eq!(server.asked(), 1);
    bench.accepted(Sent::new(&key, "id").request()).await;
}

#[tokio::test]
async fn keys_stay_while_their_server_is_away_and_without_any_the_sender_comes_again() {
    let key = key(1);
    let server = KeyServer::of(&key).await;
    server.is_away.store(true, Ordering::Release);
    let settings = ReceiverSettings {
        keys_pause: Duration::ZERO,
        keys_fresh: Duration::ZERO,
        ..ReceiverSettings::default()
    };
    let mut bench = server.bench_with(settings.clone());
    assert_eq!(bench.refused(Sent::new(&key, "id-1").request()).await.0, 503);
    server.is_away.store(false, Ordering::Release);
    bench.accepted(Sent::new(&key, "id-1").request()).await;
    server.is_away.store(true, Ordering::Release);
    bench.accepted(Sent::new(&key, "id-2").request()).await;
    assert!(server.asked() >= 3);

    // What is no set is as good as none.
    let mut other = server.bench_with(settings);
    server.is_away.store(false, Ordering::Release);
    *server.set.lock().unwrap() = "{}".to_owned();
    assert_eq!(other.refused(Sent::new(&key, "id-3").request()).await.0, 503);
}

/// While keys are fetched because somebody has made one up, those that are known are served.
#[tokio::test]
async fn made_up_keys_take_no_places() {
    let key = key(1);
    let server = KeyServer::of(&key).await;
    let mut bench = server.bench_with(ReceiverSettings {
        keys_pause: Duration::ZERO,
        requests_max: 2,
        ..ReceiverSettings::default()
    });
    bench.accepted(Sent::new(&key, "id-1").request()).await;
    server.is_stalled.store(true, Ordering::Release);
    let (stranger, another) = (super::key(2), super::key(3));
    let waits = bench.send(Sent::new(&stranger, "id").request());
    tokio::pin!(waits);
    // It goes on until its fetch is under way, which never ends.
    crate::sockets::soon("a fetch", async {
        while server.asked() < 2 {
            assert!(futures_util::poll!(&mut waits).is_pending());
            tokio::task::yield_now().await;
        }
    })
    .await;
    for _ in 0..3 {
        let refused = bench.refused(Sent::new(&another, "id").request());
        let (status, _) = crate::sockets::soon("an answer", refused).await;
        assert_eq!(status, 503);
    }
    bench.accepted(Sent::new(&key, "id-2").request()).await;
    assert!(futures_util::poll!(&mut waits).is_pending());
}
