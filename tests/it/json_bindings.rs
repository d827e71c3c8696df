//! The two JSON bindings over a real core, without sockets: bad input row by row, envelopes, streams, documents.

mod bad_input;
mod bad_rows;
mod documents;
mod harness;
mod http_json;
mod json_rpc;
mod streams;
