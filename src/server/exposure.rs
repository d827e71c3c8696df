//! The rule that nothing is served in the clear beyond this machine unless somebody said so.

use std::net::SocketAddr;

/// Why a listener is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address can be reached from other machines, and there is no TLS.
    #[error(
        "{0} can be reached from other machines and has no TLS; set a certificate and key, listen on 127.0.0.1, \
         or set allow_plaintext when a proxy in front does the TLS"
    )]
    PlaintextExposed(SocketAddr),
}

/// Says whether a listener on `addr` may be opened: with TLS, on loopback, or when plain text is allowed by name.
///
/// # Errors
/// [`Error::PlaintextExposed`] otherwise; an unspecified address such as `0.0.0.0` counts as reachable.
pub fn check_exposure(addr: SocketAddr, tls: bool, allow_plaintext: bool) -> Result<(), Error> {
    // `::ffff:127.0.0.1` is loopback as well.
    if tls || allow_plaintext || addr.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(Error::PlaintextExposed(addr))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_on_this_machine_unless_allowed() {
        let check = |addr: &str, tls, allow| check_exposure(addr.parse().unwrap(), tls, allow);
        for near in ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(check(near, false, false), Ok(()), "{near}");
        }
        for far in [
            "0.0.0.0:1",
            "[::]:1",
            "10.0.0.1:1",
            "[fe80::1]:1",
            "[::ffff:10.0.0.1]:1",
        ] {
            let refused = check(far, false, false).unwrap_err();
            assert!(refused.to_string().contains("allow_plaintext"), "{refused}");
            assert_eq!(check(far, true, false), Ok(()), "{far}");
            assert_eq!(check(far, false, true), Ok(()), "{far}");
        }
    }
}
