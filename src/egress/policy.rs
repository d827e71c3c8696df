//! What requests of one kind may reach.

use std::net::IpAddr;

use http::Uri;

use super::address::{embedded, is_public, is_unlistable};
use super::{Refusal, url};
use crate::config::Network;

/// What requests of one kind may reach. The default: https to hosts of the public internet, on any port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    /// Loopback may be reached too, by plain http as well. For development and tests.
    pub allow_loopback: bool,
    /// Networks that may be reached although they are not public. Loopback, link-local and multicast addresses are
    /// none of theirs.
    pub allowed_networks: Vec<Network>,
    /// Public hosts may be reached by plain http as well.
    pub allow_plain: bool,
    /// Every address may be reached, by plain http as well. Only for URLs that the user of this program names, never for
    /// those that a stranger does.
    pub unrestricted: bool,
}

impl EgressPolicy {
    /// For what the user of this program names: any address, by plain http as well.
    pub fn unrestricted() -> Self {
        Self {
            unrestricted: true,
            ..Self::default()
        }
    }

    /// Takes a URL in the form in which it is sent, or says what it must be. What its name resolves to is judged when it
    /// is connected to.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub fn check(&self, text: &str) -> Result<Uri, Refusal> {
        url::check(self, text)
    }

    /// Whether an address may be connected to, in the clear or by TLS.
    pub fn admits(&self, address: IpAddr, is_tls: bool) -> bool {
        if self.unrestricted {
            return true;
        }
        if let Some(inner) = embedded(address) {
            // A list may admit the form; what it leads to has to be admitted as well.
            let is_within = is_public(inner) && (is_tls || self.allow_plain) || is_tls && self.lists(inner);
            return self.lists(address) && is_within;
        }
        let address = address.to_canonical();
        if address.is_loopback() {
            return self.allow_loopback;
        }
        (is_tls || self.allow_plain) && is_public(address) || is_tls && self.lists(address)
    }

    fn lists(&self, address: IpAddr) -> bool {
        !is_unlistable(address)
            && self
                .allowed_networks
                .iter()
                .any(|network| network.contains(address))
    }

    /// Whether names that mean something within one network only may be tried; their addresses decide.
    pub(super) fn takes_local_names(&self) -> bool {
        self.unrestricted || self.allow_loopback || !self.allowed_networks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(policy: &EgressPolicy, address: &str) -> [bool; 2] {
        [true, false].map(|is_tls| policy.admits(address.parse().unwrap(), is_tls))
    }

    #[test]
    fn what_a_translated_address_leads_to_is_judged_too() {
        let policy = EgressPolicy {
            allow_loopback: true,
            allowed_networks: ["64:ff9b::/96", "2002::/16", "fd00::/8", "10.0.0.0/8"]
                .map(|network| network.parse().unwrap())
                .to_vec(),
            ..EgressPolicy::default()
        };
        for (address, is_in) in [
            ("64:ff9b::808:808", true),
            ("64:ff9b::a01:203", true),
            ("64:ff9b::a9fe:a9fe", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::c0a8:1", false),
            ("2002:808:808::1", true),
            ("2002:7f00:1::1", false),
            ("::127.0.0.1", false),
            ("::8.8.8.8", false),
            ("fd00:ec2::254", false),
            ("fd00::1", true),
        ] {
            assert_eq!(admits(&policy, address), [is_in, false], "{address}");
        }
        assert_eq!(admits(&EgressPolicy::default(), "64:ff9b::808:808"), [false; 2]);
    }

    #[test]
    fn what_the_user_names_is_reached_wherever_it_is() {
        let policy = EgressPolicy::unrestricted();
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.1.1",
            "8.8.8.8",
            "::1",
            "fd00::1",
        ] {
            assert_eq!(admits(&policy, address), [true, true], "{address}");
        }
        for url in [
            "http://agents.internal:8080/a",
            "http://localhost/",
            "http://10.0.0.1/",
        ] {
            assert!(policy.check(url).is_ok(), "{url}");
        }
        for url in [
            "ftp://example.com/",
            "http://a:b@example.com/",
            "http://example.com:0/",
        ] {
            assert!(policy.check(url).is_err(), "{url}");
        }
    }

    #[test]
    fn plain_http_leads_to_public_addresses_only() {
        let policy = EgressPolicy {
            allow_plain: true,
            allowed_networks: vec!["10.1.0.0/16".parse().unwrap()],
            ..EgressPolicy::default()
        };
        for (address, admitted) in [
            ("8.8.8.8", [true, true]),
            ("2606:4700::1", [true, true]),
            ("10.1.2.3", [true, false]),
            ("10.2.0.1", [false, false]),
            ("127.0.0.1", [false, false]),
            ("::ffff:127.0.0.1", [false, false]),
            ("169.254.169.254", [false, false]),
            ("64:ff9b::808:808", [false, false]),
        ] {
            assert_eq!(admits(&policy, address), admitted, "{address}");
        }
        for (url, is_taken) in [
            ("http://example.com/", true),
            ("http://8.8.8.8/", true),
            ("http://10.1.2.3/", false),
            ("http://localhost/", false),
            ("http://127.0.0.1/", false),
            ("ftp://example.com/", false),
        ] {
            assert_eq!(policy.check(url).is_ok(), is_taken, "{url}");
        }
    }

    #[test]
    fn only_what_is_allowed_is_admitted() {
        let public = EgressPolicy::default();
        assert_eq!(admits(&public, "8.8.8.8"), [true, false]);
        assert_eq!(admits(&public, "10.1.2.3"), [false, false]);
        assert_eq!(admits(&public, "127.0.0.1"), [false, false]);

        let local = EgressPolicy {
            allow_loopback: true,
            ..EgressPolicy::default()
        };
        for loopback in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(admits(&local, loopback), [true, true], "{loopback}");
        }
        assert_eq!(admits(&local, "10.1.2.3"), [false, false]);

        let networks = ["10.1.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "::/0"];
        let listed = EgressPolicy {
            allow_loopback: false,
            allowed_networks: networks.map(|text| text.parse().unwrap()).to_vec(),
            ..EgressPolicy::default()
        };
        assert_eq!(admits(&listed, "10.1.2.3"), [true, false]);
        assert_eq!(admits(&listed, "::ffff:10.1.2.3"), [true, false]);
        assert_eq!(admits(&listed, "fd00::1"), [true, false]);
        for never in [
            "10.2.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert_eq!(admits(&listed, never), [false, false], "{never}");
        }
    }
}
