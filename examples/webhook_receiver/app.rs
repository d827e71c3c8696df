//! The receiver itself; the tests of the runtime use it too.

use std::error::Error;

use a2ad::client::receiver::{Notifications, ReceiverBuilder, SenderKeys, Target};
use a2ad::config::Secret;
use a2ad::egress::{Egress, EgressPolicy, EgressSettings};
use a2ad::pb::json;
use a2ad::shutdown::Shutdown;
use a2ad::signature::PublicKeys;
use axum::Router;
use futures_util::StreamExt as _;

/// The keys at a URL, by https or from this machine, or in a file.
pub async fn keys(from: &str, shutdown: &Shutdown) -> Result<SenderKeys, Box<dyn Error>> {
    if !from.contains("://") {
        let set = tokio::fs::read(from).await?;
        return Ok(SenderKeys::Fixed(PublicKeys::parse(&set)?));
    }
    let policy = EgressPolicy {
        allow_loopback: true,
        ..EgressPolicy::default()
    };
    let client = Egress::open(EgressSettings::default(), shutdown)
        .await?
        .client(policy);
    Ok(SenderKeys::at(client, from))
}

/// What is mounted, and what comes.
pub fn receiver(
    url: &str,
    keys: SenderKeys,
    token: Option<Secret<String>>,
) -> Result<(Router, Notifications), Box<dyn Error>> {
    let mut builder = ReceiverBuilder::new(Target::url(url)?).keys(keys);
    if let Some(token) = token {
        builder = builder.token(token);
    }
    Ok(builder.build()?)
}

/// Accepts what comes and prints it. What is accepted before it is kept is lost with the process: a program that must
/// not lose any brings a store of deliveries of its own.
pub async fn print(mut notifications: Notifications, mut line: impl FnMut(String)) {
    while let Some(mut notification) = notifications.next().await {
        match notification.accept().await {
            Ok(true) => {
                let id = notification.delivery_id.as_deref().unwrap_or_default();
                match json::to_vec(&notification.event) {
                    Ok(event) => line(format!("{id} {}", String::from_utf8_lossy(&event))),
                    Err(error) => eprintln!("{id} can't be printed: {error}"),
                }
            }
            Ok(false) => {}
            Err(error) => eprintln!("not accepted: {error}"),
        }
    }
}
