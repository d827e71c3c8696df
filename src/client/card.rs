//! Fetching an agent card from its well-known place (specification 8.2), by plain HTTP/1.1.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Address, Error};
use crate::pb::{AgentCard, json};
use crate::tls::ClientTls;

/// The most bytes that a card may have.
const CARD_BYTES_MAX: usize = 1 << 20;
/// How long fetching may take in all.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The card of the default agent, or of the agent named `agent`.
///
/// # Errors
/// When the server can't be reached or what it answers is not a card. Redirects are not followed.
pub async fn fetch_card(
    address: &Address,
    tls: Option<&ClientTls>,
    agent: Option<&str>,
) -> Result<AgentCard, Error> {
    let path = match agent {
        Some(agent) => format!("/{agent}/.well-known/agent-card.json"),
        None => "/.well-known/agent-card.json".to_owned(),
    };
    let bytes = tokio::time::timeout(TIMEOUT, get(address, tls, &path))
        .await
        .unwrap_or_else(|_| Err(unreachable(address, &format!("no answer within {TIMEOUT:?}"))))?;
    json::from_slice(&bytes).map_err(|error| Error::Card(error.to_string()))
}

async fn get(address: &Address, tls: Option<&ClientTls>, path: &str) -> Result<Bytes, Error> {
    let failed = |error: &dyn std::fmt::Display| unreachable(address, error);
    let tcp = TcpStream::connect((address.host(), address.port()))
        .await
        .map_err(|error| failed(&error))?;
    let Some(tls) = tls else {
        return exchange(address, tcp, path).await;
    };
    let config = tls.rustls(&["http/1.1"]).await?;
    let name = ServerName::try_from(address.host().to_owned()).map_err(|error| failed(&error))?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .map_err(|error| failed(&error))?;
    exchange(address, stream, path).await
}

async fn exchange<IO>(address: &Address, io: IO, path: &str) -> Result<Bytes, Error>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: &dyn std::fmt::Display| unreachable(address, error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(io))
        .await
        .map_err(|error| failed(&error))?;
    let request = Request::get(path)
        .header(header::HOST, format!("{}:{}", address.host(), address.port()))
        .header(header::ACCEPT, "application/a2a+json, application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(&error))?;
    let answer = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| failed(&error))?;
        if response.status() != StatusCode::OK {
            return Err(Error::Card(format!(
                "{address}{path} answered {}",
                response.status()
            )));
        }
        let body = Limited::new(response.into_body(), CARD_BYTES_MAX).collect().await;
        body.map(|body| body.to_bytes())
            .map_err(|error| Error::Card(error.to_string()))
    };
    tokio::select! {
        answer = answer => answer,
        ended = connection => Err(failed(&ended.err().map_or_else(|| "closed".to_owned(), |error| error.to_string()))),
    }
}

fn unreachable(address: &Address, cause: &dyn std::fmt::Display) -> Error {
    Error::Unreachable {
        address: address.to_string(),
        cause: cause.to_string(),
    }
}
