//! Who may come in, and what they may do there: credentials good and bad, on every binding and through real sockets.

mod api_keys;
mod bound;
mod cards;
mod feeds;
pub mod issuer;
mod matrix;
mod organisations;
mod roles;
mod streams;
mod tampering;
mod token_corpus;
mod tokens;

use std::net::SocketAddr;

use a2ad::config::{AccessRole, AccessSpace, Config};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::sockets::soon;

/// Who has one of these scopes may do this.
fn scope_role(scope: &str, operations: &[&str]) -> AccessRole {
    AccessRole {
        scopes: texts(&[scope]),
        operations: texts(operations),
        ..AccessRole::default()
    }
}

/// Callers with the same value of a claim share their tasks.
fn shared_by(claim: &str) -> AccessSpace {
    AccessSpace {
        claim: Some(claim.to_owned()),
        ..AccessSpace::default()
    }
}

/// Whoever has a credential may do everything.
fn allow_all(config: &mut Config) {
    config.access.default = a2ad::config::DefaultAccess::Allow;
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

/// What a server answers to this text, to its end.
async fn spoken(address: SocketAddr, text: &str) -> String {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon("an answer", tcp.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
