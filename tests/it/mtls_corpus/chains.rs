//! Certificates with good names and something else that counts: time, purpose, chain, revocation, keys, bytes.

use rcgen::{
    BasicConstraints, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256,
};
use rustls::pki_types::CertificateDer;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::Case;
use super::Verdict::{In, Out};
use super::names::NAMELESS;
use super::world::{
    DNS, ID, Issuer, PARTNERS_REVOKED, Shown, World, below, changed, client, dns, new_key, private, serial,
    uri,
};

pub fn cases(world: &World) -> Vec<Case> {
    let mut cases = Vec::new();
    times(world, &mut cases);
    usages(world, &mut cases);
    purposes(world, &mut cases);
    chains(world, &mut cases);
    broken_chains(world, &mut cases);
    revocations(world, &mut cases);
    keys(world, &mut cases);
    bytes(world, &mut cases);
    cases
}

fn times(world: &World, cases: &mut Vec<Case>) {
    let now = OffsetDateTime::now_utc();
    let (hour, minute) = (Duration::HOUR, Duration::MINUTE);
    let rows = [
        (
            "over since a minute",
            now - hour,
            now - minute,
            Some("certificate expired"),
        ),
        (
            "over since years",
            now - hour * 80_000,
            now - hour * 70_000,
            Some("certificate expired"),
        ),
        ("in a minute", now + minute, now + hour, Some("not valid yet")),
        (
            "in years",
            now + hour * 70_000,
            now + hour * 80_000,
            Some("not valid yet"),
        ),
        ("never", now + hour, now - hour, Some("Expired")),
        ("since a second", now - Duration::SECOND, now + hour, None),
        ("for ten minutes yet", now - hour, now + minute * 10, None),
        ("for ever", now - hour, datetime!(9999-12-31 23:59:59 UTC), None),
        ("since 1970", datetime!(1970-01-01 00:00:00 UTC), now + hour, None),
    ];
    for (what, not_before, not_after, why) in rows {
        let shown = world.show(&changed(|params| {
            params.not_before = not_before;
            params.not_after = not_after;
        }));
        cases.push(Case::judged(format!("valid {what}"), shown, why));
    }
}

/// The strict rule alone looks at what a leaf's key is for.
fn usages(world: &World, cases: &mut Vec<Case>) {
    use KeyUsagePurpose as Usage;
    let sign = Usage::DigitalSignature;
    let rows: [(&str, &[Usage], bool); 7] = [
        ("nothing that is said", &[], true),
        ("signatures and key agreement", &[sign, Usage::KeyAgreement], true),
        (
            "all that a leaf may",
            &[
                sign,
                Usage::KeyAgreement,
                Usage::KeyEncipherment,
                Usage::ContentCommitment,
            ],
            true,
        ),
        ("certificates too", &[sign, Usage::KeyCertSign], false),
        ("lists too", &[sign, Usage::CrlSign], false),
        ("certificates only", &[Usage::KeyCertSign], false),
        ("encryption only", &[Usage::KeyEncipherment], false),
    ];
    for (what, usages, is_leaf) in rows {
        let case = Case::good(
            format!("a key for {what}"),
            world.show(&changed(|params| params.key_usages = usages.to_vec())),
        );
        cases.push(if is_leaf {
            case
        } else {
            Case {
                spiffe: Out(NAMELESS),
                ..case
            }
        });
    }
    let unreadable = changed(|params| {
        params.key_usages = Vec::new();
        let junk = CustomExtension::from_oid_content(&[2, 5, 29, 15], b"junk".to_vec());
        params.custom_extensions = vec![junk];
    });
    cases.push(Case {
        spiffe: Out(NAMELESS),
        ..Case::good(
            "a key usage that cannot be read".to_owned(),
            world.show(&unreadable),
        )
    });
}

fn purposes(world: &World, cases: &mut Vec<Case>) {
    use ExtendedKeyUsagePurpose as Purpose;
    let rows: [(&str, &[Purpose], Option<&str>); 8] = [
        ("servers", &[Purpose::ServerAuth], Some("extended key usage")),
        ("code", &[Purpose::CodeSigning], Some("extended key usage")),
        ("mail", &[Purpose::EmailProtection], Some("extended key usage")),
        (
            "lists of standing",
            &[Purpose::OcspSigning],
            Some("extended key usage"),
        ),
        (
            "any purpose, not this one",
            &[Purpose::Any],
            Some("extended key usage"),
        ),
        (
            "clients and servers",
            &[Purpose::ClientAuth, Purpose::ServerAuth],
            None,
        ),
        (
            "servers and clients",
            &[Purpose::ServerAuth, Purpose::ClientAuth],
            None,
        ),
        ("whatever it likes", &[], None),
    ];
    for (what, purposes, why) in rows {
        let shown = world.show(&changed(|params| params.extended_key_usages = purposes.to_vec()));
        cases.push(Case::judged(format!("made for {what}"), shown, why));
    }
    let authority = changed(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    cases.push(Case::judged(
        "an authority as a client".to_owned(),
        world.show(&authority),
        Some("CaUsedAsEndEntity"),
    ));
    let said = changed(|params| params.is_ca = IsCa::ExplicitNoCa);
    cases.push(Case::good(
        "says that it is no authority".to_owned(),
        world.show(&said),
    ));
}

fn chains(world: &World, cases: &mut Vec<Case>) {
    let (leaf, middle, lower) = (changed(|_| {}), &world.middle, &world.lower);
    let rows: [(&str, &Issuer, &[&Issuer]); 8] = [
        ("straight from the root", &world.example, &[]),
        ("with the root along", &world.example, &[&world.example]),
        ("one below", middle, &[middle]),
        ("two below", lower, &[lower, middle]),
        ("two below, in the wrong order", lower, &[middle, lower]),
        ("one below, twice", middle, &[middle, middle]),
        ("with a stranger along", &world.example, &[&world.stranger]),
        (
            "below, with the root and others along",
            lower,
            &[
                &world.partner,
                lower,
                &world.unlisted_middle,
                middle,
                &world.example,
            ],
        ),
    ];
    for (what, issuer, above) in rows {
        cases.push(Case::good(what.to_owned(), world.show_by(&leaf, issuer, above)));
    }
    for (what, issuer) in [
        ("outside its authority's names", &world.elsewhere),
        ("among its authority's excluded names", &world.excluding),
    ] {
        let shown = world.show_by(&leaf, issuer, &[issuer]);
        cases.push(Case::judged(
            what.to_owned(),
            shown,
            Some("NameConstraintViolation"),
        ));
    }
}

fn broken_chains(world: &World, cases: &mut Vec<Case>) {
    let (leaf, middle) = (changed(|_| {}), &world.middle);
    let now = OffsetDateTime::now_utc();
    let unknown = Some("UnknownIssuer");
    let mut judge = |what: &str, shown: Shown, why| cases.push(Case::judged(what.to_owned(), shown, why));
    let (stranger, nobody) = (&world.stranger, &world.nobody);
    judge("by a stranger", world.show_by(&leaf, nobody, &[]), unknown);
    judge(
        "by a stranger, who comes along",
        world.show_by(&leaf, nobody, &[nobody]),
        unknown,
    );
    let forged = Some("BadSignature");
    judge(
        "by one of the right name",
        world.show_by(&leaf, stranger, &[]),
        forged,
    );
    judge(
        "by one of the right name, who comes along",
        world.show_by(&leaf, stranger, &[stranger]),
        forged,
    );
    judge(
        "by one of the right name, with the right one along",
        world.show_by(&leaf, stranger, &[&world.example]),
        forged,
    );
    judge("by itself", world.show_self_signed(&leaf), unknown);
    judge(
        "without the one between",
        world.show_by(&leaf, middle, &[]),
        unknown,
    );
    judge(
        "without the upper one between",
        world.show_by(&leaf, &world.lower, &[&world.lower]),
        unknown,
    );
    let made =
        |name: &str, change: &dyn Fn(&mut rcgen::CertificateParams)| below(&world.example, name, change);
    let rows: [(&str, Issuer, &str); 5] = [
        (
            "below one that is over",
            made("old CA", &|params| params.not_after = now - Duration::MINUTE),
            "certificate expired",
        ),
        (
            "below one that is to come",
            made("new CA", &|params| params.not_before = now + Duration::MINUTE),
            "not valid yet",
        ),
        (
            "below one that is no authority",
            made("no CA", &|params| params.is_ca = IsCa::NoCa),
            "EndEntityUsedAsCa",
        ),
        (
            "below one that says so",
            made("no CA", &|params| params.is_ca = IsCa::ExplicitNoCa),
            "EndEntityUsedAsCa",
        ),
        (
            "below one for servers only",
            made("server CA", &|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]
            }),
            "extended key usage",
        ),
    ];
    for (what, issuer, why) in &rows {
        judge(what, world.show_by(&leaf, issuer, &[issuer]), Some(why));
    }
    let narrow = made("narrow CA", &|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))
    });
    let too_low = below(&narrow, "too low CA", |_| {});
    judge(
        "too many between",
        world.show_by(&leaf, &too_low, &[&too_low, &narrow]),
        Some("PathLenConstraintViolated"),
    );
}

fn revocations(world: &World, cases: &mut Vec<Case>) {
    let numbered = |number: u8| changed(|params| params.serial_number = Some(serial(number)));
    let mut judge = |what: &str, shown: Shown, why| cases.push(Case::judged(what.to_owned(), shown, why));
    judge("on the list", world.show(&numbered(5)), Some("Revoked"));
    judge("not on the list, one further", world.show(&numbered(6)), None);
    let middle = &world.middle;
    judge(
        "on the list of the one between",
        world.show_by(&numbered(6), middle, &[middle]),
        Some("Revoked"),
    );
    judge(
        "on another list only",
        world.show_by(&numbered(5), middle, &[middle]),
        None,
    );
    let (revoked, unlisted) = (&world.revoked_middle, &world.unlisted_middle);
    let leaf = changed(|_| {});
    judge(
        "below one on the list",
        world.show_by(&leaf, revoked, &[revoked]),
        Some("Revoked"),
    );
    judge(
        "below one without a list",
        world.show_by(&leaf, unlisted, &[unlisted]),
        Some("UnknownRevocationStatus"),
    );
    judge(
        "with the number of another authority's",
        world.show(&numbered(PARTNERS_REVOKED)),
        None,
    );
    let id = "spiffe://partner.example/a";
    let mut partner = client(vec![uri(id), dns(DNS)]);
    cases.push(Case {
        spiffe: In(id.to_owned()),
        either: In(id.to_owned()),
        ..Case::good(
            "a partner".to_owned(),
            world.show_by(&partner, &world.partner, &[]),
        )
    });
    partner.serial_number = Some(serial(PARTNERS_REVOKED));
    let shown = world.show_by(&partner, &world.partner, &[]);
    cases.push(Case::judged(
        "a partner on the partner's list".to_owned(),
        shown,
        Some("Revoked"),
    ));
}

fn keys(world: &World, cases: &mut Vec<Case>) {
    let leaf = changed(|_| {});
    for (what, algorithm) in [
        ("P-384", &PKCS_ECDSA_P384_SHA384),
        ("P-521", &PKCS_ECDSA_P521_SHA512),
        ("Ed25519", &PKCS_ED25519),
        ("RSA", &PKCS_RSA_SHA256),
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        cases.push(Case::good(
            format!("a key of {what}"),
            world.show_with_key(&leaf, &key),
        ));
    }
    // Somebody else's certificate, which is public, without its key.
    let stolen = Shown {
        key: private(&new_key()),
        ..world.show(&leaf)
    };
    cases.push(Case::judged(
        "another's certificate".to_owned(),
        stolen,
        Some("BadSignature"),
    ));
}

fn bytes(world: &World, cases: &mut Vec<Case>) {
    let leaf = world.show(&changed(|_| {})).chain.remove(0);
    let altered = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut der = leaf.to_vec();
        change(&mut der);
        world.show_der(CertificateDer::from(der), &[])
    };
    let find = |what: &[u8]| leaf.windows(what.len()).position(|part| part == what).unwrap();
    let (id_at, dns_at) = (find(ID.as_bytes()), find(DNS.as_bytes()));
    let mut judge =
        |what: &str, shown: Shown, why| cases.push(Case::judged(what.to_owned(), shown, Some(why)));
    judge("a byte behind", altered(&|der| der.push(0)), NAMELESS);
    judge(
        "another certificate behind",
        altered(&|der| der.extend_from_slice(&leaf)),
        NAMELESS,
    );
    judge(
        "a byte short",
        altered(&|der| der.truncate(der.len() - 1)),
        NAMELESS,
    );
    judge(
        "its first half",
        altered(&|der| der.truncate(der.len() / 2)),
        NAMELESS,
    );
    judge("one byte", altered(&|der| der.truncate(1)), NAMELESS);
    judge("another tag", altered(&|der| der[0] = 0x31), NAMELESS);
    judge(
        "text",
        altered(&|der| *der = b"-----BEGIN CERTIFICATE-----".to_vec()),
        NAMELESS,
    );
    judge("zeros", altered(&|der| der.fill(0)), NAMELESS);
    judge(
        "another signature",
        altered(&|der| *der.last_mut().unwrap() ^= 1),
        "BadSignature",
    );
    judge(
        "another name under the old signature",
        altered(&|der| {
            der[id_at + ID.len() - 1] = b'x';
            der[dns_at] = b'x';
        }),
        "BadSignature",
    );
    let unknown = |is_critical: bool| {
        changed(|params| {
            let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
            extension.set_criticality(is_critical);
            params.custom_extensions = vec![extension];
        })
    };
    judge(
        "an unknown critical extension",
        world.show(&unknown(true)),
        "UnsupportedCriticalExtension",
    );
    cases.push(Case::good(
        "an unknown extension".to_owned(),
        world.show(&unknown(false)),
    ));
}
