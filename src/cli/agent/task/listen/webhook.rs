//! A small server for webhooks.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use a2ad::shutdown::Shutdown;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// How long the head of a request may take, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait when the machine has no connection to give.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers with `router` until everything is drained: what was begun is answered then, and nothing more.
pub fn serve(listener: TcpListener, router: Router, shutdown: &Shutdown) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let connections = shutdown.clone();
    shutdown.spawn("webhook", async move {
        while let Ok(place) = places.clone().acquire_owned().await {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = connections.draining() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let answered = answer(stream, router.clone(), place, connections.clone());
                    connections.spawn("webhook connection", answered);
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    });
}

async fn answer(stream: TcpStream, router: Router, place: OwnedSemaphorePermit, shutdown: Shutdown) {
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = shutdown.draining() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the webhook ended");
    }
    drop(place);
}
