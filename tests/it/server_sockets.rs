//! The server room on plain sockets: protocols, limits, ages and the end.

use a2ad::server::ServerSettings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::sockets::{Server, http1, http2, request, soon, text};

#[tokio::test]
async fn both_protocols_are_served_on_one_port() {
    let server = Server::start(None, ServerSettings::default()).await;
    let mut one = http1(server.connect().await).await.unwrap();
    let mut two = http2(server.connect().await).await.unwrap();
    for _ in 0..2 {
        let answer = soon("an answer", one.send.send_request(request("/")))
            .await
            .unwrap();
        assert_eq!(text(answer).await, "HTTP/1.1 plain anonymous");
        let answer = soon("an answer", two.send.send_request(request("/")))
            .await
            .unwrap();
        assert_eq!(text(answer).await, "HTTP/2.0 plain anonymous");
        one.send.ready().await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_does_not_get_on_is_closed() {
    let settings = ServerSettings {
        header_timeout_ms: 50,
        ..ServerSettings::default()
    };
    let server = Server::start(None, settings).await;
    for sent in ["", "PRI * HT", "GET / HTTP/1.1\r\nhost: a\r\n"] {
        let mut tcp = server.connect().await;
        tcp.write_all(sent.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let _ = soon("the end of a stalled connection", tcp.read_to_end(&mut rest)).await;
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_on_both_protocols() {
    let settings = ServerSettings {
        header_bytes_max: 1_024,
        ..ServerSettings::default()
    };
    let server = Server::start(None, settings).await;
    let large = || {
        let mut request = request("/");
        request
            .headers_mut()
            .insert("x-large", "a".repeat(2_000).parse().unwrap());
        request
    };
    let mut one = http1(server.connect().await).await.unwrap();
    assert_eq!(
        soon("an answer", one.send.send_request(large()))
            .await
            .unwrap()
            .status(),
        431
    );
    let mut two = http2(server.connect().await).await.unwrap();
    let answer = soon("an answer", two.send.send_request(large())).await;
    assert!(
        answer.map_or(true, |answer| answer.status() == 431),
        "a large header list must not get through"
    );
}

#[tokio::test]
async fn beyond_the_most_connections_the_next_one_waits_for_its_turn() {
    let settings = ServerSettings {
        connections_max: 1,
        ..ServerSettings::default()
    };
    let server = Server::start(None, settings).await;
    let mut first = http2(server.connect().await).await.unwrap();
    soon("an answer", first.send.send_request(request("/")))
        .await
        .unwrap();

    let mut second = http1(server.connect().await).await.unwrap();
    let mut waiting = std::pin::pin!(second.send.send_request(request("/")));
    for _ in 0..20 {
        tokio::select! {
            biased;
            answer = &mut waiting => panic!("served beyond the limit: {answer:?}"),
            answer = first.send.send_request(request("/")) => assert_eq!(answer.unwrap().status(), 200),
        }
    }
    drop(first.send);
    assert_eq!(
        soon("the second connection's turn", waiting)
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn beyond_the_most_connections_of_one_address_the_next_one_is_closed() {
    let settings = ServerSettings {
        connections_per_address_max: 2,
        ..ServerSettings::default()
    };
    let server = Server::start(None, settings).await;
    let mut first = http2(server.connect().await).await.unwrap();
    let mut second = http1(server.connect().await).await.unwrap();
    soon("an answer", first.send.send_request(request("/")))
        .await
        .unwrap();
    soon("an answer", second.send.send_request(request("/")))
        .await
        .unwrap();
    let mut third = server.connect().await;
    let read = soon("the end", third.read(&mut [0; 1])).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    drop(second);
    // Its place is free once the server has noticed that it is closed.
    loop {
        if let Ok(mut fourth) = http1(server.connect().await).await
            && fourth.send.send_request(request("/")).await.is_ok()
        {
            break;
        }
    }
    soon("an answer", first.send.send_request(request("/")))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_http2_connection_without_requests_is_closed_and_one_with_them_is_not() {
    let settings = ServerSettings {
        idle_timeout_ms: 200,
        ..ServerSettings::default()
    };
    let server = Server::start(None, settings).await;
    let mut busy = http2(server.connect().await).await.unwrap();
    let mut idle = http2(server.connect().await).await.unwrap();
    soon("an answer", idle.send.send_request(request("/")))
        .await
        .unwrap();
    let mut held = std::pin::pin!(busy.send.send_request(request("/hold")));
    tokio::select! {
        biased;
        () = idle.closed() => {}
        answer = &mut held => panic!("nobody has let it go: {answer:?}"),
    }
    server.gate.open();
    assert_eq!(soon("an answer", held).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_crowd_of_connections_may_be_waiting_when_draining_begins() {
    let settings = ServerSettings {
        connections_max: 1,
        ..ServerSettings::default()
    };
    let server = Server::start(None, settings).await;
    let mut first = http2(server.connect().await).await.unwrap();
    soon("an answer", first.send.send_request(request("/")))
        .await
        .unwrap();
    let _second = server.connect().await;
    server.shutdown.drain();
    server.done().await;
}

#[tokio::test]
async fn draining_ends_although_idle_connections_are_kept_open() {
    let server = Server::start(None, ServerSettings::default()).await;
    let mut one = http1(server.connect().await).await.unwrap();
    text(
        soon("an answer", one.send.send_request(request("/")))
            .await
            .unwrap(),
    )
    .await;
    let mut two = http2(server.connect().await).await.unwrap();
    text(
        soon("an answer", two.send.send_request(request("/")))
            .await
            .unwrap(),
    )
    .await;
    let _silent = server.connect().await;

    server.shutdown.drain();
    one.closed().await;
    two.closed().await;
    let addr = server.addr;
    server.done().await;
    assert!(
        TcpStream::connect(addr).await.is_err(),
        "the listener must be closed"
    );
}

#[tokio::test]
async fn draining_finishes_open_requests_first() {
    let mut server = Server::start(None, ServerSettings::default()).await;
    let mut one = http1(server.connect().await).await.unwrap();
    let mut two = http2(server.connect().await).await.unwrap();
    let both = async {
        tokio::join!(
            one.send.send_request(request("/hold")),
            two.send.send_request(request("/hold"))
        )
    };
    let (gate, shutdown) = (server.gate.clone(), server.shutdown.clone());
    let drain = async {
        gate.entered().await;
        gate.entered().await;
        shutdown.drain();
        tokio::task::yield_now().await;
        assert!(!server.is_done(), "requests are open");
        gate.open();
        gate.open();
    };
    let ((first, second), ()) = tokio::join!(both, drain);
    assert_eq!(text(first.unwrap()).await, "HTTP/1.1 plain anonymous");
    assert_eq!(text(second.unwrap()).await, "HTTP/2.0 plain anonymous");
    server.done().await;
}

#[tokio::test]
async fn aborting_cuts_open_requests_off() {
    let server = Server::start(None, ServerSettings::default()).await;
    let mut one = http1(server.connect().await).await.unwrap();
    let mut two = http2(server.connect().await).await.unwrap();
    let both = async {
        tokio::join!(
            one.send.send_request(request("/hold")),
            two.send.send_request(request("/hold"))
        )
    };
    let abort = async {
        server.gate.entered().await;
        server.gate.entered().await;
        server.shutdown.abort();
    };
    let ((first, second), ()) = soon("the cut", async { tokio::join!(both, abort) }).await;
    assert!(first.is_err() && second.is_err());
    server.done().await;
}

#[tokio::test]
async fn an_old_connection_finishes_its_requests_and_closes() {
    let settings = ServerSettings {
        connection_age_ms: 50,
        ..ServerSettings::default()
    };
    let server = Server::start(None, settings).await;
    let mut idle = http2(server.connect().await).await.unwrap();
    soon("an answer", idle.send.send_request(request("/")))
        .await
        .unwrap();

    let mut busy = http2(server.connect().await).await.unwrap();
    let asked = busy.send.send_request(request("/hold"));
    let age = async {
        server.gate.entered().await;
        idle.closed().await;
        server.gate.open();
    };
    let (answer, ()) = tokio::join!(asked, age);
    assert_eq!(text(answer.unwrap()).await, "HTTP/2.0 plain anonymous");
    busy.closed().await;
}

#[tokio::test]
async fn an_old_connection_is_cut_when_its_grace_is_over() {
    let settings = ServerSettings {
        connection_age_ms: 20,
        connection_age_grace_ms: 20,
        ..ServerSettings::default()
    };
    let server = Server::start(None, settings).await;
    let mut busy = http2(server.connect().await).await.unwrap();
    let cut = soon("the cut", busy.send.send_request(request("/hold"))).await;
    assert!(cut.is_err());
}

#[tokio::test]
async fn a_client_that_stops_answering_pings_is_closed() {
    let settings = ServerSettings {
        ping_interval_ms: 20,
        ping_timeout_ms: 20,
        ..ServerSettings::default()
    };
    let server = Server::start(None, settings).await;
    let mut tcp = server.connect().await;
    // The preface and empty settings, and then nothing more: no answer to settings or pings.
    tcp.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let _ = soon("the end of a dead connection", tcp.read_to_end(&mut rest)).await;
}

/// The preface with empty settings, and then for each of 200 streams a request and one more frame.
fn abuse(headers_flags: u8, then: impl Fn([u8; 4]) -> Vec<u8>) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for n in 0..200_u32 {
        let stream = (2 * n + 1).to_be_bytes();
        // GET, http, /hold: the first two from HPACK's static table, the path as a literal.
        let block = b"\x82\x86\x04\x05/hold";
        bytes.extend([0, 0, block.len() as u8, 1, headers_flags]);
        bytes.extend(stream);
        bytes.extend(block);
        bytes.extend(then(stream));
    }
    bytes
}

/// True when an HTTP/2 answer ends with GOAWAY for ENHANCE_YOUR_CALM.
fn is_calmed(mut answer: &[u8]) -> bool {
    while let [high, mid, low, kind, _flags, _, _, _, _, rest @ ..] = answer {
        let length = u32::from_be_bytes([0, *high, *mid, *low]) as usize;
        if *kind == 7 && rest.get(4..8) == Some(&[0, 0, 0, 0xb]) {
            return true;
        }
        answer = rest.get(length..).unwrap_or_default();
    }
    false
}

async fn answer_to(bytes: &[u8]) -> Vec<u8> {
    let server = Server::start(None, ServerSettings::default()).await;
    let mut tcp = server.connect().await;
    let mut answer = Vec::new();
    // Writing and the end of reading may fail: the server has closed by then.
    let _ = tcp.write_all(bytes).await;
    let _ = soon("the end of an abusive connection", tcp.read_to_end(&mut answer)).await;
    answer
}

#[tokio::test]
async fn a_client_that_resets_what_it_opens_is_sent_away() {
    let reset = |stream: [u8; 4]| [&[0, 0, 4, 3, 0], stream.as_slice(), &[0, 0, 0, 8]].concat();
    let answer = answer_to(&abuse(0x5, reset)).await;
    assert!(is_calmed(&answer), "{answer:?}");
}

#[tokio::test]
async fn a_client_that_makes_us_reset_its_streams_is_sent_away() {
    // A window that overflows is an error of its stream alone (RFC 9113 section 6.9.1).
    let overflow =
        |stream: [u8; 4]| [&[0, 0, 4, 8, 0], stream.as_slice(), &[0x7f, 0xff, 0xff, 0xff]].concat();
    let answer = answer_to(&abuse(0x4, overflow)).await;
    assert!(is_calmed(&answer), "{answer:?}");
}

#[tokio::test]
async fn the_limits_of_http2_are_announced() {
    let server = Server::start(None, ServerSettings::default()).await;
    let mut tcp = server.connect().await;
    tcp.write_all(&abuse(0x5, |_| Vec::new())[..33]).await.unwrap();
    let mut frame = [0; 9];
    soon("the settings", tcp.read_exact(&mut frame)).await.unwrap();
    assert_eq!(frame[3], 4, "the first frame must be SETTINGS");
    let mut settings = vec![0; frame[2] as usize];
    soon("the settings", tcp.read_exact(&mut settings)).await.unwrap();
    let announced = |id: u8, value: u32| {
        let entry = [&[0, id], value.to_be_bytes().as_slice()].concat();
        settings.chunks(6).any(|chunk| chunk == entry)
    };
    assert!(announced(3, 256), "concurrent streams: {settings:?}");
    assert!(announced(4, 64 * 1024), "stream window: {settings:?}");
    assert!(announced(6, 16 * 1024), "header list: {settings:?}");
}
