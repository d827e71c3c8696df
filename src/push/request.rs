//! One delivery as a request: the event as streams have it (specification 4.3.3), and what the configuration asks for.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};

use super::credentials::{self, secret};
use super::delivery_id::{delivery_id, trace_id};
use crate::pb::stream_response::Payload;
use crate::pb::{StreamResponse, TaskPushNotificationConfig, json};
use crate::repository::DeliveryKey;
use crate::signature::SigningKey;
use crate::signature::message::{DELIVERY_ID, Outgoing, sign};

/// What the body is.
const CONTENT_TYPE: &str = "application/a2a+json";

/// The version of the protocol that the body is of.
const VERSION: &str = "1.0";

/// Who sends.
const AGENT: &str = concat!("a2ad/", env!("CARGO_PKG_VERSION"));

/// The two names under which receivers look for the token: the one of the SDKs, and the one of the specification.
const TOKENS: [HeaderName; 2] = [
    HeaderName::from_static("x-a2a-notification-token"),
    HeaderName::from_static("a2a-notification-token"),
];

/// What a request is made of.
pub(super) struct Parts<'a> {
    pub(super) key: &'a DeliveryKey,
    pub(super) config: &'a TaskPushNotificationConfig,
    pub(super) target: &'a Uri,
    pub(super) event: Payload,
    pub(super) signer: Option<&'a SigningKey>,
    /// The time, in seconds since 1970.
    pub(super) at_s: i64,
    /// The span of this attempt.
    pub(super) span: u64,
}

impl Parts<'_> {
    /// The request.
    ///
    /// # Errors
    /// When the event has no JSON form, or the configuration can't be put into headers.
    pub(super) fn build(self) -> Result<Request<Bytes>, String> {
        let body = StreamResponse {
            payload: Some(self.event),
        };
        let body = json::to_vec(&body).map_err(|error| format!("the event has no JSON form: {error}"))?;
        let id = delivery_id(self.key).to_string();
        let trace = trace_id(&self.key.stream.task_id);
        let mut request = Request::new(Bytes::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        let signature = match self.signer {
            Some(key) => signature(key, &request, &id, self.at_s)?,
            None => Vec::new(),
        };
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert("a2a-version", HeaderValue::from_static(VERSION));
        // Not sampled: no span of ours is kept anywhere.
        let traceparent = format!("00-{trace}-{:016x}-00", self.span.max(1));
        for (name, text) in [
            (DELIVERY_ID, &id),
            ("idempotency-key", &id),
            ("traceparent", &traceparent),
        ] {
            headers.insert(
                name,
                HeaderValue::from_str(text).map_err(|error| error.to_string())?,
            );
        }
        for (name, value) in signature {
            headers.insert(name, value);
        }
        for (name, value) in secrets(self.config)? {
            headers.insert(name, value);
        }
        Ok(request)
    }
}

/// The headers that say whose the request is (RFC 9421).
fn signature(
    key: &SigningKey,
    request: &Request<Bytes>,
    delivery_id: &str,
    at_s: i64,
) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let message = Outgoing {
        method: request.method(),
        target: request.uri(),
        content_type: CONTENT_TYPE,
        body: request.body(),
        delivery_id,
        created: at_s,
    };
    sign(key, &message).map_err(|error| format!("it can't be signed: {error}"))
}

/// What the receiver is to know the sender by.
fn secrets(config: &TaskPushNotificationConfig) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let mut headers = Vec::new();
    if !config.token.is_empty() {
        let token = secret(&config.token).ok_or("the token can't be sent in a header")?;
        headers.extend(TOKENS.map(|name| (name, token.clone())));
    }
    if let Some(authentication) = &config.authentication {
        headers.extend(credentials::header(authentication));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::pb::{AuthenticationInfo, TaskStatusUpdateEvent};
    use crate::repository::PushStream;
    use crate::signature::message::{Incoming, Window, verify};
    use crate::signature::{PublicKeys, jwk_set};

    #[test]
    fn a_delivery_has_its_headers_and_its_body() {
        let key = DeliveryKey {
            stream: PushStream {
                task_id: Arc::from("t"),
                config_id: Arc::from("c"),
            },
            generation: 3,
        };
        let config = TaskPushNotificationConfig {
            token: "tok".to_owned(),
            authentication: Some(AuthenticationInfo {
                scheme: "Bearer".to_owned(),
                credentials: "cred".to_owned(),
            }),
            ..TaskPushNotificationConfig::default()
        };
        let pen = SigningKey::of_seed(&[7; 32]).unwrap();
        let target = Uri::from_static("https://hooks.example.com/a?b=c");
        let request = Parts {
            key: &key,
            config: &config,
            target: &target,
            event: Payload::StatusUpdate(TaskStatusUpdateEvent {
                task_id: "t".to_owned(),
                ..TaskStatusUpdateEvent::default()
            }),
            signer: Some(&pen),
            at_s: 42,
            span: 0xab,
        };
        let request = request.build().unwrap();
        let id = delivery_id(&key).to_string();
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        assert!(body.starts_with(r#"{"statusUpdate":{"taskId":"t""#), "{body}");
        assert_eq!((request.method(), request.uri()), (&Method::POST, &target));
        let trace = format!("00-{}-00000000000000ab-00", trace_id("t"));
        for (name, value) in [
            ("content-type", "application/a2a+json"),
            ("a2a-version", "1.0"),
            ("a2a-notification-id", &id),
            ("idempotency-key", &id),
            ("traceparent", &trace),
            ("x-a2a-notification-token", "tok"),
            ("a2a-notification-token", "tok"),
            ("authorization", "Bearer cred"),
        ] {
            assert_eq!(request.headers()[name], value, "{name}");
        }
        let keys = PublicKeys::parse(jwk_set([&pen]).as_bytes()).unwrap();
        let head = Incoming {
            method: request.method(),
            target: &target.to_string(),
            headers: request.headers(),
        };
        let window = Window {
            now: 42,
            age_max: Duration::from_secs(1),
            leeway: Duration::ZERO,
        };
        let verified = verify(&head, &keys, &window).unwrap();
        assert!(verified.is_of(request.body()) && verified.delivery_id == id);
        assert!(!format!("{request:?}").contains("cred"), "{request:?}");
    }
}
