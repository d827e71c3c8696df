//! Certificates that are good but for their names, and their names.

use rcgen::{DnType, OtherNameValue, SanType};

use super::Case;
use super::Verdict::{In, Out};
use super::world::{DNS, Entry, ID, World, client, dns, raw_names, uri};

/// What the verifier says of a certificate that names nobody whom its listener knows.
pub const NAMELESS: &str = "ApplicationVerificationFailure";

const GOOD_IDS: &[&str] = &[
    "spiffe://example.org/a",
    "spiffe://example.org/client",
    "spiffe://example.org/ns/prod/sa/billing",
    "spiffe://example.org/a.b-c_d",
    "spiffe://example.org/A/B/C",
    "spiffe://example.org/0",
    "spiffe://example.org/...",
    "spiffe://example.org/.a",
    "spiffe://example.org/a..",
    "spiffe://example.org/-",
    "spiffe://example.org/_",
    "spiffe://example.org/client.example.org",
    "spiffe://example.org/CN/admin",
];

const BAD_IDS: &[&str] = &[
    "spiffe://",
    "spiffe:///a",
    "spiffe://example.org",
    "spiffe://example.org/",
    "spiffe://example.org/a/",
    "spiffe://example.org//a",
    "spiffe://example.org/a//b",
    "spiffe://example.org/.",
    "spiffe://example.org/..",
    "spiffe://example.org/./a",
    "spiffe://example.org/a/../b",
    "spiffe://Example.org/a",
    "spiffe://EXAMPLE.ORG/a",
    "SPIFFE://example.org/a",
    "Spiffe://example.org/a",
    "spiffe:example.org/a",
    "spiffe:/example.org/a",
    "spiffe://example.org/a?b",
    "spiffe://example.org/a#b",
    "spiffe://example.org?/a",
    "spiffe://me@example.org/a",
    "spiffe://me:pass@example.org/a",
    "spiffe://example.org:443/a",
    "spiffe://example.org:/a",
    "spiffe://example.org/%61",
    "spiffe://example%2eorg/a",
    "spiffe://example.org/a\0",
    "spiffe://example.org\0.evil.org/a",
    "spiffe://example.org/a\n",
    "spiffe://example.org/a\r\nb",
    "spiffe://example.org/a b",
    "spiffe://example.org /a",
    "spiffe://example.org/a*",
    "spiffe://example.org/*",
    "spiffe://*/a",
    "spiffe://*.example.org/a",
    "spiffe://example.org\\a",
    "spiffe://example.org/a\\b",
    "spiffe://[::1]/a",
    "spiffe://example.org/~a",
    "spiffe://example.org/a;b",
    "spiffe://example.org/a,spiffe://example.org/b",
    "spiffe://example.org/a!",
    "spiffe://\texample.org/a",
];

/// URI names that are no SPIFFE ids at all: a DNS name beside them may still count.
const OTHER_URIS: &[&str] = &[
    "https://example.org/a",
    "urn:example:a",
    "spiffes://example.org/a",
    " spiffe://example.org/a",
    "//example.org/a",
    "example.org/a",
    "xspiffe://example.org/a",
    "",
];

/// Trust domains that look like a listed one.
const OTHER_DOMAINS: &[&str] = &[
    "org",
    "sub.example.org",
    "example.org.evil.net",
    "example.orgg",
    "xample.org",
    "example.or",
    "example-org",
    "example_org",
    "example..org",
    ".example.org",
    "example.org.",
    "10.0.0.1",
    "unknown.example",
];

const GOOD_DNS: &[&str] = &[
    "client.example.org",
    "Client.Example.ORG",
    "localhost",
    "a",
    "a-b.example.org",
    "a_b.example.org",
    "xn--bcher-kva.example",
    "1.example.org",
    "a1",
    "a.b.c.d.e.f.g.example.org",
];

const BAD_DNS: &[&str] = &[
    "",
    ".",
    "*",
    "*.example.org",
    "a.*.org",
    "a*.example.org",
    "*a.example.org",
    "example.org.",
    ".example.org",
    "a..b",
    "-a.example.org",
    "a-.example.org",
    "example.org\0.evil.org",
    "client.example.org\0",
    "a b",
    " a",
    "a\n",
    "a\r\nb",
    "10.0.0.1",
    "1",
    "[::1]",
    "::1",
    "a/b",
    "a:1",
    "a@b",
    "a%2eb",
    "spiffe://example.org/a",
    "dns:client.example.org",
];

pub fn cases(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    ids(world, &mut cases);
    domains(world, &mut cases);
    dns_names(world, &mut cases);
    several(world, &mut cases);
    other_kinds(world, &mut cases);
    raw(world, &mut cases);
    cases
}

fn ids(world: &World, cases: &mut Vec<Case>) {
    let path_of = |bytes: usize| format!("spiffe://example.org/{}", "a".repeat(bytes - 21));
    let (longest, too_long) = (path_of(2048), path_of(2049));
    for id in GOOD_IDS.iter().copied().chain([longest.as_str()]) {
        cases.push(Case {
            what: format!("the id {id:?}"),
            shown: world.show(&client(vec![uri(id)])),
            spiffe: In(id.to_owned()),
            either: In(id.to_owned()),
            dns: Out(NAMELESS),
        });
    }
    for id in BAD_IDS.iter().copied().chain([too_long.as_str()]) {
        cases.push(Case {
            what: format!("the bad id {id:?}"),
            shown: world.show(&client(vec![uri(id), dns(DNS)])),
            spiffe: Out(NAMELESS),
            either: Out(NAMELESS),
            dns: In(format!("dns:{DNS}")),
        });
    }
    for other in OTHER_URIS {
        cases.push(Case {
            what: format!("the URI {other:?}"),
            shown: world.show(&client(vec![uri(other), dns(DNS)])),
            spiffe: Out(NAMELESS),
            either: In(format!("dns:{DNS}")),
            dns: In(format!("dns:{DNS}")),
        });
    }
}

fn domains(world: &World, cases: &mut Vec<Case>) {
    let (longest, too_long) = ("a".repeat(255), "a".repeat(256));
    for domain in OTHER_DOMAINS.iter().copied().chain([longest.as_str()]) {
        let id = format!("spiffe://{domain}/a");
        cases.push(Case {
            what: format!("the trust domain {domain:?}"),
            shown: world.show(&client(vec![uri(&id)])),
            spiffe: Out(NAMELESS),
            either: In(id),
            dns: Out(NAMELESS),
        });
    }
    cases.push(Case {
        what: "a trust domain of 256 bytes".to_owned(),
        shown: world.show(&client(vec![uri(&format!("spiffe://{too_long}/a"))])),
        spiffe: Out(NAMELESS),
        either: Out(NAMELESS),
        dns: Out(NAMELESS),
    });
    let authorities = [
        ("example.org", &world.example),
        ("partner.example", &world.partner),
        ("shared.example", &world.shared),
    ];
    for (domain, _) in authorities {
        for (own, issuer) in authorities {
            let id = format!("spiffe://{domain}/a");
            cases.push(Case {
                what: format!("a member of {domain} by the authority of {own}"),
                shown: world.show_by(&client(vec![uri(&id)]), issuer, &[]),
                spiffe: if domain == own {
                    In(id.clone())
                } else {
                    Out("UnknownIssuer")
                },
                either: In(id),
                dns: Out(NAMELESS),
            });
        }
    }
}

fn dns_names(world: &World, cases: &mut Vec<Case>) {
    let longest_label = "a".repeat(63);
    let longest = [longest_label.as_str(); 3].join(".") + "." + &"a".repeat(61);
    for name in GOOD_DNS
        .iter()
        .copied()
        .chain([longest_label.as_str(), longest.as_str()])
    {
        let identity = format!("dns:{}", name.to_ascii_lowercase());
        cases.push(Case {
            what: format!("the DNS name {name:?}"),
            shown: world.show(&client(vec![dns(name)])),
            spiffe: Out(NAMELESS),
            either: In(identity.clone()),
            dns: In(identity),
        });
    }
    let (too_long_label, too_long) = ("a".repeat(64), longest.clone() + "a");
    for name in BAD_DNS
        .iter()
        .copied()
        .chain([too_long_label.as_str(), too_long.as_str()])
    {
        cases.push(Case {
            what: format!("the bad DNS name {name:?}"),
            shown: world.show(&client(vec![dns(name)])),
            spiffe: Out(NAMELESS),
            either: Out(NAMELESS),
            dns: Out(NAMELESS),
        });
    }
}

fn several(world: &World, cases: &mut Vec<Case>) {
    let id = || In(ID.to_owned());
    let name = || In(format!("dns:{DNS}"));
    let rows = [
        (
            "two ids",
            vec![uri(ID), uri("spiffe://example.org/b")],
            Out(NAMELESS),
            Out(NAMELESS),
            Out(NAMELESS),
        ),
        (
            "one id twice",
            vec![uri(ID), uri(ID)],
            Out(NAMELESS),
            Out(NAMELESS),
            Out(NAMELESS),
        ),
        (
            "ids of two trust domains",
            vec![uri(ID), uri("spiffe://partner.example/b")],
            Out(NAMELESS),
            Out(NAMELESS),
            Out(NAMELESS),
        ),
        (
            "an id and another URI",
            vec![uri(ID), uri("https://example.org"), dns(DNS)],
            Out(NAMELESS),
            Out(NAMELESS),
            name(),
        ),
        (
            "another URI and an id",
            vec![uri("https://example.org"), uri(ID), dns(DNS)],
            Out(NAMELESS),
            Out(NAMELESS),
            name(),
        ),
        (
            "two other URIs",
            vec![uri("https://a.org"), uri("https://b.org"), dns(DNS)],
            Out(NAMELESS),
            Out(NAMELESS),
            name(),
        ),
        (
            "an id and a DNS name",
            vec![uri(ID), dns(DNS)],
            id(),
            id(),
            name(),
        ),
        (
            "a DNS name and an id",
            vec![dns(DNS), uri(ID)],
            id(),
            id(),
            name(),
        ),
        (
            "an id and a wildcard",
            vec![uri(ID), dns("*.example.org")],
            id(),
            id(),
            Out(NAMELESS),
        ),
        (
            "an id and two DNS names",
            vec![uri(ID), dns(DNS), dns("b.example.org")],
            id(),
            id(),
            Out(NAMELESS),
        ),
        (
            "two DNS names",
            vec![dns(DNS), dns("b.example.org")],
            Out(NAMELESS),
            name(),
            Out(NAMELESS),
        ),
        (
            "one DNS name twice",
            vec![dns(DNS), dns(DNS)],
            Out(NAMELESS),
            name(),
            Out(NAMELESS),
        ),
        (
            "a DNS name and a wildcard",
            vec![dns(DNS), dns("*.example.org")],
            Out(NAMELESS),
            name(),
            Out(NAMELESS),
        ),
        (
            "a wildcard and a DNS name",
            vec![dns("*.example.org"), dns(DNS)],
            Out(NAMELESS),
            Out(NAMELESS),
            Out(NAMELESS),
        ),
    ];
    for (what, names, spiffe, either, dns) in rows {
        cases.push(Case {
            what: what.to_owned(),
            shown: world.show(&client(names)),
            spiffe,
            either,
            dns,
        });
    }
}

/// Names that never count, alone and beside one that does.
fn other_kinds(world: &World, cases: &mut Vec<Case>) {
    let kinds = [
        (
            "an e-mail address",
            SanType::Rfc822Name("client@example.org".try_into().unwrap()),
        ),
        ("an IPv4 address", SanType::IpAddress([10, 0, 0, 1].into())),
        (
            "an IPv6 address",
            SanType::IpAddress([0_u16, 0, 0, 0, 0, 0, 0, 1].into()),
        ),
        (
            "another name that holds an id",
            SanType::OtherName((
                vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3],
                OtherNameValue::Utf8String(ID.to_owned()),
            )),
        ),
    ];
    for (what, kind) in kinds {
        cases.push(Case::nameless(
            format!("nothing but {what}"),
            world.show(&client(vec![kind.clone()])),
        ));
        let beside = client(vec![kind, uri(ID), dns(DNS)]);
        cases.push(Case::good(
            format!("{what} beside good names"),
            world.show(&beside),
        ));
    }
    for common_name in [ID, DNS, "*", "spiffe://example.org/admin"] {
        let mut params = client(Vec::new());
        params.distinguished_name.push(DnType::CommonName, common_name);
        cases.push(Case::nameless(
            format!("the common name {common_name:?} alone"),
            world.show(&params),
        ));
        params.subject_alt_names = vec![uri(ID), dns(DNS)];
        cases.push(Case::good(
            format!("the common name {common_name:?} beside good names"),
            world.show(&params),
        ));
    }
    let mut params = client(vec![uri(ID), dns(DNS)]);
    params.distinguished_name = rcgen::DistinguishedName::new();
    cases.push(Case::good("no subject at all".to_owned(), world.show(&params)));
}

/// Extensions that no library for certificates would make.
fn raw(world: &World, cases: &mut Vec<Case>) {
    const URI: u8 = 0x86;
    const DNS_NAME: u8 = 0x82;
    let with = |extensions: Vec<rcgen::CustomExtension>| {
        let mut params = client(Vec::new());
        params.custom_extensions = extensions;
        world.show(&params)
    };
    let good = || raw_names(&[(URI, ID.as_bytes()), (DNS_NAME, DNS.as_bytes())]);
    let mut critical = good();
    critical.set_criticality(true);
    cases.push(Case::good(
        "names as we make them ourselves".to_owned(),
        with(vec![good()]),
    ));
    cases.push(Case::good("critical names".to_owned(), with(vec![critical])));
    let bad: [(&str, &[Entry]); 8] = [
        ("no names in the extension", &[]),
        ("an id that is not UTF-8", &[(URI, b"spiffe://ex\xff.org/a")]),
        (
            "an id with an umlaut",
            &[(URI, "spiffe://ex\u{e4}mple.org/a".as_bytes())],
        ),
        (
            "an id with a full-width letter",
            &[(URI, "spiffe://\u{ff45}xample.org/a".as_bytes())],
        ),
        (
            "an id with a right-to-left mark",
            &[(URI, "spiffe://example.org/\u{202e}a".as_bytes())],
        ),
        ("a DNS name that is not UTF-8", &[(DNS_NAME, b"cl\xffent.org")]),
        (
            "a DNS name with a Cyrillic letter",
            &[(DNS_NAME, "\u{430}.example.org".as_bytes())],
        ),
        ("an id under an unknown tag", &[(0x89, ID.as_bytes())]),
    ];
    for (what, entries) in bad {
        cases.push(Case::nameless(what.to_owned(), with(vec![raw_names(entries)])));
    }
    // Not as DER wants it, and yet the same name for everybody who reads it.
    let mut params = client(Vec::new());
    params.custom_extensions = vec![raw_names(&[(0xa6, ID.as_bytes())])];
    cases.push(Case {
        dns: Out(NAMELESS),
        ..Case::good("an id marked as constructed".to_owned(), world.show(&params))
    });
    let junk = |bytes: &[u8]| rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 17], bytes.to_vec());
    cases.push(Case::nameless(
        "junk for names".to_owned(),
        with(vec![junk(b"junk")]),
    ));
    cases.push(Case::nameless(
        "names cut short".to_owned(),
        with(vec![junk(&[0x30, 0x20, URI, 3, b'a'])]),
    ));
    cases.push(Case::nameless(
        "the names twice".to_owned(),
        with(vec![good(), good()]),
    ));
    let other = raw_names(&[(URI, b"spiffe://example.org/admin")]);
    cases.push(Case::nameless(
        "names, then others".to_owned(),
        with(vec![good(), other]),
    ));
}
