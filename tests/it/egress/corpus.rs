//! Some hundred spellings of URLs and addresses, each with its verdict: what is connected to is seen, and judged by
//! other means than those of the guard.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use a2ad::egress::{EgressPolicy, Error, Refusal};
use a2ad::shutdown::Shutdown;
use tokio::net::TcpListener;

use super::spellings::{Case, Verdict, of_addresses, of_syntax};
use super::world::{World, settings, with_loopback};
use crate::sockets::soon;

/// A listener of this machine that closes whatever comes: TLS fails there, behind the connection that counts here.
async fn closing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    Shutdown::new().spawn("closing", async move { while listener.accept().await.is_ok() {} });
    address
}

async fn world(policy: EgressPolicy) -> World {
    World::new(closing().await, &[], policy, settings()).await
}

/// Whether an address is of the internet, told by the beginning of its text and by what the standard library knows, not
/// by the guard's own tables.
fn is_outer(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let special = ["192.0.0.", "192.88.99.", "168.63.129.16"];
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_documentation()
                || v4.is_broadcast()
                || a == 0
                || a >= 224
                || (a == 100 && b & 0xc0 == 64)
                || (a == 198 && (b == 18 || b == 19))
                || special.iter().any(|start| v4.to_string().starts_with(start)))
        }
        IpAddr::V6(v6) => {
            let groups: Vec<String> = v6.segments().iter().map(|group| format!("{group:04x}")).collect();
            let text = groups.join(":");
            let is_global = text.starts_with('2') || text.starts_with('3');
            let is_protocol = text.starts_with("2001:00") || text.starts_with("2001:01");
            let special = ["2001:0db8:", "2002:", "3fff:0"];
            is_global && !is_protocol && !special.iter().any(|start| text.starts_with(start))
        }
    }
}

/// Runs each case; the number of cases, and what was wrong.
async fn judge(world: &World, cases: &[Case], wrong: &mut Vec<String>) {
    for Case { url, verdict } in cases {
        let ended = soon("an answer", world.client.get(url)).await;
        let dialed = world.dialed();
        let expected = match verdict {
            Verdict::Refused => matches!(ended, Err(Error::Refused(_))) && dialed.is_empty(),
            Verdict::Reaches(address) => matches!(ended, Err(Error::Tls(_))) && dialed == [*address],
        };
        let leaked = dialed.iter().any(|address| !is_outer(address.ip()));
        if !expected || leaked {
            wrong.push(format!(
                "{url}: {verdict:?} was due; {ended:?}, connected to {dialed:?}"
            ));
        }
    }
}

/// Names, their answers, and the address that a request to each must reach.
const NAMES: [(&str, &[&str], Option<&str>); 24] = [
    ("one.example", &["8.8.8.8"], Some("8.8.8.8")),
    ("six.example", &["2606:4700::1111"], Some("2606:4700::1111")),
    (
        "both.example",
        &["2606:4700::1111", "1.1.1.1"],
        Some("2606:4700::1111"),
    ),
    ("mapped.example", &["::ffff:8.8.8.8"], Some("8.8.8.8")),
    ("dot.example.", &["8.8.8.8"], Some("8.8.8.8")),
    ("xn--bcher-kva.example", &["9.9.9.9"], Some("9.9.9.9")),
    ("loop.example", &["127.0.0.1"], None),
    ("loop6.example", &["::1"], None),
    ("private.example", &["10.0.0.1"], None),
    ("meta.example", &["169.254.169.254"], None),
    ("zero.example", &["0.0.0.0"], None),
    ("zero6.example", &["::"], None),
    ("mapped-loop.example", &["::ffff:127.0.0.1"], None),
    ("compatible.example", &["::127.0.0.1"], None),
    ("nat64.example", &["64:ff9b::a00:1"], None),
    ("sixtofour.example", &["2002:7f00:1::1"], None),
    ("unique.example", &["fd00::1"], None),
    ("link.example", &["fe80::1"], None),
    ("group.example", &["224.0.0.1"], None),
    ("split.example", &["8.8.8.8", "127.0.0.1"], None),
    ("split-first.example", &["10.0.0.1", "8.8.8.8"], None),
    ("split6.example", &["8.8.8.8", "fe80::1"], None),
    ("127.0.0.1.nip.example", &["127.0.0.1"], None),
    ("a.b.c.rebind.example", &["192.168.0.1"], None),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_spelling_is_judged_by_the_address_that_it_leads_to() {
    let world = world(EgressPolicy::default()).await;
    let mut cases = of_addresses();
    cases.extend(of_syntax());
    for (name, answers, reached) in NAMES {
        world.name(name, &[answers]);
        let verdict = match reached {
            Some(address) => Verdict::Reaches(SocketAddr::new(address.parse().unwrap(), 8443)),
            None => Verdict::Refused,
        };
        for spelling in [name.to_owned(), name.to_uppercase()] {
            cases.push(Case {
                url: format!("https://{spelling}:8443/hook?a=b"),
                verdict: verdict.clone(),
            });
        }
    }
    world.name("xn--bcher-kva.example", &[&["9.9.9.9"]]);
    cases.push(Case {
        url: "https://B\u{dc}CHER.example/".to_owned(),
        verdict: Verdict::Reaches("9.9.9.9:443".parse().unwrap()),
    });
    let mut wrong = Vec::new();
    judge(&world, &cases, &mut wrong).await;
    let taken = cases
        .iter()
        .filter(|case| case.verdict != Verdict::Refused)
        .count();
    println!(
        "{} spellings, {taken} of them taken, {} wrong",
        cases.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(
        cases.len() >= 300 && taken >= 100,
        "{} cases, {taken} taken",
        cases.len()
    );
}

/// The checker of these tests can fail.
#[test]
fn the_checker_knows_inner_addresses() {
    for inner in [
        "127.0.0.1",
        "10.0.0.1",
        "100.64.0.1",
        "198.19.0.1",
        "::1",
        "::8.8.8.8",
        "64:ff9b::1",
        "2002::1",
    ] {
        assert!(!is_outer(inner.parse().unwrap()), "{inner}");
    }
    for outer in [
        "8.8.8.8",
        "100.128.0.1",
        "198.20.0.1",
        "2606:4700::1",
        "2001:4860::1",
    ] {
        assert!(is_outer(outer.parse().unwrap()), "{outer}");
    }
    let mapped: Ipv6Addr = "::ffff:8.8.8.8".parse().unwrap();
    assert!(!is_outer(mapped.into()), "dialed as what it is");
}

/// A name that is public when it is looked up for the check and inner when it is looked up for the connection: it is
/// looked up once for each connection, and that answer is judged.
#[tokio::test]
async fn a_name_that_changes_its_mind_is_judged_each_time() {
    let world = world(EgressPolicy::default()).await;
    world.name("rebind.example", &[&["8.8.8.8"], &["127.0.0.1"], &["1.1.1.1"]]);
    let mut ends = Vec::new();
    for _ in 0..3 {
        ends.push(world.client.get("https://rebind.example/").await.unwrap_err());
    }
    assert!(
        matches!(
            ends[..],
            [Error::Tls(_), Error::Refused(Refusal::Host), Error::Tls(_)]
        ),
        "{ends:?}"
    );
    let expected: [SocketAddr; 2] = ["8.8.8.8:443".parse().unwrap(), "1.1.1.1:443".parse().unwrap()];
    assert_eq!(world.dialed(), expected);
}

#[tokio::test]
async fn a_name_with_too_many_addresses_or_none_is_not_connected_to() {
    let world = world(EgressPolicy::default()).await;
    world.name("many.example", &[&["8.8.8.8"; 17]]);
    world.name("most.example", &[&["8.8.8.8"; 16]]);
    world.name("none.example", &[&[]]);
    for name in ["many.example", "none.example", "unknown.example"] {
        let error = world.client.get(&format!("https://{name}/")).await.unwrap_err();
        assert!(matches!(error, Error::Resolve(_)), "{name}: {error}");
        assert_eq!(world.dialed(), []);
    }
    let error = world.client.get("https://most.example/").await.unwrap_err();
    assert!(matches!(error, Error::Tls(_)), "{error}");
    assert_eq!(world.dialed().len(), 1);
}

/// What the default policy refuses is reached where it is allowed, and nothing else is.
#[tokio::test]
async fn loopback_and_networks_are_reached_where_they_are_allowed() {
    let loopback = world(with_loopback()).await;
    let listed = world(EgressPolicy {
        allow_loopback: false,
        allowed_networks: vec!["10.1.0.0/16".parse().unwrap()],
        ..EgressPolicy::default()
    })
    .await;
    for world in [&loopback, &listed] {
        world.name("localhost", &[&["127.0.0.1"]]);
        world.name("hooks.internal", &[&["10.1.2.3"]]);
        world.name("other.internal", &[&["10.2.0.1"]]);
        world.name("lies.localhost", &[&["10.1.2.3"]]);
    }
    for (url, by_loopback, by_network) in [
        ("https://127.0.0.1/", true, false),
        ("http://127.0.0.1/", true, false),
        ("http://localhost/", true, false),
        ("http://[::1]/", true, false),
        ("http://lies.localhost/", false, false),
        ("https://10.1.2.3/", false, true),
        ("https://[::ffff:10.1.2.3]/", false, true),
        ("http://10.1.2.3/", false, false),
        ("https://hooks.internal/", false, true),
        ("https://other.internal/", false, false),
        ("https://10.2.0.1/", false, false),
        ("https://169.254.169.254/", false, false),
    ] {
        for (world, may) in [(&loopback, by_loopback), (&listed, by_network)] {
            let error = world.client.get(url).await.unwrap_err();
            assert_eq!(world.dialed().len(), usize::from(may), "{url}: {error}");
            assert_eq!(!matches!(error, Error::Refused(_)), may, "{url}: {error}");
        }
    }
}
