//! What all bindings find in the headers: who calls, in which version, with which extensions, key and cursor.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::access::Caller;
use crate::context::{Binding, CallContext, Chain, TraceContext};
use crate::error::Error;
use crate::quota::Traffic;
use crate::server::Peer;
use crate::task::{check_label, new_id};

/// Declared by the caller, and echoed as far as activated.
pub(super) const EXTENSIONS_KEY: &str = "a2a-extensions";
/// The generation of a gRPC stream's first event, in the metadata before it; the others follow densely.
pub(super) const FIRST_GENERATION_KEY: &str = "a2ad-first-generation";
/// The cursor of a resuming gRPC reader, and of a stream that ends early, in its trailers.
pub(super) const LAST_GENERATION_KEY: &str = "a2ad-last-generation";

/// The first generation that retention keeps, on every binding: the stream that follows begins with the task as it stands,
/// because the events behind the caller's cursor are gone.
pub(super) const CURSOR_EXPIRED_KEY: &str = "a2ad-cursor-expired";

pub(super) const VERSION: HeaderName = HeaderName::from_static("a2a-version");
pub(super) const EXTENSIONS: HeaderName = HeaderName::from_static(EXTENSIONS_KEY);
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The cursor of a resuming SSE reader; the generation that stood in the last `id:` line.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
pub(super) const CURSOR_EXPIRED: HeaderName = HeaderName::from_static(CURSOR_EXPIRED_KEY);
pub(super) const LAST_GENERATION: HeaderName = HeaderName::from_static(LAST_GENERATION_KEY);
/// How many agents have handed the call on.
const HOPS: HeaderName = HeaderName::from_static("a2ad-hops");
/// How many further calls may be handed on because of it.
const BUDGET: HeaderName = HeaderName::from_static("a2ad-budget");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Tells the caller the span that its request was in here (W3C Trace Context, level 2 draft).
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The most extensions that one call may declare.
const EXTENSIONS_MAX: usize = 64;

/// Headers that decide something: a second one would let a proxy and us decide differently.
const SINGLE: [HeaderName; 6] = [
    VERSION,
    IDEMPOTENCY_KEY,
    LAST_EVENT_ID,
    LAST_GENERATION,
    HOPS,
    BUDGET,
];

/// Where a request came from, before anything of its body is known.
pub(super) struct Origin<'a> {
    pub(super) binding: Binding,
    pub(super) headers: &'a HeaderMap,
    pub(super) peer: Option<&'a Arc<Peer>>,
    pub(super) traffic: Option<&'a Arc<Traffic>>,
    /// The agent that the path names.
    pub(super) path_agent: Option<&'a str>,
    /// The version that the query names (specification 3.6.1); the header comes first.
    pub(super) query_version: Option<&'a str>,
    pub(super) id_bytes_max: usize,
    /// The id of the request, see [`request_id`].
    pub(super) request_id: Arc<str>,
}

impl Origin<'_> {
    /// The context of a call by `caller`.
    ///
    /// # Errors
    /// InvalidParams when a header is repeated, too long, or not text.
    pub(super) fn context(&self, caller: Arc<Caller>) -> Result<CallContext, Error> {
        for name in &SINGLE {
            if self.headers.get_all(name).iter().nth(1).is_some() {
                return Err(Error::invalid(
                    name.as_str(),
                    "the header is there more than once; send it once",
                ));
            }
        }
        let version = self.text(&VERSION)?.or(self.query_version).map(Arc::from);
        Ok(CallContext {
            caller,
            binding: self.binding,
            peer: self.peer.and_then(|peer| peer.addr),
            request_id: self.request_id.clone(),
            trace: self.trace(),
            version,
            extensions: self.extensions()?,
            path_agent: self.path_agent.map(Arc::from),
            idempotency_key: self.idempotency_key()?,
            last_generation: self.last_generation()?,
            chain: self.chain()?,
            traffic: self.traffic.cloned(),
        })
    }

    fn text(&self, name: &HeaderName) -> Result<Option<&str>, Error> {
        let value = self.headers.get(name).map(|value| value.to_str());
        value
            .transpose()
            .map_err(|_| Error::invalid(name.as_str(), "the header is not visible ASCII"))
    }

    /// A trace context that is not well formed is as good as none (W3C Trace Context 4.3).
    pub(super) fn trace(&self) -> Option<Arc<TraceContext>> {
        let traceparent = self.headers.get(&TRACEPARENT)?.to_str().ok()?;
        let tracestate = self
            .headers
            .get(&TRACESTATE)
            .and_then(|value| value.to_str().ok());
        let trace = TraceContext::parse(traceparent, tracestate)?;
        Some(Arc::new(trace.within(new_span())))
    }

    fn extensions(&self) -> Result<Arc<[String]>, Error> {
        let mut declared = Vec::new();
        for value in self.headers.get_all(&EXTENSIONS) {
            let text = value
                .to_str()
                .map_err(|_| Error::invalid(EXTENSIONS.as_str(), "the header is not visible ASCII"))?;
            declared.extend(
                text.split(',')
                    .map(str::trim)
                    .filter(|uri| !uri.is_empty())
                    .map(str::to_owned),
            );
            if declared.len() > EXTENSIONS_MAX {
                return Err(Error::invalid(
                    EXTENSIONS.as_str(),
                    format!("at most {EXTENSIONS_MAX} extensions can be declared"),
                ));
            }
        }
        Ok(Arc::from(declared))
    }

    fn idempotency_key(&self) -> Result<Option<Arc<str>>, Error> {
        let Some(key) = self.text(&IDEMPOTENCY_KEY)? else {
            return Ok(None);
        };
        if key.is_empty() {
            return Err(Error::invalid(
                IDEMPOTENCY_KEY.as_str(),
                "an idempotency key must not be empty",
            ));
        }
        check_label(key, self.id_bytes_max).map_err(|why| Error::invalid(IDEMPOTENCY_KEY.as_str(), why))?;
        Ok(Some(Arc::from(key)))
    }

    fn last_generation(&self) -> Result<Option<u64>, Error> {
        let name = if self.binding == Binding::Grpc {
            &LAST_GENERATION
        } else {
            &LAST_EVENT_ID
        };
        let Some(text) = self.text(name)?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        whole(text).map(Some).ok_or_else(|| {
            Error::invalid(
                name.as_str(),
                "give the generation of the last event as a whole number",
            )
        })
    }

    /// The chain of a call that names its place in one.
    fn chain(&self) -> Result<Option<Chain>, Error> {
        let number = |name: &HeaderName| {
            let Some(text) = self.text(name)? else {
                return Ok(None);
            };
            whole(text).map(Some).ok_or_else(|| {
                let message = format!("give a whole number of at most {}", u32::MAX);
                Error::invalid(name.as_str(), message)
            })
        };
        let (hops, budget) = (number(&HOPS)?, number(&BUDGET)?);
        let chain = Chain {
            hops: hops.unwrap_or(0),
            budget,
        };
        Ok((hops.is_some() || budget.is_some()).then_some(chain))
    }
}

/// A number of digits and nothing else.
fn whole<T: std::str::FromStr>(text: &str) -> Option<T> {
    let is_digits = text.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|_| is_digits)
}

/// The caller's own id if it is a sane one; else a new one.
pub(super) fn request_id(headers: &HeaderMap) -> Arc<str> {
    let named = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok());
    let sane = |id: &&str| {
        (1..=128).contains(&id.len())
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._:/+=-".contains(&b))
    };
    match named.filter(sane) {
        Some(id) => Arc::from(id),
        None => Arc::from(new_id()),
    }
}

/// Tells the caller under which id its call is logged, and which span of its trace it was.
pub(super) fn identify(headers: &mut HeaderMap, call: &CallContext) {
    if let Ok(mut id) = HeaderValue::from_str(&call.request_id) {
        // No two are alike, so they only push useful headers out of HTTP/2's compression table.
        id.set_sensitive(true);
        headers.insert(REQUEST_ID, id);
    }
    if let Some(trace) = &call.trace
        && let Ok(span) = HeaderValue::from_str(&trace.traceparent)
    {
        headers.insert(TRACERESPONSE, span);
    }
}

/// A span id that is new and not 0: the random half of an id of ours.
fn new_span() -> u64 {
    uuid::Uuid::now_v7().as_u64_pair().1.max(1)
}
