//! The step that connects.

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::net::TcpStream;

/// Connects to an address that has been judged; the last thing between a policy and the network.
#[async_trait]
pub trait Dial: Send + Sync + 'static {
    /// A connection to exactly this address.
    ///
    /// # Errors
    /// As the system gives them.
    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream>;
}

/// TCP, as the system does it.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpDial;

#[async_trait]
impl Dial for TcpDial {
    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        // What was judged is what is spoken to, whatever stands between this call and the network.
        let peer = stream.peer_addr()?;
        if (peer.ip().to_canonical(), peer.port()) != (address.ip().to_canonical(), address.port()) {
            return Err(io::Error::other("the system connected to another address"));
        }
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}
