//! temp
use http::{HeaderMap, Request, Response};
use super::{Api, Body};
use crate::error::Error;
pub(super) mod cors {
    use super::*;
    pub(in crate::api) async fn around<B, F: Future<Output=Response<Body>>>(api: &Api, request: Request<B>, inner: impl FnOnce(Api, Request<B>) -> F) -> Response<Body> { inner(api.clone(), request).await }
}
pub(super) fn refuse(_e: &Error, _h: &HeaderMap) -> Response<Body> { Response::new(Body::empty()) }
pub(super) async fn handle<B>(_api: &Api, _request: Request<B>) -> Response<Body> { Response::new(Body::empty()) }
