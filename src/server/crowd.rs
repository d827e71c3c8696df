//! How many connections come from one address: one caller must not take the places of all.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The connections that are open, by where they come from.
pub(super) struct Crowd {
    max: u32,
    open: Mutex<HashMap<IpAddr, u32>>,
}

/// Counts as one connection while it lives.
pub(super) struct Guest {
    crowd: Arc<Crowd>,
    from: IpAddr,
}

impl Crowd {
    /// At most so many from one address; at least 1 is taken.
    pub(super) fn new(max: u32) -> Arc<Self> {
        Arc::new(Self {
            max: max.max(1),
            open: Mutex::default(),
        })
    }

    /// Lets one more in, if it may.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Guest> {
        let from = origin(address);
        let mut open = self.lock();
        let count = open.entry(from).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Guest {
            crowd: Arc::clone(self),
            from,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.crowd.lock().entry(self.from) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What counts as one address. Of IPv6 it is the first half: whoever has one address there has the other 2^64 too.
pub(super) fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_share_and_gets_it_back() {
        let crowd = Crowd::new(2);
        let admit = |address: &str| crowd.admit(address.parse().unwrap());
        let first = admit("192.0.2.1").unwrap();
        let second = admit("::ffff:192.0.2.1").unwrap();
        assert!(admit("192.0.2.1").is_none(), "the same in other words");
        let other = admit("192.0.2.2");
        assert!(other.is_some());
        drop(first);
        let third = admit("192.0.2.1").unwrap();
        assert!(admit("192.0.2.1").is_none());
        drop((second, third, other));
        assert!(crowd.lock().is_empty(), "nothing stays of who has gone");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let crowd = Crowd::new(1);
        let admit = |address: &str| crowd.admit(address.parse().unwrap());
        let _first = admit("2001:db8:0:1::1").unwrap();
        assert!(admit("2001:db8:0:1:ffff::2").is_none());
        assert!(admit("2001:db8:0:2::1").is_some());
    }
}
