//! What goes around the bindings of one agent: each layer is a `tower::Service` of [`Call`]s around another one.
//!
//! From the outside in: streams that go on ([`super::streams`]), span and metrics, the time of the call, calls at once,
//! repetitions, second calls to reads that are late, the choice among instances, and of each instance its breaker, the
//! trace, the [`Interceptor`]s and the binding.

mod attempt;
mod backoff;
mod balance;
mod breaker;
mod deadline;
mod hedge;
mod interceptor;
mod limit;
mod metrics;
mod observe;
mod retry;
#[cfg(test)]
pub(super) mod scripted;
mod settings;

use std::sync::Arc;

use tower::Service;

use super::transport::Transport;
use super::{Call, Error, Instance, Reply, Target, streams};
use crate::access::Method;
use crate::service::IDEMPOTENCY_EXTENSION;

pub use interceptor::Interceptor;
pub use metrics::{ClientMetrics, ClientReport, LATENCY_MS};
pub use settings::{
    BalanceSettings, BreakerSettings, ConcurrencySettings, HedgeSettings, LayerSettings, RetrySettings,
};

pub(super) use backoff::{pause, random};
pub(super) use metrics::Count;

use attempt::Member;

/// What makes calls and can be shared. It is boxed once, with everything inside.
pub(super) trait Step:
    Service<Call, Response = Reply, Error = Error, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S> Step for S where
    S: Service<Call, Response = Reply, Error = Error, Future: Send> + Clone + Send + Sync + 'static
{
}

/// All layers around the instances of one agent. Without instances every call is held back.
///
/// A request without a tenant gets that of the instance that it goes to; `interceptors` see each attempt there.
pub fn stack(
    instances: Vec<Instance>,
    settings: &LayerSettings,
    interceptors: Vec<Arc<dyn Interceptor>>,
) -> Transport {
    let sends_once = !instances.is_empty() && instances.iter().all(|one| runs_sends_once(&one.target));
    let interceptors: Arc<[Arc<dyn Interceptor>]> = interceptors.into();
    let member = |instance| Member::new(instance, settings, interceptors.clone());
    let balanced = balance::balanced(instances.into_iter().map(member).collect());
    match &settings.hedge {
        Some(hedge) => {
            let hedged = hedge::hedged(balanced, hedge, &settings.metrics);
            whole(hedged, settings, sends_once)
        }
        None => whole(balanced, settings, sends_once),
    }
}

/// The layers that see a call as a whole.
fn whole(inner: impl Step, settings: &LayerSettings, sends_once: bool) -> Transport {
    let retried = retry::retried(inner, &settings.retry, sends_once, &settings.metrics);
    let limited = limit::limited(retried, &settings.concurrency);
    let timed = deadline::timed(limited, settings.timeout);
    let observed = observe::observed(timed, &settings.metrics);
    streams::resumed(observed, &settings.resume, sends_once, &settings.metrics)
}

/// Whether the agent says that sends with the same idempotency key give the same task.
fn runs_sends_once(target: &Target) -> bool {
    target.declares(IDEMPOTENCY_EXTENSION)
}

/// Whether the operation changes nothing and has one answer.
fn is_read(method: Method) -> bool {
    matches!(
        method,
        Method::GetTask
            | Method::ListTasks
            | Method::GetTaskPushNotificationConfig
            | Method::ListTaskPushNotificationConfigs
            | Method::GetExtendedAgentCard
    )
}
