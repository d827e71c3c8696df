//! The headers that keep a browser from making more of an answer than it is: none of them is a page.

use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};

use crate::server::Peer;

/// No type is guessed, nothing is loaded, and no page holds an answer in a frame.
const ALWAYS: [(HeaderName, HeaderValue); 3] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    // For browsers that do not know frame-ancestors.
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// For a year, never again in the clear. Only where the answer itself is encrypted: elsewhere it has to be ignored.
const ENCRYPTED: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Adds them to the answer to a request with these extensions.
pub(super) fn protect(request: &Extensions, response: &mut HeaderMap) {
    for (name, value) in ALWAYS {
        response.insert(name, value);
    }
    if request.get::<Arc<Peer>>().is_some_and(|peer| peer.tls) {
        response.insert(header::STRICT_TRANSPORT_SECURITY, ENCRYPTED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protected(peer: Option<Peer>) -> HeaderMap {
        let (mut request, mut response) = (Extensions::new(), HeaderMap::new());
        if let Some(peer) = peer {
            request.insert(Arc::new(peer));
        }
        protect(&request, &mut response);
        response
    }

    #[test]
    fn only_what_is_encrypted_asks_to_stay_so() {
        let peer = |tls| Peer {
            addr: None,
            identity: None,
            tls,
        };
        for (peer, wanted) in [
            (None, false),
            (Some(peer(false)), false),
            (Some(peer(true)), true),
        ] {
            let headers = protected(peer);
            assert_eq!(headers.contains_key(header::STRICT_TRANSPORT_SECURITY), wanted);
            assert_eq!(headers[header::X_FRAME_OPTIONS], "DENY");
        }
    }
}
