//! Whom a request comes from: the socket says it, and a configured proxy may say it better.

use std::net::SocketAddr;
use std::sync::Arc;

use a2ad::config::ProxyHeader;
use a2ad::server::{ServerSettings, TrustedProxies};
use http::HeaderValue;

use crate::sockets::{Server, http1, http2, request, soon, text};
use crate::support::messages::{get, send, task};
use crate::support::wire::{Wire, for_each_binding};
use crate::support::world::World;

for_each_binding!(a_stranger_cannot_say_who_he_is);

/// Headers by which a caller may pretend to be somebody else, and to have called something else.
const SPOOFED: [(&str, &str); 6] = [
    ("x-forwarded-for", "192.0.2.7"),
    ("forwarded", "for=192.0.2.7;host=evil.example;proto=https"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "https"),
    ("x-real-ip", "192.0.2.7"),
    ("x-forwarded-port", "1"),
];

async fn trusting(networks: &[&str], header: ProxyHeader) -> Server {
    let proxies = TrustedProxies {
        networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
        header,
    };
    let settings = ServerSettings {
        trusted_proxies: Arc::new(proxies),
        connections_per_address_max: 2,
        ..ServerSettings::default()
    };
    Server::start(None, settings).await
}

/// What the server takes for the address of a request with these headers, over both protocols.
async fn seen(
    server: &Server,
    headers: &[(&'static str, &str)],
) -> (SocketAddr, SocketAddr, [SocketAddr; 2]) {
    let ask = || {
        let mut request = request("/address");
        for (name, value) in headers {
            request
                .headers_mut()
                .append(*name, HeaderValue::from_str(value).unwrap());
        }
        request
    };
    let (one, two) = (server.connect().await, server.connect().await);
    let own = (one.local_addr().unwrap(), two.local_addr().unwrap());
    let mut one = http1(one).await.unwrap();
    let mut two = http2(two).await.unwrap();
    let first = soon("an answer", one.send.send_request(ask())).await.unwrap();
    let second = soon("an answer", two.send.send_request(ask())).await.unwrap();
    let addresses = [text(first).await, text(second).await].map(|text| text.parse().unwrap());
    (own.0, own.1, addresses)
}

#[tokio::test]
async fn headers_of_a_peer_that_is_not_trusted_are_ignored() {
    for networks in [&[][..], &["10.0.0.0/8", "::1/128"]] {
        let server = trusting(networks, ProxyHeader::XForwardedFor).await;
        let (one, two, addresses) = seen(&server, &SPOOFED).await;
        assert_eq!(addresses, [one, two]);
    }
}

#[tokio::test]
async fn a_trusted_proxy_names_its_client() {
    let client: SocketAddr = "192.0.2.7:0".parse().unwrap();
    for (header, name, value) in [
        (
            ProxyHeader::XForwardedFor,
            "x-forwarded-for",
            "6.6.6.6, 192.0.2.7, 127.0.0.9",
        ),
        (
            ProxyHeader::Forwarded,
            "forwarded",
            "for=6.6.6.6, for=192.0.2.7, for=127.0.0.9",
        ),
    ] {
        let server = trusting(&["127.0.0.0/8"], header).await;
        let (_, _, addresses) = seen(&server, &[(name, value)]).await;
        assert_eq!(addresses, [client; 2]);
    }
}

#[tokio::test]
async fn what_a_trusted_proxy_garbles_is_ignored() {
    let server = trusting(&["127.0.0.1/32"], ProxyHeader::XForwardedFor).await;
    for value in ["", "junk", "192.0.2.7, ", "192.0.2.300", "192.0.2.7, unknown"] {
        let (one, two, addresses) = seen(
            &server,
            &[("x-forwarded-for", value), ("forwarded", "for=192.0.2.7")],
        )
        .await;
        assert_eq!(addresses, [one, two], "{value}");
    }
}

/// It comes on behalf of many.
#[tokio::test]
async fn a_trusted_proxy_may_have_any_number_of_connections() {
    let server = trusting(&["127.0.0.1/32"], ProxyHeader::XForwardedFor).await;
    let mut connections = Vec::new();
    for _ in 0..10 {
        let mut connection = http2(server.connect().await).await.unwrap();
        soon("an answer", connection.send.send_request(request("/")))
            .await
            .unwrap();
        connections.push(connection);
    }
}

/// Neither who he is nor what he has called: the answers are the same, and no card names another host.
async fn a_stranger_cannot_say_who_he_is(wire: Wire) {
    let world = World::new().await;
    let honest = world.client(wire);
    let spoofing = SPOOFED.iter().fold(world.client(wire), |client, (name, value)| {
        client.with(name, value)
    });
    let made = task(spoofing.call(send("echo", "m", "x")).await.unwrap());
    let seen = honest.call(get("echo", &made.id)).await.unwrap();
    assert_eq!(spoofing.call(get("echo", &made.id)).await.unwrap(), seen);
    let own = world.address.to_string();
    for host in ["evil.example", "evil.example:1"] {
        let card = card(world.address, host).await;
        assert!(card.contains(&own) && !card.contains("evil"), "{card}");
    }
}

async fn card(address: SocketAddr, host: &str) -> String {
    let mut asked = request("/.well-known/agent-card.json");
    asked
        .headers_mut()
        .insert("host", HeaderValue::from_str(host).unwrap());
    for (name, value) in SPOOFED {
        asked.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut connection = http1(tcp).await.unwrap();
    text(soon("a card", connection.send.send_request(asked)).await.unwrap()).await
}
