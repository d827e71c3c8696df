//! A bare sender: hyper's client in a loop, with one body that was encoded once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::{Outcome, payload};

/// Takes an order in one line, `ADDRESS CONNECTIONS COUNT`, posts that many bodies there over that many connections, and
/// says `done`; then the next one.
pub async fn serve(listener: TcpListener) -> Outcome {
    loop {
        let (tcp, _) = listener.accept().await?;
        let mut tcp = BufReader::new(tcp);
        let mut line = String::new();
        tcp.read_line(&mut line).await?;
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [address, connections, count] = fields[..] else {
            return Err("not an order".into());
        };
        post(address.parse()?, connections.parse()?, count.parse()?).await?;
        tcp.write_all(b"done\n").await?;
    }
}

/// Has a bare sender post, and waits for the end of it.
pub async fn order(sender: SocketAddr, receiver: SocketAddr, connections: usize, count: u64) -> Outcome {
    let mut tcp = TcpStream::connect(sender).await?;
    tcp.write_all(format!("{receiver} {connections} {count}\n").as_bytes())
        .await?;
    let mut line = String::new();
    BufReader::new(tcp).read_line(&mut line).await?;
    if line == "done\n" {
        Ok(())
    } else {
        Err("the bare sender failed".into())
    }
}

async fn post(address: SocketAddr, connections: usize, count: u64) -> Outcome {
    let left = Arc::new(AtomicU64::new(count));
    let mut workers = JoinSet::new();
    for _ in 0..connections {
        workers.spawn(one_connection(address, left.clone()));
    }
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    Ok(())
}

async fn one_connection(address: SocketAddr, left: Arc<AtomicU64>) -> Outcome {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let (mut send, connection) = http1::handshake(TokioIo::new(tcp)).await?;
    let body = Bytes::from(a2ad::pb::json::to_vec(&payload::tick(
        1,
        false,
        payload::PADDING,
    ))?);
    let take = |left: u64| left.checked_sub(1);
    let posts = async move {
        while left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
        {
            send.ready().await?;
            let answer = send.send_request(request(address, body.clone())?).await?;
            if !answer.status().is_success() {
                return Err(format!("the receiver answered {}", answer.status()).into());
            }
            answer.into_body().collect().await?;
        }
        Outcome::Ok(())
    };
    tokio::try_join!(posts, async { Ok(connection.await?) })?;
    Ok(())
}

/// The headers of a delivery without credentials.
fn request(address: SocketAddr, body: Bytes) -> Outcome<Request<Full<Bytes>>> {
    let id = payload::TASK_ID;
    Ok(Request::post("/hook")
        .header(header::HOST, address.to_string())
        .header(header::CONTENT_TYPE, "application/a2a+json")
        .header(header::USER_AGENT, "bare")
        .header("a2a-version", "1.0")
        .header("a2a-notification-id", id)
        .header("idempotency-key", id)
        .header(
            "traceparent",
            "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00",
        )
        .body(Full::new(body))?)
}
