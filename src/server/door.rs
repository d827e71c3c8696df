//! Who is let in: not too many from one address, and for a while nobody from where the rules were broken.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::time::Instant;

use super::breaches::Breaches;
use super::crowd::{self, Crowd};
use super::proxies::TrustedProxies;
use super::settings::ServerSettings;

/// What is known of those who connect.
pub(super) struct Door {
    crowd: Arc<Crowd>,
    breaches: Breaches,
    proxies: Arc<TrustedProxies>,
}

/// Why a connection is closed as soon as it is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Crowded,
    ShutOut,
}

/// A connection that was let in, while it lives.
pub(super) struct Guest {
    door: Arc<Door>,
    addr: SocketAddr,
    /// None for a trusted proxy, which comes on behalf of many.
    counted: Option<crowd::Guest>,
}

impl Door {
    /// A door of a listener with these settings, through which at most `per_address_max` come from one address.
    pub(super) fn new(settings: &ServerSettings, per_address_max: u32) -> Arc<Self> {
        Arc::new(Self {
            crowd: Crowd::new(per_address_max),
            breaches: Breaches::new(
                settings.breaches_per_address_max,
                settings.breaching_addresses_max,
            ),
            proxies: Arc::clone(&settings.trusted_proxies),
        })
    }

    /// Lets a connection in, or says why not.
    pub(super) fn admit(self: &Arc<Self>, addr: SocketAddr) -> Result<Guest, Refusal> {
        let counted = self.count(addr.ip())?;
        Ok(Guest {
            door: Arc::clone(self),
            addr,
            counted,
        })
    }

    fn count(&self, address: IpAddr) -> Result<Option<crowd::Guest>, Refusal> {
        if self.proxies.trusts(address) {
            return Ok(None);
        }
        if self.breaches.shuts_out(address, Instant::now()) {
            return Err(Refusal::ShutOut);
        }
        self.crowd.admit(address).map(Some).ok_or(Refusal::Crowded)
    }
}

impl Guest {
    /// Notes that the connection ended because its client broke the rules. What a trusted proxy passes on is not its
    /// own.
    pub(super) fn broke_the_rules(&self) {
        let is_last_straw = self.counted.is_some() && self.door.breaches.note(self.addr.ip(), Instant::now());
        if is_last_straw {
            tracing::warn!(
                peer = %self.addr,
                "this address has broken the rules of HTTP too often; its new connections are closed for a minute \
                 (server.breaches_per_address_max)"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trusted_proxy_is_neither_counted_nor_shut_out() {
        let proxies = TrustedProxies {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            ..TrustedProxies::default()
        };
        let settings = ServerSettings {
            breaches_per_address_max: 1,
            trusted_proxies: Arc::new(proxies),
            ..ServerSettings::default()
        };
        let door = Door::new(&settings, 1);
        let admit = |address: &str| door.admit(address.parse().unwrap());
        let proxy = admit("10.0.0.1:1").ok().unwrap();
        proxy.broke_the_rules();
        assert!(admit("10.0.0.1:2").is_ok());
        let other = admit("192.0.2.1:1").ok().unwrap();
        assert_eq!(admit("192.0.2.1:2").err(), Some(Refusal::Crowded));
        other.broke_the_rules();
        drop(other);
        assert_eq!(admit("192.0.2.1:3").err(), Some(Refusal::ShutOut));
    }
}
