//! Cross-origin requests of web pages, for the origins that are configured; gRPC-Web answers use it as well.

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

use super::reply;
use crate::api::{Api, ApiSettings, Body};

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, DELETE");

const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "a2a-version, a2a-extensions, a2ad-budget, a2ad-hops, a2ad-last-generation, accept, authorization, content-type, grpc-timeout, \
     idempotency-key, last-event-id, traceparent, tracestate, x-api-key, x-grpc-web, x-request-id, x-user-agent",
);

const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static(
    "a2a-extensions, a2ad-cursor-expired, a2ad-first-generation, a2ad-last-generation, etag, grpc-message, grpc-status, \
     grpc-status-details-bin, last-event-id, last-modified, retry-after, www-authenticate, x-request-id",
);

/// Seconds for which a browser may remember the answer to its question.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("7200");

/// Answers a request by `inner`, or by itself when a browser only asks whether a page may send one.
pub(in crate::api) async fn around<B, F>(
    api: &Api,
    request: Request<B>,
    inner: impl FnOnce(Api, Request<B>) -> F,
) -> Response<Body>
where
    F: Future<Output = Response<Body>>,
{
    if let Some(response) = preflight(api.settings(), request.method(), request.headers()) {
        return response;
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = inner(api.clone(), request).await;
    decorate(api.settings(), origin.as_ref(), response.headers_mut());
    response
}

/// Answers the question that a browser asks before it lets a page send a request; none if this is something else.
pub(super) fn preflight(
    settings: &ApiSettings,
    method: &Method,
    request: &HeaderMap,
) -> Option<Response<Body>> {
    let asks = method == Method::OPTIONS && request.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let origin = request.get(header::ORIGIN)?;
    if settings.cors_origins.is_empty() || !asks {
        return None;
    }
    let mut response = reply::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    // Without the headers that follow the browser takes it for a no.
    if allowed(settings, origin).is_some() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
    }
    decorate(settings, Some(origin), headers);
    Some(response)
}

/// Adds to a response what lets a page of `origin` read it. Adding it twice is the same as once.
pub(super) fn decorate(settings: &ApiSettings, origin: Option<&HeaderValue>, response: &mut HeaderMap) {
    if settings.cors_origins.is_empty() {
        return;
    }
    // Caches must not give one origin's answer to another, nor to a request that had none.
    response.insert(header::VARY, HeaderValue::from_static("origin"));
    if let Some(value) = origin.and_then(|origin| allowed(settings, origin)) {
        response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
        response.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
    }
}

fn allowed(settings: &ApiSettings, origin: &HeaderValue) -> Option<HeaderValue> {
    let origins = &settings.cors_origins;
    if origins.iter().any(|known| known == "*") {
        return Some(HeaderValue::from_static("*"));
    }
    origins
        .iter()
        .any(|known| known.as_bytes() == origin.as_bytes())
        .then(|| origin.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(origins: &[&str]) -> ApiSettings {
        let cors_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        ApiSettings {
            cors_origins,
            ..ApiSettings::default()
        }
    }

    fn asking(origin: &'static str) -> HeaderMap {
        HeaderMap::from_iter([
            (header::ORIGIN, HeaderValue::from_static(origin)),
            (
                header::ACCESS_CONTROL_REQUEST_METHOD,
                HeaderValue::from_static("POST"),
            ),
        ])
    }

    #[test]
    fn only_configured_origins_get_a_yes() {
        let settings = settings(&["https://a.example"]);
        let ask = |origin| preflight(&settings, &Method::OPTIONS, &asking(origin)).unwrap();
        let yes = ask("https://a.example");
        assert_eq!(yes.status(), 204);
        assert_eq!(
            yes.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN],
            "https://a.example"
        );
        assert_eq!(yes.headers()[header::VARY], "origin");
        assert!(yes.headers().contains_key(header::ACCESS_CONTROL_ALLOW_HEADERS));
        for other in [
            "https://b.example",
            "https://a.example.evil",
            "null",
            "http://a.example",
        ] {
            let no = ask(other);
            assert!(
                !no.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN),
                "{other}"
            );
        }
    }

    #[test]
    fn a_star_is_for_all_and_nothing_is_for_none() {
        let everybody = preflight(&settings(&["*"]), &Method::OPTIONS, &asking("https://x.example")).unwrap();
        assert_eq!(everybody.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(preflight(&settings(&[]), &Method::OPTIONS, &asking("https://x.example")).is_none());
        assert!(preflight(&settings(&["*"]), &Method::POST, &asking("https://x.example")).is_none());
        let mut headers = HeaderMap::new();
        decorate(
            &settings(&[]),
            Some(&HeaderValue::from_static("https://x.example")),
            &mut headers,
        );
        assert!(headers.is_empty());
    }
}
