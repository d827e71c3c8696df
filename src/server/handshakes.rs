//! Turns for TLS handshakes: the most expensive thing that a stranger can ask for, and one that he can leave unfinished.
//!
//! An address has a part of all turns, and addresses take turns in line: without that, one that opens connections and
//! says nothing would have all of them for as long as a handshake may take, and again after that.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::crowd::origin;
use super::settings::ServerSettings;
use crate::slots::{Place, Slot, SlotLimits, Slots};

/// An address; for a trusted proxy, which comes on behalf of many, each of its connections for itself.
type Share = (IpAddr, u64);

/// The turns of one listener.
pub(super) struct Handshakes(Arc<Slots<Share>>);

impl Handshakes {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        let waiting_max = settings.connections_max as usize;
        Self(Slots::new(SlotLimits {
            slots: settings.handshakes_max as usize,
            per_owner: settings.handshakes_per_address_max as usize,
            queue: waiting_max,
            queue_per_owner: waiting_max,
        }))
    }

    /// Waits for a turn of the `number`th connection, which lasts as long as what is returned.
    pub(super) async fn turn(&self, addr: SocketAddr, number: u64, is_trusted: bool) -> Slot<Share> {
        let share = (origin(addr.ip()), if is_trusted { number } else { 0 });
        // Whoever has a connection may wait: their number is limited, and so is the time.
        match self.0.enter_anyway(&share) {
            Place::Free(turn) => turn,
            Place::Queued(mut ticket) => ticket.ready().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn an_address_has_its_part_and_a_proxy_any() {
        let handshakes = Handshakes::new(&ServerSettings {
            handshakes_max: 4,
            handshakes_per_address_max: 1,
            ..ServerSettings::default()
        });
        let turn = |address: &str, number, is_trusted| {
            let addr = address.parse().unwrap();
            handshakes.turn(addr, number, is_trusted).now_or_never()
        };
        let first = turn("192.0.2.1:1", 1, false);
        assert!(first.is_some());
        assert!(turn("192.0.2.1:2", 2, false).is_none());
        let other = turn("192.0.2.2:1", 3, false);
        assert!(other.is_some());
        drop(first);
        assert!(turn("192.0.2.1:3", 4, false).is_some());
        let proxied = [turn("192.0.2.3:1", 5, true), turn("192.0.2.3:2", 6, true)];
        assert!(proxied.iter().all(Option::is_some));
    }
}
