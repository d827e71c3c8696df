//! Why a request did not go out, or got no answer. No text names an address that a name resolved to: whoever reads it
//! may be the one who chose the name.

/// What a URL must be to be taken, and is not. Each text goes on behind "the URL".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too long, or with characters that no URL has.
    #[error("must have at most 2048 characters, and no blanks or control characters")]
    Characters,
    /// Relative, or not a URL at all.
    #[error("must be an absolute https URL")]
    Form,
    /// A name or a password before the host.
    #[error("must not carry credentials")]
    Credentials,
    /// Another scheme than https.
    #[error("must use https")]
    Scheme,
    /// Port 0.
    #[error("must name a port from 1 to 65535")]
    Port,
    /// A name or an address that is not of the public internet, or a name that resolves to such an address.
    #[error("must name a public host")]
    Host,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The policy forbids it; nothing was connected to.
    #[error("the URL {0}")]
    Refused(#[from] Refusal),
    /// The name has no address, more than `egress.addresses_max`, or nobody can say.
    #[error("the host name can't be resolved: {0}; check it, and the name servers of this machine")]
    Resolve(String),
    /// No address takes a connection.
    #[error("no connection to the host: {0}")]
    Connect(String),
    /// This machine has no descriptor, port or memory left for a connection, or none of `egress.connections_max` became
    /// free in time. It says nothing of the host.
    #[error(
        "this machine has no room for another connection: {0}; look at its limit of open files and at egress.connections_max"
    )]
    Local(String),
    /// The host's certificate is not one that counts for its name, or it speaks no TLS.
    #[error("no TLS with the host: {0}; authorities of one's own belong into egress.ca_file")]
    Tls(String),
    /// It took longer than `egress.connect_timeout_ms` or `egress.timeout_ms`.
    #[error("the host did not answer in time")]
    Timeout,
    /// The answer's body is larger than `egress.response_bytes_max`.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// What came is not HTTP, or ended in the middle.
    #[error("the host does not speak HTTP as it should: {0}")]
    Http(String),
    /// An answer that is no success; redirects are among them, because they are not followed.
    #[error("the host answered with status {0}")]
    Status(u16),
    /// `egress.ca_file` can't be used.
    #[error("egress.ca_file: {0}")]
    Authorities(String),
}
