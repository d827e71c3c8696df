//! A certificate authority in memory.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    RevokedCertParams, SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use crate::tls::Error;

/// From when to when a certificate or revocation list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: OffsetDateTime,
    /// The last moment.
    pub not_after: OffsetDateTime,
}

impl Validity {
    /// From an hour ago, because clocks differ, until `days` from now.
    pub fn days(days: u32) -> Self {
        let now = OffsetDateTime::now_utc();
        Self {
            not_before: now - Duration::hours(1),
            not_after: now + Duration::days(i64::from(days)),
        }
    }
}

/// The names that a certificate is issued for, in this order: URIs, DNS names, addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// URI names, such as `spiffe://a2ad.dev/client`.
    pub uris: Vec<String>,
    /// DNS names.
    pub dns: Vec<String>,
    /// IP addresses.
    pub ips: Vec<IpAddr>,
}

impl Names {
    /// One SPIFFE id and nothing else.
    pub fn spiffe(id: &str) -> Self {
        Self {
            uris: vec![id.to_owned()],
            ..Self::default()
        }
    }

    fn alternative_names(&self) -> Result<Vec<SanType>, rcgen::Error> {
        let mut names = Vec::new();
        for uri in &self.uris {
            names.push(SanType::URI(uri.as_str().try_into()?));
        }
        for name in &self.dns {
            names.push(SanType::DnsName(name.as_str().try_into()?));
        }
        names.extend(self.ips.iter().copied().map(SanType::IpAddress));
        Ok(names)
    }
}

/// A certificate with its private key.
#[derive(Clone)]
pub struct Issued {
    /// The certificate, in PEM form.
    pub cert_pem: String,
    /// Its private key, in PEM form. Not printed by `Debug`.
    pub key_pem: String,
    /// Its serial number, by which it can be revoked.
    pub serial: Vec<u8>,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Issued")
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}

/// An authority with a P-256 key that lives in memory only.
#[derive(Debug)]
pub struct DevCa {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl DevCa {
    /// Makes a new authority called `name`.
    ///
    /// # Errors
    /// When the name or the dates cannot stand in a certificate.
    pub fn generate(name: &str, validity: Validity) -> Result<Self, Error> {
        let mut params = params(name, validity);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        Ok(Self {
            issuer: CertifiedIssuer::self_signed(params, new_key()?)?,
        })
    }

    /// The authority's own certificate, in PEM form.
    pub fn cert_pem(&self) -> String {
        self.issuer.pem()
    }

    /// Issues a certificate that servers may use.
    ///
    /// # Errors
    /// When a name or the dates cannot stand in a certificate.
    pub fn issue_server(&self, names: &Names, validity: Validity) -> Result<Issued, Error> {
        self.issue(
            "a2ad development server",
            ExtendedKeyUsagePurpose::ServerAuth,
            names,
            validity,
        )
    }

    /// Issues a certificate that clients may use.
    ///
    /// # Errors
    /// When a name or the dates cannot stand in a certificate.
    pub fn issue_client(&self, names: &Names, validity: Validity) -> Result<Issued, Error> {
        self.issue(
            "a2ad development client",
            ExtendedKeyUsagePurpose::ClientAuth,
            names,
            validity,
        )
    }

    fn issue(
        &self,
        common_name: &str,
        usage: ExtendedKeyUsagePurpose,
        names: &Names,
        validity: Validity,
    ) -> Result<Issued, Error> {
        let serial = new_serial();
        let mut params = params(common_name, validity);
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.subject_alt_names = names.alternative_names()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = new_key()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            cert_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            serial,
        })
    }

    /// A revocation list of these serial numbers, in PEM form.
    ///
    /// # Errors
    /// When the dates cannot stand in a list.
    pub fn crl(&self, revoked: &[Vec<u8>], validity: Validity) -> Result<String, Error> {
        let revoke = |serial: &Vec<u8>| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: validity.not_before,
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: validity.not_before,
            next_update: validity.not_after,
            crl_number: SerialNumber::from_slice(&new_serial()),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(revoke).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }
}

fn params(common_name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = validity.not_before;
    params.not_after = validity.not_after;
    params
}

fn new_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

/// 16 random bytes; the first one is a small positive number, so that the DER integer needs no padding.
fn new_serial() -> Vec<u8> {
    let mut serial = uuid::Uuid::new_v4().as_bytes().to_vec();
    serial[0] = (serial[0] & 0x7f) | 1;
    serial
}
