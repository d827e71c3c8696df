//! One bad request of one binding, and what came back in one line.

use ::http::HeaderMap;
use a2ad::pb::json;
use prost::Message;

use crate::support::wire::http::{envelope, exchange, frame, raw_grpc, request};
use crate::support::wire::{Reply, Rpc, Wire};
use crate::support::world::World;

/// A request, down to its bytes.
#[derive(Clone, Debug)]
pub struct Shot {
    verb: String,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Shot {
    /// A gRPC call of one message.
    pub fn grpc(method: &str, message: &[u8]) -> Self {
        Self::of("POST", &format!("/lf.a2a.v1.A2AService/{method}"), frame(message))
    }

    /// A JSON-RPC body, or none.
    pub fn rpc(body: impl Into<Vec<u8>>) -> Self {
        Self::of("POST", "/", body)
    }

    pub fn of(verb: &str, path: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![
            ("a2a-version", "1.0".to_owned()),
            ("x-request-id", "r".to_owned()),
        ];
        Self {
            verb: verb.to_owned(),
            path: path.to_owned(),
            headers,
            body: body.into(),
        }
    }

    /// A request message on this binding.
    pub fn typed<R: Rpc + Message>(message: &R, wire: Wire) -> Self {
        match wire {
            Wire::Grpc => Self::grpc(R::METHOD, &message.encode_to_vec()),
            Wire::JsonRpc => Self::rpc(envelope(R::METHOD, message)),
            Wire::HttpJson => {
                let route = message.route();
                let mark = if route.query.is_empty() { "" } else { "?" };
                Self::of(
                    route.verb,
                    &format!("{}{mark}{}", route.path, route.query),
                    route.body,
                )
            }
        }
    }

    /// JSON parameters, which are a message's own JSON on HTTP+JSON.
    pub fn json(method: &str, path: &str, params: &str, wire: Wire) -> Self {
        match wire {
            Wire::JsonRpc => Self::rpc(format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{params}}}"#
            )),
            _ => Self::of("POST", path, params.as_bytes()),
        }
    }

    /// One more header, also if there is one of this name.
    pub fn also(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Another value of a header.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.also(name, value)
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    pub async fn send(&self, world: &World, wire: Wire) -> Reply {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(*name, value.parse().unwrap());
        }
        if wire == Wire::Grpc {
            return raw_grpc(world.address, &self.path, &headers, self.body.clone()).await;
        }
        Reply::read(
            exchange(
                world.address,
                None,
                request(&self.verb, &self.path, &headers, self.body.clone()),
            )
            .await,
        )
        .await
    }

    /// The answer in one line: `3 REASON` on gRPC, `200 -32602 REASON` on JSON-RPC, `400 REASON` on HTTP+JSON.
    pub async fn fire(&self, world: &World, wire: Wire) -> String {
        let reply = self.send(world, wire).await;
        let kind = reply.header("content-type").to_owned();
        let asked = if self.body.is_empty() {
            "application/a2a+json"
        } else {
            "application/json"
        };
        let (expected, line) = match wire {
            Wire::Grpc => ("application/grpc", grpc_line(&reply)),
            Wire::JsonRpc => ("application/json", json_line(&reply, "data", true)),
            Wire::HttpJson => (asked, json_line(&reply, "details", false)),
        };
        assert_eq!(reply.header("x-request-id"), "r", "{self:?}");
        if wire != Wire::Grpc {
            assert_eq!(reply.header("x-content-type-options"), "nosniff");
            assert_eq!(reply.header("x-frame-options"), "DENY");
            assert_eq!(
                reply.header("strict-transport-security"),
                "",
                "it came in the clear"
            );
        }
        // A request in a foreign media type is answered in the protocol's own, and so is a path that is no endpoint.
        let is_foreign = ["415", "404", "405"]
            .iter()
            .any(|status| line.starts_with(status));
        if kind != expected && !(is_foreign && kind.starts_with("application/")) {
            return format!("{line} as {kind}");
        }
        line
    }
}

fn grpc_line(reply: &Reply) -> String {
    use tonic_types::StatusExt as _;
    assert_eq!(reply.status, 200);
    let Some(status) = tonic::Status::from_header_map(&reply.headers) else {
        return "no status".to_owned();
    };
    if status.code() == tonic::Code::Ok {
        return "ok".to_owned();
    }
    let details = status.get_error_details();
    let reason = details
        .error_info()
        .map_or("no reason", |info| info.reason.as_str())
        .to_owned();
    format!("{} {reason}", status.code() as i32)
}

fn json_line(reply: &Reply, details: &str, with_code: bool) -> String {
    let json = reply.json();
    let Some(error) = json.get("error") else {
        return "ok".to_owned();
    };
    let info = error.get(details).and_then(|details| details.get(0));
    let reason = info
        .and_then(|info| info["reason"].as_str())
        .unwrap_or("no reason");
    if with_code {
        return format!("{} {} {reason}", reply.status, error["code"]);
    }
    assert_eq!(error["code"], reply.status);
    format!("{} {reason}", reply.status)
}

/// JSON of a message with another text in the place of one.
pub fn altered(message: &impl serde::Serialize, from: &str, to: &str) -> String {
    let text = String::from_utf8(json::to_vec(message).unwrap()).unwrap();
    assert!(text.contains(from), "{text}");
    text.replacen(from, to, 1)
}
