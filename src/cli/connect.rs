//! How commands come to a server: addresses, certificates, and the credential. Tokens and keys come from `A2ACLI_BEARER` and
//! `A2ACLI_API_KEY`: arguments are seen by others.

use std::path::PathBuf;

use a2ad::client::{Address, Credential};
use a2ad::config::Secret;
use a2ad::tls::ClientTls;
use clap::Args;

/// The certificates of a connection.
#[derive(Args)]
pub struct Certificates {
    /// CA certificates that the server's must come from (PEM); asks for TLS
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Client certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "ca")]
    cert: Option<PathBuf>,
    /// Key of the client certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

impl Certificates {
    /// Whether any is named.
    pub fn are_named(&self) -> bool {
        self.ca.is_some()
    }

    /// The address as it is connected to, and the certificates where that is by TLS.
    pub fn tls(&self, address: &Address) -> Result<(Address, Option<ClientTls>), String> {
        match &self.ca {
            Some(ca) => {
                let (ca_file, cert_file, key_file) = (ca.clone(), self.cert.clone(), self.key.clone());
                Ok((
                    address.clone().with_tls(),
                    Some(ClientTls {
                        ca_file,
                        cert_file,
                        key_file,
                    }),
                ))
            }
            None if address.is_tls() => {
                Err("an https address needs --ca with the server's CA certificates".into())
            }
            None => Ok((address.clone(), None)),
        }
    }
}

/// The credential of the environment, if there is one.
pub fn credential() -> Result<Option<Credential>, &'static str> {
    match (variable("A2ACLI_BEARER"), variable("A2ACLI_API_KEY")) {
        (Some(_), Some(_)) => Err("A2ACLI_BEARER and A2ACLI_API_KEY are both set; unset one"),
        (Some(token), None) => Ok(Some(Credential::Token(token))),
        (None, Some(key)) => Ok(Some(Credential::ApiKey(key))),
        (None, None) => Ok(None),
    }
}

/// A secret from the environment.
fn variable(name: &str) -> Option<Secret<String>> {
    std::env::var(name)
        .ok()
        .filter(|text| !text.is_empty())
        .map(Secret::new)
}
