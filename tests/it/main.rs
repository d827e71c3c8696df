//! The integration tests, in one binary.

mod mtls_sockets;
mod server_sockets;
mod sockets;
