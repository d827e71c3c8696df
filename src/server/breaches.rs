//! Addresses that break the rules again and again: for a minute they are not let in.
//!
//! A connection on which a client has broken the rules of its protocol is closed; without a memory the same client
//! comes back at once and costs the same again, most of all where there is a TLS handshake in it.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::crowd::origin;

/// The time in which breaches are counted, and for which the door stays shut.
const MINUTE: Duration = Duration::from_secs(60);

/// The breaches of the last minute, by where they came from.
pub(super) struct Breaches {
    /// So many shut the door; 0 never.
    max: u32,
    addresses_max: usize,
    seen: Mutex<HashMap<IpAddr, Record>>,
}

struct Record {
    /// When counting began, or, once there were enough, when the last breach was.
    since: Instant,
    count: u32,
}

impl Breaches {
    /// After `max` breaches an address is shut out; of at most `addresses_max` addresses anything is known.
    pub(super) fn new(max: u32, addresses_max: usize) -> Self {
        Self {
            max,
            addresses_max: addresses_max.max(1),
            seen: Mutex::default(),
        }
    }

    /// Notes a breach; true when it is the one that shuts the door.
    pub(super) fn note(&self, address: IpAddr, now: Instant) -> bool {
        if self.max == 0 {
            return false;
        }
        let address = origin(address);
        let mut seen = self.lock();
        if !seen.contains_key(&address) && seen.len() >= self.addresses_max {
            forget_one(&mut seen, now);
        }
        let record = seen.entry(address).or_insert(Record { since: now, count: 0 });
        if now.duration_since(record.since) >= MINUTE {
            *record = Record { since: now, count: 0 };
        }
        record.count = record.count.saturating_add(1);
        if record.count >= self.max {
            record.since = now;
        }
        record.count == self.max
    }

    /// True while new connections from this address are to be closed.
    pub(super) fn shuts_out(&self, address: IpAddr, now: Instant) -> bool {
        if self.max == 0 {
            return false;
        }
        let address = origin(address);
        let mut seen = self.lock();
        let Some(record) = seen.get(&address) else {
            return false;
        };
        if now.duration_since(record.since) >= MINUTE {
            seen.remove(&address);
            return false;
        }
        record.count >= self.max
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Record>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room: for all that is over, or else for the one that began longest ago.
fn forget_one(seen: &mut HashMap<IpAddr, Record>, now: Instant) {
    let before = seen.len();
    seen.retain(|_, record| now.duration_since(record.since) < MINUTE);
    if seen.len() < before {
        return;
    }
    let oldest = seen
        .iter()
        .min_by_key(|(_, record)| record.since)
        .map(|(address, _)| *address);
    if let Some(address) = oldest {
        seen.remove(&address);
    }
}

/// True when a connection ended because the client broke the rules: what h2 closes a connection for by itself, bytes
/// that are no HTTP, or records and frames that must not be. Not for what is too large, late or cut off: that happens
/// to honest clients too.
pub(super) fn is_breach(error: &hyper::Error) -> bool {
    if error.is_parse() {
        return !error.is_parse_too_large();
    }
    let Some(source) = std::error::Error::source(error) else {
        return false;
    };
    if let Some(error) = source.downcast_ref::<io::Error>() {
        return error.kind() == io::ErrorKind::InvalidData;
    }
    source
        .downcast_ref::<h2::Error>()
        .is_some_and(|error| error.is_library() && error.reason() != Some(h2::Reason::NO_ERROR))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn enough_breaches_within_a_minute_shut_the_door_for_a_minute() {
        let breaches = Breaches::new(3, 10);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!breaches.note(ip("192.0.2.1"), at(0)));
        assert!(!breaches.note(ip("::ffff:192.0.2.1"), at(30)));
        assert!(!breaches.shuts_out(ip("192.0.2.1"), at(59)));
        assert!(
            !breaches.note(ip("192.0.2.1"), at(60)),
            "the first ones are forgotten"
        );
        assert!(!breaches.note(ip("192.0.2.1"), at(61)));
        assert!(breaches.note(ip("192.0.2.1"), at(62)));
        assert!(breaches.shuts_out(ip("192.0.2.1"), at(62)));
        assert!(!breaches.shuts_out(ip("192.0.2.2"), at(62)));
        // One that was let in before.
        assert!(!breaches.note(ip("192.0.2.1"), at(100)));
        assert!(breaches.shuts_out(ip("192.0.2.1"), at(159)));
        assert!(!breaches.shuts_out(ip("192.0.2.1"), at(160)));
        assert!(breaches.lock().is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let breaches = Breaches::new(1, 10);
        let now = Instant::now();
        assert!(breaches.note(ip("2001:db8::1"), now));
        assert!(breaches.shuts_out(ip("2001:db8::2"), now));
        assert!(!breaches.shuts_out(ip("2001:db8:0:1::1"), now));
    }

    #[test]
    fn of_many_addresses_the_oldest_is_forgotten() {
        let breaches = Breaches::new(1, 2);
        let start = Instant::now();
        for (second, address) in ["192.0.2.1", "192.0.2.2", "192.0.2.3"].into_iter().enumerate() {
            breaches.note(ip(address), start + Duration::from_secs(second as u64));
        }
        let now = start + Duration::from_secs(3);
        assert!(!breaches.shuts_out(ip("192.0.2.1"), now));
        assert!(breaches.shuts_out(ip("192.0.2.2"), now));
        assert!(breaches.shuts_out(ip("192.0.2.3"), now));
    }

    #[test]
    fn zero_shuts_nobody_out() {
        let breaches = Breaches::new(0, 2);
        let now = Instant::now();
        assert!(!breaches.note(ip("192.0.2.1"), now));
        assert!(!breaches.shuts_out(ip("192.0.2.1"), now));
    }
}
