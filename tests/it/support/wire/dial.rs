//! How a test client connects: in the clear, or by TLS with or without a certificate.

use std::net::SocketAddr;
use std::sync::Arc;

use a2ad::tls::ClientTls;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

/// A connection of either kind.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

#[derive(Clone)]
pub enum Dial {
    Clear,
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
        let tcp = TcpStream::connect(address).await?;
        let Self::Tls { http1, http2 } = self else {
            return Ok(Box::new(tcp));
        };
        let config = if is_http2 { http2 } else { http1 };
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
