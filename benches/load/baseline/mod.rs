//! Bare servers, and a bare sender: the same payload with nothing but the framework that a2ad stands on.

mod axum;
mod hyper;
mod single_rows;
mod tonic;

pub use hyper::order as order_posts;
pub use single_rows::{Commits, run as single_rows};

use tokio::net::TcpListener;

use crate::Outcome;
use crate::options::Baseline;

/// Is a bare server until it is killed.
pub fn serve(which: Baseline) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        eprintln!("ready {}", listener.local_addr()?);
        match which {
            Baseline::Tonic => tonic::serve(listener).await,
            Baseline::Axum => axum::serve(listener).await,
            Baseline::Hyper => hyper::serve(listener).await,
        }
    })
}
