//! gRPC clients that are no SDK.

use crate::binary::Server;
use crate::peers::python_passes;

const CHECKS: &[&str] = &[
    "reflection_lists_the_services",
    "reflection_keeps_the_http_rules",
    "reflection_does_not_know_what_is_not_there",
    "calls_from_reflection_alone",
    "health_check",
    "health_watch",
    "gzip_by_a_client",
    "gzip_on_the_wire",
    "versions",
    "error_info",
    "bad_request",
    "unknown_methods_and_services",
    "deadline",
    "deadline_kept_by_the_server",
    "a_message_that_is_too_large",
    "a_compressed_message_that_is_too_large",
    "malformed_bytes",
    "a_value_that_is_nested_too_deeply",
    "streams_resume_by_generation",
    "parallel_calls_on_one_connection",
    "a_client_that_leaves_does_not_stop_its_task",
    "grpc_web",
    "grpc_web_stream_and_error",
    "threads_share_a_channel",
];

#[test]
fn grpcio_and_grpc_web() {
    let server = Server::start(&["--database", "memory", "--default-agent", "conformance"]);
    python_passes("grpc_raw.py", &[&server.addr.to_string()], CHECKS);
}
