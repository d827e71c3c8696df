//! How a test client connects: in the clear, or by TLS with or without a certificate.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use a2ad::tls::ClientTls;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

/// A connection of either kind.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

#[derive(Clone)]
pub enum Dial {
    Clear,
    /// In the clear, from one of the machine's own addresses.
    From(IpAddr),
    Tls {
        http1: Arc<ClientConfig>,
        http2: Arc<ClientConfig>,
    },
}

impl Dial {
    pub async fn tls(tls: &ClientTls) -> Self {
        let config = async |alpn: &str| Arc::new(tls.rustls(&[alpn]).await.unwrap());
        Self::Tls {
            http1: config("http/1.1").await,
            http2: config("h2").await,
        }
    }

    pub async fn connect(&self, address: SocketAddr, is_http2: bool) -> std::io::Result<Box<dyn Io>> {
        let config = match self {
            Self::Clear => return Ok(Box::new(TcpStream::connect(address).await?)),
            Self::From(own) => {
                let socket = TcpSocket::new_v4()?;
                socket.bind(SocketAddr::new(*own, 0))?;
                return Ok(Box::new(socket.connect(address).await?));
            }
            Self::Tls { http2, .. } if is_http2 => http2,
            Self::Tls { http1, .. } => http1,
        };
        let tcp = TcpStream::connect(address).await?;
        let name = "localhost".try_into().unwrap();
        let tls = TlsConnector::from(config.clone()).connect(name, tcp).await?;
        Ok(Box::new(tls))
    }

    /// A gRPC channel that connects when it is first used.
    pub fn channel(&self, address: SocketAddr) -> Channel {
        let dial = self.clone();
        Endpoint::from_shared(format!("http://{address}"))
            .unwrap()
            .connect_with_connector_lazy(service_fn(move |_: Uri| {
                let dial = dial.clone();
                async move { dial.connect(address, true).await.map(TokioIo::new) }
            }))
    }
}
