//! The many ways to write one address, and URLs that mean something else than they seem to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What must become of a URL under the default policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is connected to.
    Refused,
    /// Exactly this address is connected to.
    Reaches(SocketAddr),
}

pub struct Case {
    pub url: String,
    pub verdict: Verdict,
}

/// IPv4 addresses that nobody outside may reach.
const INNER_V4: [[u8; 4]; 20] = [
    [0, 0, 0, 0],
    [10, 0, 0, 1],
    [10, 255, 255, 255],
    [100, 64, 0, 1],
    [100, 100, 100, 200],
    [127, 0, 0, 1],
    [127, 255, 255, 254],
    [168, 63, 129, 16],
    [169, 254, 169, 254],
    [172, 16, 0, 1],
    [172, 31, 255, 254],
    [192, 0, 0, 192],
    [192, 0, 2, 1],
    [192, 88, 99, 1],
    [192, 168, 1, 1],
    [198, 18, 0, 1],
    [203, 0, 113, 7],
    [224, 0, 0, 251],
    [240, 0, 0, 1],
    [255, 255, 255, 255],
];

const OUTER_V4: [[u8; 4]; 6] = [
    [1, 1, 1, 1],
    [8, 8, 8, 8],
    [9, 255, 255, 255],
    [11, 0, 0, 1],
    [172, 32, 0, 1],
    [223, 255, 255, 254],
];

const INNER_V6: [&str; 22] = [
    "::",
    "::1",
    "::2",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:0:10.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::10.0.0.1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
];

const OUTER_V6: [&str; 4] = [
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2a00:1450:4001:81b::200e",
    "2620:fe::fe",
];

/// An IPv4 address as the parsers of this world read it.
fn spellings_v4(bytes: [u8; 4]) -> Vec<String> {
    let [a, b, c, d] = bytes;
    let number = u32::from_be_bytes(bytes);
    let (last3, last2) = (number & 0x00ff_ffff, number & 0xffff);
    let dotted = format!("{a}.{b}.{c}.{d}");
    let wide = |from: u32| {
        let widen = |c: char| c.to_digit(10).and_then(|n| char::from_u32(from + n)).unwrap_or(c);
        dotted.chars().map(widen).collect::<String>()
    };
    vec![
        dotted.clone(),
        format!("{dotted}."),
        number.to_string(),
        format!("{number:#x}"),
        format!("{number:#o}").replace('o', ""),
        format!("0X{number:08X}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("000{a:o}.{b}.{c:#x}.{d}"),
        format!("{a}.{last3}"),
        format!("{a}.{b}.{last2}"),
        format!("{a:#x}.{last3:#x}"),
        dotted.replace('.', "%2e"),
        dotted.chars().map(|c| format!("%{:02X}", c as u32)).collect(),
        // Full-width, mathematical and circled digits, and the full stop of Chinese.
        wide(0xff10),
        wide(0x1d7ce),
        dotted.replace('.', "\u{3002}"),
        // A soft hyphen and a blank of no width, which names lose.
        dotted.replacen('.', ".\u{ad}", 1),
        dotted.replacen('.', "\u{200b}.", 1),
    ]
}

/// An IPv4 address that is mapped into IPv6: the same host.
fn mapped(bytes: [u8; 4]) -> Vec<String> {
    let address = Ipv4Addr::from(bytes);
    let long = long(address.to_ipv6_mapped());
    vec![
        format!("[::ffff:{address}]"),
        format!("[::FFFF:{address}]"),
        format!("[0:0:0:0:0:ffff:{address}]"),
        format!("[{long}]"),
        format!("[{}]", long.to_uppercase()),
    ]
}

/// All eight groups with all their digits.
fn long(address: Ipv6Addr) -> String {
    let groups: Vec<String> = address
        .segments()
        .iter()
        .map(|group| format!("{group:04x}"))
        .collect();
    groups.join(":")
}

/// Other hosts that lead to an IPv4 address in the end, whatever that is.
fn tunnelled(bytes: [u8; 4]) -> Vec<String> {
    let address = Ipv4Addr::from(bytes);
    let [a, b, c, d] = bytes;
    vec![
        format!("[::{address}]"),
        format!("[64:ff9b::{address}]"),
        format!("[64:ff9b:1::{address}]"),
        format!("[2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1]"),
    ]
}

fn spellings_v6(text: &str) -> Vec<String> {
    let address: Ipv6Addr = text.parse().unwrap();
    vec![
        format!("[{text}]"),
        format!("[{}]", text.to_uppercase()),
        format!("[{}]", long(address)),
        format!("[{address}]"),
    ]
}

fn refused(url: impl Into<String>) -> Case {
    Case {
        url: url.into(),
        verdict: Verdict::Refused,
    }
}

fn reaches(url: impl Into<String>, address: IpAddr, port: u16) -> Case {
    Case {
        url: url.into(),
        verdict: Verdict::Reaches(SocketAddr::new(address, port)),
    }
}

/// Every address in each of its spellings.
pub fn of_addresses() -> Vec<Case> {
    let mut cases = Vec::new();
    for bytes in INNER_V4 {
        let spellings = [spellings_v4(bytes), mapped(bytes), tunnelled(bytes)].concat();
        cases.extend(
            spellings
                .iter()
                .map(|host| refused(format!("https://{host}/hook"))),
        );
        cases.push(refused(format!("https://{}:8443/", Ipv4Addr::from(bytes))));
        cases.push(refused(format!("http://{}/", Ipv4Addr::from(bytes))));
    }
    for bytes in OUTER_V4 {
        let address = Ipv4Addr::from(bytes).into();
        let spellings = [spellings_v4(bytes), mapped(bytes)].concat();
        let taken = spellings.iter().map(|host| format!("https://{host}/hook"));
        cases.extend(taken.map(|url| reaches(url, address, 443)));
        let tunnelled = tunnelled(bytes);
        cases.extend(
            tunnelled
                .iter()
                .map(|host| refused(format!("https://{host}/hook"))),
        );
    }
    for text in INNER_V6 {
        let spellings = spellings_v6(text);
        cases.extend(
            spellings
                .iter()
                .map(|host| refused(format!("https://{host}/hook"))),
        );
    }
    for text in OUTER_V6 {
        let spellings = spellings_v6(text);
        let taken = spellings.iter().map(|host| format!("https://{host}/hook"));
        cases.extend(taken.map(|url| reaches(url, text.parse().unwrap(), 443)));
    }
    cases
}

/// URLs that are no URLs, or whose host is not what it looks like.
pub fn of_syntax() -> Vec<Case> {
    let refused_urls = [
        "",
        "/hook",
        "//8.8.8.8/",
        "8.8.8.8",
        "8.8.8.8:443/hook",
        "https:8.8.8.8/",
        "https:/8.8.8.8/",
        "https:///8.8.8.8/",
        "https://",
        "https:///",
        "https://?x",
        "https://#x",
        "https://:443/",
        " https://8.8.8.8/",
        "https://8.8.8.8/ ",
        "\thttps://8.8.8.8/",
        "https://8.8.8.8/\u{0}",
        "https://8.8.8.8\r\n/",
        "https://8.8.8.8/a b",
        "https://8.8.8.8/\u{85}",
        "ht\ntps://127.0.0.1/",
        "https:\\\\8.8.8.8\\",
        "https://8.8.8.8\\@127.0.0.1/",
        "https://127.0.0.1\\.example.com/",
        "https://user@8.8.8.8/",
        "https://user:secret@8.8.8.8/",
        "https://@8.8.8.8/",
        "https://:@8.8.8.8/",
        "https://8.8.8.8@127.0.0.1/",
        "https://127.0.0.1@8.8.8.8/",
        "https://a%40b@8.8.8.8/",
        "http://8.8.8.8/",
        "HTTP://8.8.8.8/",
        "ftp://8.8.8.8/",
        "file:///etc/passwd",
        "file://8.8.8.8/etc/passwd",
        "gopher://8.8.8.8/",
        "ws://8.8.8.8/",
        "wss://8.8.8.8/",
        "unix:///run/docker.sock",
        "javascript://8.8.8.8/",
        "data:text/plain,hello",
        "httpss://8.8.8.8/",
        "https+unix://8.8.8.8/",
        "https://8.8.8.8:0/",
        "https://8.8.8.8:65536/",
        "https://8.8.8.8:-1/",
        "https://8.8.8.8:443:443/",
        "https://8.8.8.8:https/",
        "https://8.8.8.8:%34%34%33/",
        "https://[::1/",
        "https://::1/",
        "https://[::1]a/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[2606:4700::1%25lo]/",
        "https://[::ffff:127.0.0.1%25lo]/",
        "https://[v1.fe80]/",
        "https://[8.8.8.8]/",
        "https://[127.0.0.1]/",
        "https://[::ffff:0x7f.0.0.1]/",
        "https://[::ffff:127.1]/",
        "https://[:::1]/",
        "https://[1::2::3]/",
        "https://256.256.256.256/",
        "https://8.8.8.256/",
        "https://8.8.8.8.8/",
        "https://4294967296/",
        "https://0x100000000/",
        "https://127.0.0.09/",
        "https://8..8.8/",
        "https://.8.8.8.8/",
        "https://8.8.8.8../",
        "https://0/",
        "https://0x/",
        "https://0x0/",
        "https://1/",
        "https://0.0/",
        "https://127.1/",
        "https://127.0.1/",
        "https://017700000001/",
        "https://0177.1/",
        "https://0x7f.1/",
        "https://localhost/",
        "https://LOCALHOST/",
        "https://localhost./",
        "https://LocalHost:8443/",
        "https://a.localhost/",
        "https://a.b.localhost./",
        "https://l\u{ad}ocalhost/",
        "https://\u{24db}ocalhost/",
        "https://\u{ff4c}\u{ff4f}\u{ff43}\u{ff41}\u{ff4c}host/",
        "https://local%68ost/",
        "https://localhost\u{3002}/",
        "https://localhost.localdomain/",
        "https://intranet/",
        "https://metadata/",
        "https://metadata.google.internal/",
        "https://METADATA.GOOGLE.INTERNAL./",
        "https://instance-data.ec2.internal/",
        "https://printer.local/",
        "https://router.home.arpa/",
        "https://exa%00mple.com/",
        "https://exa%0ample.com/",
        "https://exa%2fmple.com/",
        "https://exa mple.com/",
        "https://exa<mple.com/",
        "https://exa!mple.com/",
        "https://exa..mple.com/",
        "https://exa|mple.com/",
        "https://exa^mple.com/",
        "https://example.com%40127.0.0.1/",
        "https://xn--/",
        "https://xn--a/",
    ];
    let mut cases: Vec<Case> = refused_urls.into_iter().map(refused).collect();
    cases.push(refused(format!("https://8.8.8.8/{}", "a".repeat(2_048))));
    let eight = IpAddr::from([8, 8, 8, 8]);
    for (url, port) in [
        ("https://8.8.8.8", 443),
        ("HTTPS://8.8.8.8/", 443),
        ("https://8.8.8.8:443/", 443),
        ("https://8.8.8.8:/", 443),
        ("https://8.8.8.8:1/", 1),
        ("https://8.8.8.8:8443/", 8443),
        ("https://8.8.8.8:00443/", 443),
        ("https://8.8.8.8:65535/", 65535),
        ("https://8.8.8.8?url=https://127.0.0.1/", 443),
        ("https://8.8.8.8#@127.0.0.1/", 443),
        ("https://8.8.8.8/@127.0.0.1", 443),
        ("https://8.8.8.8/http://localhost/", 443),
        ("https://8.8.8.8/%0d%0aHost:%20localhost", 443),
        ("https://8.8.8.8/[::1]|^`{}", 443),
    ] {
        cases.push(reaches(url, eight, port));
    }
    cases
}
