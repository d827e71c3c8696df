//! A network in the notation of CIDR, as lists of allowed networks hold them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// All addresses that begin with the same bits, such as `10.1.0.0/16` or `fd00:1::/32` (RFC 4632, RFC 4291).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u32,
}

/// Why a text is no network; the sentence says what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// There is no address, or no length.
    #[error("write an address, a slash and the number of its leading bits, like 10.1.0.0/16 or fd00:1::/32")]
    Form,
    /// The length is more than an address has bits.
    #[error("an IPv4 network has at most 32 leading bits, an IPv6 network at most 128")]
    Length,
    /// The address goes on behind the length: one of the two is a mistake.
    #[error("the address has bits behind its length; make them zero, or raise the length")]
    HostBits,
}

impl Network {
    /// True for the addresses of this network. An IPv4 network holds no IPv6 address, mapped ones neither: bring these
    /// into their IPv4 form first.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                (base.to_bits() ^ address.to_bits()).leading_zeros() >= self.bits
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                (base.to_bits() ^ address.to_bits()).leading_zeros() >= self.bits
            }
            _ => false,
        }
    }

    fn has_host_bits(&self) -> bool {
        match self.base {
            IpAddr::V4(base) => base.to_bits().checked_shl(self.bits).unwrap_or(0) != 0,
            IpAddr::V6(base) => base.to_bits().checked_shl(self.bits).unwrap_or(0) != 0,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (base, bits) = text.split_once('/').ok_or(NetworkError::Form)?;
        let base: IpAddr = base.parse().map_err(|_| NetworkError::Form)?;
        if bits.is_empty() || !bits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(NetworkError::Form);
        }
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse().ok().filter(|bits| *bits <= most);
        let network = Self {
            base,
            bits: bits.ok_or(NetworkError::Length)?,
        };
        if network.has_host_bits() {
            return Err(NetworkError::HostBits);
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.base, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
            ("10.1.0.0/16", "10.1.0.0", "10.0.255.255"),
            ("192.168.7.9/32", "192.168.7.9", "192.168.7.8"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("fd00:1::/32", "fd00:1:ffff::1", "fd00:2::"),
            ("::/0", "ffff::", "1.2.3.4"),
            ("10.0.0.0/8", "10.9.9.9", "::ffff:10.9.9.9"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.to_string(), network);
            assert!(parsed.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{network} {outside}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for (text, why) in [
            ("", NetworkError::Form),
            ("10.0.0.0", NetworkError::Form),
            ("10.0.0/8", NetworkError::Form),
            ("10.0.0.0/", NetworkError::Form),
            ("10.0.0.0/+8", NetworkError::Form),
            ("10.0.0.0/255.0.0.0", NetworkError::Form),
            ("fe80::%eth0/10", NetworkError::Form),
            ("10.0.0.0/33", NetworkError::Length),
            ("::/129", NetworkError::Length),
            ("10.1.2.3/16", NetworkError::HostBits),
            ("fd00::1/64", NetworkError::HostBits),
        ] {
            assert_eq!(text.parse::<Network>(), Err(why), "{text}");
        }
    }
}
