//! The span of a call, and what is counted of it.

use tokio::time::Instant;
use tower::{ServiceExt as _, service_fn};
use tracing::Instrument as _;
use tracing::field::Empty;

use super::Step;
use super::metrics::ClientMetrics;
use crate::client::Call;

/// Counts calls, and puts each into a span.
pub(super) fn observed<S: Step>(inner: S, metrics: &ClientMetrics) -> impl Step + use<S> {
    let metrics = metrics.clone();
    service_fn(move |call: Call| {
        let (inner, metrics) = (inner.clone(), metrics.clone());
        async move {
            let span = tracing::info_span!(
                "call",
                rpc.method = call.method().as_str(),
                attempts = Empty,
                kind = Empty
            );
            let _under_way = metrics.begin();
            let began = Instant::now();
            let answer = inner.oneshot(call).instrument(span.clone()).await;
            metrics.took(began.elapsed());
            if let Err(error) = &answer {
                metrics.failed(error);
                span.record("kind", error.label());
            }
            answer
        }
    })
}
