//! From names to addresses.

use std::io;
use std::net::IpAddr;

use async_trait::async_trait;

/// Looks names up. Whatever it answers is judged: it need not be trusted.
#[async_trait]
pub trait Resolve: Send + Sync + 'static {
    /// The addresses of a name, in the order in which they are to be tried.
    ///
    /// # Errors
    /// When the name is not known, or nobody can say.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of this machine: its file of hosts, then its name servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((host, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}
