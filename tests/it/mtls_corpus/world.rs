//! The authorities of the corpus, the listeners that know them, and how certificates are made.

use std::path::{Path, PathBuf};

use a2ad::tls::{Authorities, ClientNames, TlsSettings, TlsSource};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, CustomExtension,
    DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose,
    NameConstraints, PKCS_ECDSA_P256_SHA256, RevokedCertParams, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};

/// The name of the client in certificates whose names are not what they are about.
pub const ID: &str = "spiffe://example.org/client";
pub const DNS: &str = "client.example.org";

/// The serial number that the partner's authority has revoked, and example.org's has not.
pub const PARTNERS_REVOKED: u8 = 77;

pub type Issuer = CertifiedIssuer<'static, KeyPair>;

/// What a client shows: a chain, its own certificate first, and what it signs with.
pub struct Shown {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

/// Authorities of two trust domains, one that all share, and others below and beside them.
pub struct World {
    pub example: Issuer,
    pub partner: Issuer,
    pub shared: Issuer,
    /// Called as example.org's authority is, and not it.
    pub stranger: Issuer,
    /// Known to no listener at all.
    pub nobody: Issuer,
    /// Below example.org's authority, as the others that follow.
    pub middle: Issuer,
    /// Below `middle`, which its authority allows.
    pub lower: Issuer,
    pub revoked_middle: Issuer,
    /// Whose lists nobody has.
    pub unlisted_middle: Issuer,
    /// That may issue for example.net only.
    pub elsewhere: Issuer,
    /// That may issue for example.org, but not for [`DNS`].
    pub excluding: Issuer,
    /// The key of every client that has no key of its own.
    key: KeyPair,
    dir: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let example = root("example.org CA");
        let middle = below(&example, "middle CA", |_| {});
        let world = Self {
            lower: below(&middle, "lower CA", |_| {}),
            revoked_middle: below(&example, "revoked CA", |params| {
                params.serial_number = Some(serial(66))
            }),
            unlisted_middle: below(&example, "unlisted CA", |_| {}),
            elsewhere: below(&example, "example.net CA", |params| {
                constrain(params, "example.net", &[])
            }),
            excluding: below(&example, "excluding CA", |params| {
                constrain(params, "example.org", &[DNS])
            }),
            middle,
            example,
            partner: root("partner.example CA"),
            shared: root("shared CA"),
            stranger: root("example.org CA"),
            nobody: root("nobody's CA"),
            key: new_key(),
            dir: tempfile::tempdir().unwrap(),
        };
        world.write_files();
        world
    }

    fn write_files(&self) {
        let mut server = client(vec![dns("localhost")]);
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server = server.signed_by(&self.key, &self.shared).unwrap();
        self.write("server.pem", &server.pem());
        self.write("server.key", &self.key.serialize_pem());
        let authorities = [
            ("example", &self.example),
            ("partner", &self.partner),
            ("shared", &self.shared),
        ];
        for (name, issuer) in authorities {
            self.write(&format!("{name}.pem"), &issuer.pem());
        }
        let all: String = authorities.iter().map(|(_, issuer)| issuer.pem()).collect();
        self.write("all.pem", &all);

        let examples = [
            list(&self.example, &[66, 5]),
            list(&self.middle, &[6]),
            list(&self.lower, &[]),
            list(&self.revoked_middle, &[]),
            list(&self.elsewhere, &[]),
            list(&self.excluding, &[]),
        ]
        .concat();
        let partners = list(&self.partner, &[PARTNERS_REVOKED]);
        let shared = list(&self.shared, &[]);
        self.write("example.crl", &examples);
        self.write("partner.crl", &partners);
        self.write("shared.crl", &shared);
        self.write("all.crl", &[examples, partners, shared].concat());
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The file with the authority that the server's certificate comes from.
    pub fn server_ca(&self) -> PathBuf {
        self.path("shared.pem")
    }

    /// A listener with this rule. The strict one knows three trust domains, two of which have authorities of their own;
    /// the others take all authorities for any name.
    pub async fn listener(&self, names: ClientNames) -> TlsSource {
        let own = |name: &str| {
            Some(Authorities {
                ca_file: self.path(&format!("{name}.pem")),
                crl_files: vec![self.path(&format!("{name}.crl"))],
            })
        };
        let mutual = |ca: &Path| TlsSettings::mutual(self.path("server.pem"), self.path("server.key"), ca);
        let settings = match names {
            ClientNames::Spiffe => TlsSettings {
                trust_domains: [
                    ("example.org".to_owned(), own("example")),
                    ("partner.example".to_owned(), own("partner")),
                    ("shared.example".to_owned(), None),
                ]
                .into(),
                crl_files: vec![self.path("shared.crl")],
                ..mutual(&self.path("shared.pem"))
            },
            ClientNames::SpiffeOrDns | ClientNames::Dns => TlsSettings {
                crl_files: vec![self.path("all.crl")],
                ..mutual(&self.path("all.pem"))
            },
        };
        TlsSource::open(TlsSettings {
            client_names: names,
            ..settings
        })
        .await
        .unwrap()
    }

    /// A certificate by example.org's authority.
    pub fn show(&self, params: &CertificateParams) -> Shown {
        self.show_by(params, &self.example, &[])
    }

    /// A certificate by any authority, with those above it that are shown along.
    pub fn show_by(&self, params: &CertificateParams, issuer: &Issuer, above: &[&Issuer]) -> Shown {
        let own = params.signed_by(&self.key, issuer).unwrap();
        self.show_der(own.der().clone(), above)
    }

    /// These bytes in place of a certificate.
    pub fn show_der(&self, own: CertificateDer<'static>, above: &[&Issuer]) -> Shown {
        let mut chain = vec![own];
        chain.extend(above.iter().map(|issuer| issuer.der().clone()));
        Shown {
            chain,
            key: private(&self.key),
        }
    }

    /// A certificate with a key of its own.
    pub fn show_with_key(&self, params: &CertificateParams, key: &KeyPair) -> Shown {
        Shown {
            chain: vec![params.signed_by(key, &self.example).unwrap().der().clone()],
            key: private(key),
        }
    }

    /// A certificate that vouches for itself.
    pub fn show_self_signed(&self, params: &CertificateParams) -> Shown {
        self.show_der(params.self_signed(&self.key).unwrap().der().clone(), &[])
    }
}

pub fn serial(number: u8) -> SerialNumber {
    SerialNumber::from_slice(&[number])
}

pub fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::try_from(key.serialize_der()).unwrap()
}

pub fn new_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

/// A good client certificate with these names, until something is done to it.
pub fn client(names: Vec<SanType>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "a client");
    params.not_before = OffsetDateTime::now_utc() - Duration::hours(1);
    params.not_after = OffsetDateTime::now_utc() + Duration::hours(1);
    params.subject_alt_names = names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// A good client certificate that every listener takes, changed in one way.
pub fn changed(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = client(vec![uri(ID), dns(DNS)]);
    change(&mut params);
    params
}

fn authority(name: &str) -> CertificateParams {
    let mut params = client(Vec::new());
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.extended_key_usages = Vec::new();
    params
}

fn root(name: &str) -> Issuer {
    CertifiedIssuer::self_signed(authority(name), new_key()).unwrap()
}

/// An authority below another one, changed in one way.
pub fn below(above: &Issuer, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Issuer {
    let mut params = authority(name);
    change(&mut params);
    CertifiedIssuer::signed_by(params, new_key(), above).unwrap()
}

fn constrain(params: &mut CertificateParams, permitted: &str, excluded: &[&str]) {
    let subtree = |name: &str| GeneralSubtree::DnsName(name.to_owned());
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![subtree(permitted)],
        excluded_subtrees: excluded.iter().map(|name| subtree(name)).collect(),
    });
}

/// The list of what an authority has revoked.
fn list(issuer: &Issuer, revoked: &[u8]) -> String {
    let now = OffsetDateTime::now_utc();
    let revoke = |number: &u8| RevokedCertParams {
        serial_number: serial(*number),
        revocation_time: now - Duration::hours(1),
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: now - Duration::hours(1),
        next_update: now + Duration::hours(1),
        crl_number: SerialNumber::from_slice(&[1]),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(revoke).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(issuer).unwrap().pem().unwrap()
}

pub fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

pub fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

/// One name in an extension: its tag and its bytes.
pub type Entry<'a> = (u8, &'a [u8]);

/// A subject alternative name extension with these entries.
pub fn raw_names(entries: &[Entry]) -> CustomExtension {
    let mut content = Vec::new();
    for (tag, bytes) in entries {
        content.extend([*tag, u8::try_from(bytes.len()).unwrap()]);
        content.extend_from_slice(bytes);
    }
    let mut whole = vec![0x30, u8::try_from(content.len()).unwrap()];
    whole.extend(content);
    CustomExtension::from_oid_content(&[2, 5, 29, 17], whole)
}
