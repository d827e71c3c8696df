//! A receiver of webhooks: prints each event once, as a line of JSON.
//!
//! ```sh
//! cargo run -- serve --demo --set push.allow_loopback_webhooks=true
//! cargo run --example webhook_receiver -- --url http://127.0.0.1:8500/hooks \
//!     --keys http://127.0.0.1:8420/.well-known/jwks.json
//! ```
//!
//! `receiver.py` beside this file does the same in Python.

mod app;

use std::net::SocketAddr;

use a2ad::config::Secret;
use a2ad::shutdown::Shutdown;
use clap::Parser;

/// Prints the events that a webhook gets.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8500")]
    listen: SocketAddr,
    /// The URL of the webhook as the agent knows it: signatures cover it.
    #[arg(long)]
    url: String,
    /// The key set of the agent: the URL of its /.well-known/jwks.json, or a file with it.
    #[arg(long)]
    keys: String,
    /// The token of the push configuration.
    #[arg(long, env = "WEBHOOK_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let shutdown = Shutdown::new();
    let keys = app::keys(&arguments.keys, &shutdown).await?;
    let (router, notifications) = app::receiver(&arguments.url, keys, arguments.token.map(Secret::new))?;
    let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
    eprintln!("ready {}", listener.local_addr()?);
    tokio::select! {
        served = axum::serve(listener, router).into_future() => served?,
        () = app::print(notifications, |line| println!("{line}")) => {}
    }
    Ok(())
}
