//! Which IP addresses are hosts of the public internet (the special-purpose registries of IANA: RFC 6890, RFC 8190).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 networks that are not the public internet, as (address, prefix length).
const NOT_PUBLIC_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Public by number, but within Azure it is the host that hands out the machine's secrets.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Hosts that hand out a machine's secrets, in networks that may be listed: of Azure and Alibaba.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(100, 100, 100, 200)];

/// The same of AWS.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

/// All IPv6 hosts of the internet are in here. Outside are, among others, the forms that stand for an IPv4 address which
/// nobody would judge: compatible (`::a.b.c.d`) and translated ones (`64:ff9b::/96`).
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Networks within [`GLOBAL_V6`] that are not the public internet: protocols and Teredo, documentation, 6to4.
const NOT_PUBLIC_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// True for the address of a host on the public internet. IPv4 addresses that are mapped into IPv6 count as what they
/// are.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|network| within_v4(address, network)),
        IpAddr::V6(address) => {
            within_v6(address, &GLOBAL_V6) && !NOT_PUBLIC_V6.iter().any(|network| within_v6(address, network))
        }
    }
}

/// The IPv4 address that a translated or tunnelled one leads to: `64:ff9b::/96` (RFC 6052), `2002::/16` (RFC 3056) and
/// `::a.b.c.d`. Where a list of networks admits such forms, what they lead to has to be admitted itself.
pub(super) fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    let [a, b, c, .., y, z] = address.segments();
    let of = |high: u16, low: u16| Some(IpAddr::V4((u32::from(high) << 16 | u32::from(low)).into()));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => of(y, z),
        [0, 0, 0, 0, 0, 0, ..] if a == 0 && y > 0 => of(y, z),
        [0x2002, ..] => of(b, c),
        _ => None,
    }
}

/// IPv4 networks of this machine and of one's own, as (address, prefix length): this host, private, shared (CGNAT), loopback
/// and link-local.
const INNER_V4: [(Ipv4Addr, u32); 7] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
];

/// True for an address of this machine or of a network of one's own: loopback, private, unique-local, shared and link-local
/// ones. A translated, tunnelled or mapped address counts as the IPv4 address that it leads to. What is neither this nor
/// [public](is_public) is nobody's.
pub fn is_inner(address: IpAddr) -> bool {
    match embedded(address).unwrap_or(address).to_canonical() {
        IpAddr::V4(address) => INNER_V4.iter().any(|network| within_v4(address, network)),
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
    }
}

/// True for an address that no list of networks admits: this machine, its link (where clouds keep their secrets),
/// groups of hosts, and no host at all.
pub(super) fn is_unlistable(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || address.octets()[0] == 0
                || METADATA_V4.contains(&address)
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unicast_link_local()
                || address.is_multicast()
                || address.is_unspecified()
                || address == METADATA_V6
        }
    }
}

fn within_v4(address: Ipv4Addr, (base, bits): &(Ipv4Addr, u32)) -> bool {
    (address.to_bits() ^ base.to_bits()).leading_zeros() >= *bits
}

fn within_v6(address: Ipv6Addr, (base, bits): &(Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ base.to_bits()).leading_zeros() >= *bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_is_what_is_of_this_machine_or_of_a_network_of_ones_own() {
        for (address, is_it) in [
            ("127.0.0.1", true),
            ("0.0.0.0", true),
            ("10.1.2.3", true),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("192.168.0.1", true),
            ("100.64.0.1", true),
            ("100.128.0.0", false),
            ("169.254.169.254", true),
            ("8.8.8.8", false),
            ("192.0.2.1", false),
            ("198.18.0.1", false),
            ("224.0.0.1", false),
            ("240.0.0.1", false),
            ("::1", true),
            ("::", true),
            ("fe80::1", true),
            ("fd00::1", true),
            ("2606:4700::1", false),
            ("2001:db8::1", false),
            ("ff02::1", false),
            ("::ffff:10.0.0.1", true),
            ("::ffff:8.8.8.8", false),
            ("64:ff9b::a00:1", true),
            ("64:ff9b::808:808", false),
            ("2002:a00:1::1", true),
            ("2002:808:808::1", false),
            ("::10.0.0.1", true),
            ("::8.8.8.8", false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(is_inner(address), is_it, "{address}");
            assert!(!(is_inner(address) && is_public(address)), "{address}");
        }
    }

    /// Each network from its first to its last address, and what is beside it.
    #[test]
    fn networks_begin_and_end_where_they_should() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("168.63.129.16", "168.63.129.16"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "255.255.255.255"),
        ] {
            let (first, last): (Ipv4Addr, Ipv4Addr) = (first.parse().unwrap(), last.parse().unwrap());
            for inside in [first, last] {
                assert!(!is_public(inside.into()), "{inside}");
                assert!(!is_public(inside.to_ipv6_mapped().into()), "{inside}, mapped");
                assert!(
                    !is_public(inside.to_ipv6_compatible().into()),
                    "{inside}, compatible"
                );
            }
            let beside = [first.to_bits().checked_sub(1), last.to_bits().checked_add(1)];
            for outside in beside.into_iter().flatten().map(Ipv4Addr::from_bits) {
                assert!(is_public(outside.into()), "{outside}");
                assert!(is_public(outside.to_ipv6_mapped().into()), "{outside}, mapped");
            }
        }
    }

    #[test]
    fn only_the_global_addresses_of_ipv6_are_public() {
        for public in [
            "2001:200::",
            "2001:4860:4860::8888",
            "2003::",
            "2606:4700::1111",
            "3ffe::1",
            "3fff:1000::",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for other in [
            "::",
            "::1",
            "::8.8.8.8",
            "64:ff9b::8.8.8.8",
            "64:ff9b:1::1",
            "100::1",
            "1fff:ffff::1",
            "2001::1",
            "2001:1ff:ffff::",
            "2001:db8::1",
            "2002:808:808::1",
            "3fff:fff:ffff::1",
            "4000::",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn this_machine_and_its_link_are_in_no_list() {
        for never in [
            "127.0.0.1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(is_unlistable(never.parse().unwrap()), "{never}");
        }
        for may_be in ["10.0.0.1", "100.64.0.1", "192.168.1.1", "fd00::1", "8.8.8.8"] {
            assert!(!is_unlistable(may_be.parse().unwrap()), "{may_be}");
        }
    }
}
