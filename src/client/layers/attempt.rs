//! One attempt at one instance: with its trace, its span, the interceptors and its part of the time.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::HeaderValue;
use tokio::time::{Instant, timeout_at};
use tower::load::{CompleteOnResponse, Load as _, PeakEwma, peak_ewma::Cost};
use tower::util::Oneshot;
use tower::{Service, ServiceExt as _};
use tracing::Instrument as _;
use tracing::field::Empty;

use super::backoff::random;
use super::breaker::Breaker;
use super::interceptor::Interceptor;
use super::settings::LayerSettings;
use super::{Instance, is_read};
use crate::client::transport::Transport;
use crate::client::{Call, Error, Reply, Target};
use crate::context::TraceContext;

/// One instance, with its breaker and its load.
pub(super) struct Member {
    target: Arc<Target>,
    measured: Mutex<PeakEwma<Anytime>>,
    pub(super) breaker: Arc<Breaker>,
    interceptors: Arc<[Arc<dyn Interceptor>]>,
    attempt_timeout: std::time::Duration,
}

/// A transport that is always ready: its calls wait until it is.
struct Anytime(Transport);

impl Service<Call> for Anytime {
    type Response = Reply;
    type Error = Error;
    type Future = Oneshot<Transport, Call>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        self.0.clone().oneshot(call)
    }
}

impl Member {
    pub(super) fn new(
        instance: Instance,
        settings: &LayerSettings,
        interceptors: Arc<[Arc<dyn Interceptor>]>,
    ) -> Self {
        let Instance { target, transport } = instance;
        // Neither may be nothing: the average divides by them.
        let latency = settings.balance.latency.max(std::time::Duration::from_micros(1));
        let decay_ns = (settings.balance.decay.as_nanos() as f64).max(1.0);
        let measured = PeakEwma::new(
            Anytime(transport),
            latency,
            decay_ns,
            CompleteOnResponse::default(),
        );
        Self {
            target,
            measured: Mutex::new(measured),
            breaker: Breaker::new(&settings.breaker, &settings.metrics),
            interceptors,
            attempt_timeout: settings.attempt_timeout,
        }
    }

    pub(super) fn origin(&self) -> String {
        self.target.origin()
    }

    /// What the instance has to do, as far as this client knows.
    pub(super) fn load(&self) -> Cost {
        let measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        measured.load()
    }

    /// Makes the call here.
    pub(super) async fn make(&self, mut call: Call) -> Result<Reply, Error> {
        let method = call.method();
        let span = tracing::info_span!(
            "attempt",
            rpc.method = method.as_str(),
            binding = self.target.binding.as_str(),
            host = self.target.url.host().unwrap_or_default(),
            kind = Empty,
        );
        let tenant = call.request.tenant_mut();
        if tenant.is_empty() {
            tenant.clone_from(&self.target.tenant);
        }
        traced(&mut call, !span.is_disabled());
        let answer = self.intercepted(call).instrument(span.clone()).await;
        if let Err(error) = &answer {
            span.record("kind", error.label());
        }
        answer
    }

    async fn intercepted(&self, mut call: Call) -> Result<Reply, Error> {
        let method = call.method();
        let mut asked = 0;
        let mut refusal = None;
        for interceptor in &*self.interceptors {
            if let Err(error) = interceptor.before(&mut call, &self.target) {
                refusal = Some(error);
                break;
            }
            asked += 1;
        }
        let mut answer = match refusal {
            Some(error) => Err(error),
            None => self.in_time(call).await,
        };
        for interceptor in self.interceptors[..asked].iter().rev() {
            match &mut answer {
                Ok(reply) => interceptor.after(method, reply, &self.target),
                Err(error) => interceptor.on_error(method, error, &self.target),
            }
        }
        answer
    }

    /// Ends with the time of the call at the latest: the breaker has to hear that the instance did not answer, where
    /// whoever ends the call from outside would leave nothing to say.
    async fn in_time(&self, call: Call) -> Result<Reply, Error> {
        let began = Instant::now();
        let own = is_read(call.method())
            .then(|| began.checked_add(self.attempt_timeout))
            .flatten();
        let deadline = [call.deadline, own].into_iter().flatten().min();
        let answer = {
            let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
            measured.call(call)
        };
        match deadline {
            Some(deadline) => timeout_at(deadline, answer)
                .await
                .unwrap_or_else(|_| Err(Error::Timeout(deadline - began))),
            None => answer.await,
        }
    }
}

/// Gives the attempt a place of its own in the caller's trace, or in a new one, which is sampled if somebody here records
/// spans.
fn traced(call: &mut Call, is_recorded: bool) {
    let text = |name: &str| call.parameters.get(name).and_then(|value| value.to_str().ok());
    let trace = text("traceparent").and_then(|parent| TraceContext::parse(parent, text("tracestate")));
    let span = random().max(1);
    let parent = match trace {
        Some(trace) => trace.within(span).traceparent,
        None => {
            // A state that belongs to no trace of ours means nothing.
            call.parameters.remove("tracestate");
            let trace = uuid::Uuid::new_v4().simple();
            let flags = u8::from(is_recorded);
            format!("00-{trace}-{span:016x}-{flags:02x}")
        }
    };
    if let Ok(value) = HeaderValue::try_from(parent) {
        call.parameters.insert("traceparent", value);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::access::Method;
    use crate::client::layers::scripted::{Script, get, send, target, unreachable};

    fn member(script: &Script, interceptors: Vec<Arc<dyn Interceptor>>) -> Member {
        let instance = Instance {
            target: Arc::new(target("t")),
            transport: script.transport(),
        };
        Member::new(instance, &LayerSettings::default(), interceptors.into())
    }

    fn traces(script: &Script) -> Vec<TraceContext> {
        let text = |call: &Call, name: &str| {
            let value = call.parameters.get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let received = script.received();
        let parsed = received.iter().map(|call| {
            TraceContext::parse(
                &text(call, "traceparent").unwrap(),
                text(call, "tracestate").as_deref(),
            )
            .unwrap()
        });
        parsed.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn every_attempt_has_a_place_of_its_own_in_the_trace() {
        let script = Script::new(|_, _| (Duration::ZERO, Ok(())));
        let member = member(&script, Vec::new());
        let mut call = get();
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        call.parameters
            .insert("traceparent", HeaderValue::from_static(parent));
        call.parameters
            .insert("tracestate", HeaderValue::from_static("a=b"));
        for _ in 0..2 {
            member.make(call.clone()).await.unwrap();
        }
        let seen = traces(&script);
        assert_eq!(seen[0].trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(seen[0].trace_id(), seen[1].trace_id());
        assert_ne!(seen[0].traceparent, seen[1].traceparent);
        assert_ne!(seen[0].traceparent, parent);
        assert_eq!(seen[0].tracestate.as_deref(), Some("a=b"));

        // What is no trace, and its state, go no further.
        call.parameters
            .insert("traceparent", HeaderValue::from_static("00-0-0-00"));
        member.make(call).await.unwrap();
        member.make(get()).await.unwrap();
        let seen = traces(&script);
        assert_ne!(seen[2].trace_id(), seen[3].trace_id());
        assert_eq!(seen[2].tracestate, None);
    }

    #[derive(Default)]
    struct Notes {
        name: &'static str,
        refuses: bool,
        seen: Arc<Mutex<Vec<String>>>,
    }

    impl Notes {
        fn note(&self, what: &str, method: Method, target: &Target) {
            let line = format!("{} {what} {} {}", self.name, method.as_str(), target.tenant);
            self.seen.lock().unwrap().push(line);
        }
    }

    impl Interceptor for Notes {
        fn before(&self, call: &mut Call, target: &Target) -> Result<(), Error> {
            self.note("before", call.method(), target);
            call.parameters
                .append("x-note", HeaderValue::from_static(self.name));
            if self.refuses {
                return Err(Error::NotSupported("no".to_owned()));
            }
            Ok(())
        }

        fn after(&self, method: Method, reply: &mut Reply, target: &Target) {
            self.note("after", method, target);
            reply
                .parameters
                .append("x-note", HeaderValue::from_static(self.name));
        }

        fn on_error(&self, method: Method, error: &Error, target: &Target) {
            self.note(error.label(), method, target);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn interceptors_see_each_attempt_in_order_and_back() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = |name, refuses| -> Arc<dyn Interceptor> {
            Arc::new(Notes {
                name,
                refuses,
                seen: seen.clone(),
            })
        };
        let taken = || std::mem::take(&mut *seen.lock().unwrap());
        let script = Script::new(|number, _| match number {
            0 => (Duration::ZERO, Ok(())),
            _ => (Duration::ZERO, Err(unreachable())),
        });
        let both = member(&script, vec![notes("a", false), notes("b", false)]);
        let reply = both.make(get()).await.unwrap();
        assert_eq!(
            taken(),
            [
                "a before GetTask t",
                "b before GetTask t",
                "b after GetTask t",
                "a after GetTask t"
            ]
        );
        assert_eq!(
            reply.parameters.get_all("x-note").iter().collect::<Vec<_>>(),
            ["b", "a"]
        );
        let sent = &script.received()[0].parameters;
        assert_eq!(sent.get_all("x-note").iter().collect::<Vec<_>>(), ["a", "b"]);

        assert!(both.make(send()).await.is_err());
        assert_eq!(
            taken()[2..],
            ["b UNREACHABLE SendMessage t", "a UNREACHABLE SendMessage t"]
        );

        let refusing = member(
            &script,
            vec![notes("a", false), notes("b", true), notes("c", false)],
        );
        let error = refusing.make(get()).await.unwrap_err();
        assert!(matches!(error, Error::NotSupported(_)));
        assert_eq!(
            taken(),
            [
                "a before GetTask t",
                "b before GetTask t",
                "a NOT_SUPPORTED GetTask t"
            ]
        );
        assert_eq!(script.calls(), 2, "a refused call is not made");
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_hangs_ends_and_a_send_has_the_time_of_the_call() {
        let script = Script::new(|_, _| (Duration::from_secs(3_600), Ok(())));
        let member = member(&script, Vec::new());
        let began = Instant::now();
        assert!(matches!(member.make(get()).await, Err(Error::Timeout(_))));
        assert_eq!(began.elapsed(), Duration::from_secs(30));
        let mut call = send();
        call.deadline = Some(Instant::now() + Duration::from_secs(300));
        assert!(matches!(member.make(call).await, Err(Error::Timeout(_))));
        assert_eq!(began.elapsed(), Duration::from_secs(330));
        assert!(
            member.make(send()).await.is_ok(),
            "nobody said how long it may take"
        );
    }
}
