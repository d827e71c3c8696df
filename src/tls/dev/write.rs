//! A directory of development certificates.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::ca::{DevCa, Names, Validity};
use crate::tls::Error;

/// How long development certificates hold unless told otherwise, in days.
const VALIDITY_DAYS: u32 = 90;

/// What may be chosen about development certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DevOptions {
    /// From when to when they hold; 90 days from now by default.
    pub validity: Validity,
    /// Replaces files that exist already.
    pub force: bool,
}

impl Default for DevOptions {
    fn default() -> Self {
        Self {
            validity: Validity::days(VALIDITY_DAYS),
            force: false,
        }
    }
}

/// Where development certificates were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevCertificates {
    /// The authority that issued both certificates: `ca.pem`.
    pub ca_file: PathBuf,
    /// The server's certificate: `server.pem`.
    pub server_cert_file: PathBuf,
    /// The server's private key: `server.key`.
    pub server_key_file: PathBuf,
    /// The client's certificate: `client.pem`.
    pub client_cert_file: PathBuf,
    /// The client's private key: `client.key`.
    pub client_key_file: PathBuf,
}

impl DevCertificates {
    /// The names of the files in `dir`, whether they exist or not.
    pub fn in_dir(dir: &Path) -> Self {
        Self {
            ca_file: dir.join("ca.pem"),
            server_cert_file: dir.join("server.pem"),
            server_key_file: dir.join("server.key"),
            client_cert_file: dir.join("client.pem"),
            client_key_file: dir.join("client.key"),
        }
    }
}

/// Makes an authority, a server certificate for this machine's own names and a client certificate, and writes them
/// to `dir`, which is created if need be. The authority's key is thrown away: nothing more can be issued under it.
///
/// # Errors
/// [`Error::Exists`] when one of the files is there and `force` is off (nothing is written then), or when the
/// directory cannot be written to.
pub fn write_dev_certificates(dir: &Path, options: DevOptions) -> Result<DevCertificates, Error> {
    let files = DevCertificates::in_dir(dir);
    let ca = DevCa::generate("a2ad development CA", options.validity)?;
    let server = ca.issue_server(&server_names(), options.validity)?;
    let client = ca.issue_client(&client_names(), options.validity)?;
    let contents = [
        (&files.ca_file, ca.cert_pem(), 0o644),
        (&files.server_cert_file, server.cert_pem, 0o644),
        (&files.server_key_file, server.key_pem, 0o600),
        (&files.client_cert_file, client.cert_pem, 0o644),
        (&files.client_key_file, client.key_pem, 0o600),
    ];
    if !options.force
        && let Some((file, ..)) = contents.iter().find(|(file, ..)| file.symlink_metadata().is_ok())
    {
        return Err(Error::Exists {
            file: file.to_path_buf(),
        });
    }
    fs::create_dir_all(dir).map_err(|source| Error::Write {
        file: dir.to_owned(),
        source,
    })?;
    for (file, text, mode) in contents {
        write(file, &text, mode).map_err(|source| Error::Write {
            file: file.clone(),
            source,
        })?;
    }
    Ok(files)
}

fn server_names() -> Names {
    Names {
        uris: vec!["spiffe://a2ad.dev/server".to_owned()],
        dns: vec!["localhost".to_owned()],
        ips: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
    }
}

fn client_names() -> Names {
    Names {
        uris: vec!["spiffe://a2ad.dev/client".to_owned()],
        dns: vec!["client.a2ad.dev".to_owned()],
        ips: Vec::new(),
    }
}

/// Writes beside the file and renames, so that the mode is right from the first byte on and a server that watches
/// the file never sees half of it.
fn write(file: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let mut out = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)?;
    let written = out
        .write_all(text.as_bytes())
        .and_then(|()| fs::rename(&beside, file));
    if written.is_err() {
        // The error that matters is the one above.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    use super::*;
    use crate::tls::{ClientNames, PeerIdentity};

    #[test]
    fn the_files_have_their_names_modes_and_identities() {
        let dir = tempfile::tempdir().unwrap();
        let files = write_dev_certificates(&dir.path().join("new/certs"), DevOptions::default()).unwrap();
        let mode = |file: &Path| fs::metadata(file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&files.server_key_file), 0o600);
        assert_eq!(mode(&files.client_key_file), 0o600);
        let identity = |file: &Path| {
            let certificate = CertificateDer::from_pem_file(file).unwrap();
            PeerIdentity::from_der(&certificate, ClientNames::Spiffe).unwrap()
        };
        assert_eq!(
            identity(&files.client_cert_file).as_str(),
            "spiffe://a2ad.dev/client"
        );
        assert_eq!(
            identity(&files.server_cert_file).as_str(),
            "spiffe://a2ad.dev/server"
        );
        let mut names: Vec<_> = fs::read_dir(dir.path().join("new/certs"))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(
            names,
            ["ca.pem", "client.key", "client.pem", "server.key", "server.pem"]
        );
    }

    #[test]
    fn existing_files_stay_unless_forced() {
        let dir = tempfile::tempdir().unwrap();
        let files = DevCertificates::in_dir(dir.path());
        fs::write(&files.client_key_file, "mine").unwrap();
        let refused = write_dev_certificates(dir.path(), DevOptions::default()).unwrap_err();
        assert!(
            matches!(&refused, Error::Exists { file } if *file == files.client_key_file),
            "{refused}"
        );
        assert_eq!(fs::read_to_string(&files.client_key_file).unwrap(), "mine");
        assert!(
            !files.ca_file.exists(),
            "nothing may be written when one file is in the way"
        );

        write_dev_certificates(
            dir.path(),
            DevOptions {
                force: true,
                ..DevOptions::default()
            },
        )
        .unwrap();
        assert_ne!(fs::read_to_string(&files.client_key_file).unwrap(), "mine");
        let mode = fs::metadata(&files.client_key_file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "a forced key must not keep the old mode");
    }
}
