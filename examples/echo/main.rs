//! A runtime with one agent of your own: the whole program.
//!
//! `cargo run --example echo`, then `cargo run -- send 127.0.0.1:8420 'hello world'`. Every setting can be given as
//! `A2AD__SECTION__KEY`, for example `A2AD__DATABASE__URL=memory`.

mod agent;

use std::sync::Arc;

use a2ad::app::{HostedAgent, Runtime};
use a2ad::config::Loader;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Loader::new().process_env().load()?.config;
    a2ad::telemetry::init(&config.log)?;
    let echo = HostedAgent::new("echo", agent::card(), Arc::new(agent::EchoAgent));
    let runtime = Runtime::start(config, vec![echo]).await?;
    eprintln!("ready {}", runtime.address());
    runtime.serve_until_signal().await;
    Ok(())
}
