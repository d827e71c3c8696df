//! The two JSON bindings, and the documents around them: cards, keys, OpenAPI, health.
//!
//! [`handle`] takes every request that is not gRPC. The [`router`] says what a path means; [`http_json`] and
//! [`json_rpc`] read their own envelope and meet in [`operation`], the one place that calls the core. Errors become
//! bytes in [`render`], streams in [`sse`]. Nothing in here decides anything about tasks.

mod body;
mod card;
pub(super) mod cors;
mod document;
mod envelope;
mod head;
mod http_json;
mod json_rpc;
mod media;
mod operation;
mod percent;
mod render;
mod reply;
mod router;
mod security;
mod sse;
mod stream;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Request, Response, header};
use tower::BoxError;

use super::call::{self, Origin};
use super::{Api, Body};
use crate::access::Caller;
use crate::context::{Binding, CallContext};
use crate::error::{Error, Kind};
use crate::service::{AgentService, CardDocument};
use router::{Miss, Names, Route, Target};

/// The query parameter that may stand in for the header of the same name (specification 3.6.1).
const QUERY_VERSION: &str = "A2A-Version";

/// Answers a request of either JSON binding, or for one of the documents.
pub(super) async fn handle<B>(api: &Api, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    let (head, body) = request.into_parts();
    if let Some(response) = cors::preflight(api.settings(), &head.method, &head.headers) {
        return response;
    }
    let mut response = answer(api, &head, body).await;
    let headers = response.headers_mut();
    security::protect(&head.extensions, headers);
    cors::decorate(api.settings(), head.headers.get(header::ORIGIN), headers);
    response
}

async fn answer<B>(api: &Api, head: &Parts, body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    let service = api.service();
    let route = router::route(&head.method, head.uri.path(), |name| {
        service.agents().get(name).is_some()
    });
    let pairs = percent::query_pairs(head.uri.query().unwrap_or_default());
    let named_version = pairs.as_ref().ok().and_then(|pairs| version_of(pairs));
    let origin = Origin {
        binding: if matches!(
            route,
            Ok(Route {
                target: Target::JsonRpc,
                ..
            })
        ) {
            Binding::JsonRpc
        } else {
            Binding::HttpJson
        },
        headers: &head.headers,
        peer: head.extensions.get(),
        traffic: head.extensions.get(),
        path_agent: route.as_ref().ok().and_then(|route| route.agent),
        query_version: named_version,
        id_bytes_max: api.settings().id_bytes_max,
        request_id: call::request_id(&head.headers),
    };
    // Who calls comes first: nobody who is not known gets us to look at anything else.
    let call = caller_for(api, &route, &origin).await;
    let call = call.and_then(|caller| head::check(&head.headers).map(|()| caller));
    let call = call.and_then(|caller| origin.context(caller));
    let context = call.as_ref().ok().cloned();
    let request_id = origin.request_id.clone();
    let media = media::answer(&head.headers);
    let is_head = head.method == http::Method::HEAD;
    let mut response = match route {
        Err(miss) => missed(&miss, media, &request_id),
        Ok(route) if is_hidden(service, &route, &call) => missed(&Miss::Unknown, media, &request_id),
        Ok(route) => match route.target {
            Target::JsonRpc => json_rpc::answer(api, call, &request_id, &head.headers, body).await,
            Target::Operation { method, names } => {
                let request = http_json::Request {
                    head,
                    call,
                    pairs,
                    method,
                    names: Names {
                        tenant: route.agent.unwrap_or_default().into(),
                        ..names
                    },
                };
                http_json::answer(api, request, &request_id, media, body).await
            }
            Target::Card => match public_card(api, route.agent, &call) {
                Ok(card) => card::answer(
                    api.settings(),
                    card,
                    &head.headers,
                    is_head,
                    service.is_private(route.agent),
                ),
                Err(error) => render::http_json(&error, media, &request_id),
            },
            Target::PublicKeys => document::public_keys(api, is_head),
            Target::OpenApi => document::open_api(is_head),
            Target::Health => document::health(api, is_head).await,
        },
    };
    match &context {
        Some(call) => call::identify(response.headers_mut(), call),
        None => reply::set_request_id(response.headers_mut(), &request_id),
    }
    response
}

/// Who calls, where it matters: documents are for everybody, but for the cards of agents that not everybody knows.
async fn caller_for(
    api: &Api,
    route: &Result<Route<'_>, Miss>,
    origin: &Origin<'_>,
) -> Result<Arc<Caller>, Error> {
    let matters = match route {
        Ok(Route {
            target: Target::JsonRpc | Target::Operation { .. },
            ..
        }) => true,
        Ok(Route {
            target: Target::Card,
            agent,
        }) => api.service().is_private(*agent),
        _ => false,
    };
    if matters {
        api.caller(origin).await
    } else {
        Ok(Arc::new(Caller::anonymous()))
    }
}

/// True when the path is nothing but an agent that the caller does not know of: then there is no such path. Longer paths and
/// cards are answered as those of agents that do not exist are.
fn is_hidden(service: &AgentService, route: &Route<'_>, call: &Result<CallContext, Error>) -> bool {
    let is_known = |agent: &str| {
        call.as_ref()
            .is_ok_and(|call| service.is_known_to(Some(agent), &call.caller))
    };
    matches!(route.target, Target::JsonRpc)
        && route
            .agent
            .is_some_and(|agent| service.is_private(Some(agent)) && !is_known(agent))
}

/// The card of an agent that the caller knows of. Where not everybody does, the decision is recorded.
fn public_card<'a>(
    api: &'a Api,
    agent: Option<&str>,
    call: &Result<CallContext, Error>,
) -> Result<&'a CardDocument, Error> {
    let service = api.service();
    if !service.is_private(agent) {
        return service.card(agent).ok_or_else(no_such_agent);
    }
    // To who is nobody here, the agent does not exist; that the credential was bad is recorded already.
    let call = call.as_ref().map_err(|_| no_such_agent())?;
    let record = service.audit().card(call, || service.name_of(agent))?;
    let is_known = service.is_known_to(agent, &call.caller);
    let card = service.card(agent).filter(|_| is_known).ok_or_else(no_such_agent);
    record.ends(card.as_ref().err());
    card
}

/// Refuses a request whose body is not looked at, in the form of the binding that its path belongs to.
pub(super) fn refuse<B>(api: &Api, error: &Error, request: &Request<B>) -> Response<Body> {
    let (headers, request_id) = (request.headers(), call::request_id(request.headers()));
    let is_hosted = |name: &str| api.service().agents().get(name).is_some();
    let mut response = match router::route(request.method(), request.uri().path(), is_hosted) {
        Ok(Route {
            target: Target::JsonRpc,
            ..
        }) => json_rpc::refuse(envelope::NO_ID, error, &request_id),
        _ => render::http_json(error, media::answer(headers), &request_id),
    };
    let headers = response.headers_mut();
    reply::set_request_id(headers, &request_id);
    security::protect(request.extensions(), headers);
    response
}

fn version_of(pairs: &[(String, String)]) -> Option<&str> {
    pairs
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(QUERY_VERSION))
        .map(|(_, version)| version.as_str())
}

fn no_such_agent() -> Error {
    Error::new(
        Kind::NotFound,
        "no such agent; GET /.well-known/agent-card.json has the default agent's card",
    )
}

fn missed(miss: &Miss, media: media::Media, request_id: &str) -> Response<Body> {
    match miss {
        Miss::Unknown => {
            let error = Error::new(
                Kind::MethodNotFound,
                "no such route; GET /openapi.json lists those that exist",
            );
            render::http_json(&error, media, request_id)
        }
        Miss::Malformed(error) => render::http_json(error, media, request_id),
        Miss::NotAllowed(allow) => {
            let error = Error::new(Kind::MethodNotAllowed, format!("this route takes {allow} only"));
            let mut response = render::http_json(&error, media, request_id);
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static(allow));
            response
        }
    }
}
