//! What each fuzz target does with an input, and what must hold of the outcome whatever the input is.
//!
//! A new target is a function here, a row in [`TARGETS`], a `[[bin]]` in `Cargo.toml` and a folder of seeds in `corpus`;
//! a test compares the four.

mod api_key;
mod audit;
mod certificate;
mod edits;
mod messages;
mod proxies;
mod reducer;
mod requests;
mod signature;
mod streams;
mod tokens;
mod webhook;
mod wire;
mod world;

/// A name and its body, which panics when something does not hold.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 18] = [
    ("protobuf", messages::protobuf),
    ("proto_json", messages::proto_json),
    ("json_rpc", requests::json_rpc),
    ("rest", requests::rest),
    ("headers", requests::headers),
    ("page_token", requests::page_token),
    ("grpc", requests::grpc),
    ("webhook", webhook::url),
    ("sse", streams::sse),
    ("reducer", reducer::events),
    ("certificate", certificate::identity),
    ("forwarded", proxies::forwarded),
    ("http1", wire::http1),
    ("http2", wire::http2),
    ("jwt", tokens::jwt),
    ("api_key", api_key::text),
    ("audit", audit::log),
    ("signature", signature::headers),
];

/// Runs the body of a target.
pub fn run(name: &str, input: &[u8]) {
    let (_, body) = TARGETS
        .iter()
        .find(|(target, _)| *target == name)
        .unwrap_or_else(|| panic!("no target is called {name}"));
    body(input);
}
