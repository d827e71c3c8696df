//! The official SDKs' clients, over each binding that they speak, and a receiver of webhooks by their conventions.

use crate::binary::Server;
use crate::peers::{node_passes, python_passes};

const PYTHON_CHECKS: &[&str] = &[
    "card",
    "send_blocking",
    "send_blocking_waits",
    "send_return_immediately",
    "send_history_length",
    "message_response",
    "message_response_stream",
    "parts_of_every_kind",
    "parts_come_back",
    "stream",
    "stream_many_events",
    "get",
    "list_pages",
    "list_filters",
    "cancel",
    "subscribe",
    "resubscribe_after_a_break",
    "subscribe_stays_through_input_required",
    "multi_turn",
    "multi_turn_with_tenant",
    "auth_required",
    "other_endings",
    "push_configs",
    "extended_card",
    "error_task_not_found",
    "error_not_cancelable",
    "error_unsupported",
    "error_content_type",
    "error_invalid_params",
    "error_without_capabilities",
    "error_extension_required",
];

const NODE_CHECKS: &[&str] = &[
    "card",
    "send_blocking",
    "send_return_immediately",
    "message_response",
    "parts_come_back",
    "stream",
    "get",
    "list_pages",
    "list_filters",
    "cancel",
    "subscribe",
    "subscribe_stays_through_input_required",
    "multi_turn",
    "multi_turn_with_tenant",
    "push_configs",
    "extended_card",
    "error_task_not_found",
    "error_not_cancelable",
    "error_unsupported",
    "error_content_type",
    "error_without_capabilities",
    "error_extension_required",
];

const RECEIVER_CHECKS: &[&str] = &[
    "events_are_parsed_by_the_sdks_types",
    "the_sdks_sender_sends_the_same",
    "who_refuses_the_token_gets_it_again",
];

/// Three servers: all capabilities, none, and a required extension.
struct Servers(Vec<Server>);

impl Servers {
    fn start() -> Self {
        let start = |capabilities| {
            Server::start(&[
                "--database",
                "memory",
                "--default-agent",
                "conformance",
                "--allow-loopback-webhooks",
                "--card-capabilities",
                capabilities,
            ])
        };
        Self(["full", "none", "required-extension"].map(start).into())
    }

    fn arguments(&self, binding: &str) -> Vec<String> {
        let urls = self.0.iter().map(Server::url);
        std::iter::once(binding.to_owned()).chain(urls).collect()
    }
}

fn python(binding: &str) {
    let servers = Servers::start();
    let arguments = servers.arguments(binding);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    python_passes("python_client.py", &arguments, PYTHON_CHECKS);
}

fn node(binding: &str) {
    let servers = Servers::start();
    let arguments = servers.arguments(binding);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    node_passes("js_client.mjs", &arguments, NODE_CHECKS);
}

#[test]
fn python_over_grpc() {
    python("GRPC");
}

#[test]
fn python_over_json_rpc() {
    python("JSONRPC");
}

#[test]
fn python_over_http_json() {
    python("HTTP+JSON");
}

#[test]
fn node_over_grpc() {
    node("GRPC");
}

#[test]
fn node_over_json_rpc() {
    node("JSONRPC");
}

#[test]
fn node_over_http_json() {
    node("HTTP+JSON");
}

#[test]
fn a_receiver_by_the_conventions_of_the_python_sdk_takes_our_webhooks() {
    let server = Server::start(&[
        "--database",
        "memory",
        "--default-agent",
        "conformance",
        "--allow-loopback-webhooks",
        "--set",
        "push.backoff_min_ms=20",
        "--set",
        "push.backoff_max_ms=100",
    ]);
    python_passes("push_receiver.py", &[&server.url()], RECEIVER_CHECKS);
}
