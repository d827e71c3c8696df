//! Clients that cost as little as can be: requests are encoded once, answers are not decoded.

pub mod grpc;
pub mod http;

use std::future::Future;

/// Runs connections and workers beside the measurement; all of them end when the set is dropped.
#[derive(Default)]
pub struct Background(tokio::task::JoinSet<()>);

impl Background {
    pub fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(work);
    }
}
