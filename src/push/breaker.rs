//! Hosts that are away: after some failures in a row a host is left alone for a while, then one request tries it.
//!
//! Only what says that a host is away counts (no answer, or one of 5xx): a path that nobody listens to must not take a
//! host from others who share it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::PushSettings;

/// What is known of hosts that failed last; a host that is not in here is well.
pub(super) struct Breakers {
    hosts: Mutex<HashMap<Arc<str>, Host>>,
    failures_max: u32,
    pause: Duration,
    hosts_max: usize,
}

#[derive(Debug, Default)]
struct Host {
    /// In a row.
    failures: u32,
    /// The host is left alone until then; `None` while it is not.
    open_until: Option<Instant>,
    /// A request tries the host.
    is_probed: bool,
}

/// The right to one request. Dropped without a word it changes nothing.
pub(super) struct Pass {
    breakers: Arc<Breakers>,
    host: Arc<str>,
    is_probe: bool,
}

impl Breakers {
    pub(super) fn new(settings: &PushSettings) -> Arc<Self> {
        Arc::new(Self {
            hosts: Mutex::default(),
            failures_max: settings.breaker_failures,
            pause: settings.breaker_pause,
            hosts_max: settings.breaker_hosts_max,
        })
    }

    /// The right to send a request to a host now.
    ///
    /// # Errors
    /// How long the host is left alone.
    pub(super) fn enter(self: &Arc<Self>, host: &Arc<str>) -> Result<Pass, Duration> {
        let mut hosts = self.lock();
        let mut is_probe = false;
        if let Some(known) = hosts.get_mut(host)
            && let Some(until) = known.open_until
        {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Err(left);
            }
            if known.is_probed {
                return Err(self.pause);
            }
            known.is_probed = true;
            is_probe = true;
        }
        Ok(Pass {
            breakers: self.clone(),
            host: host.clone(),
            is_probe,
        })
    }

    /// The hosts that nothing should be sent to now.
    pub(super) fn shut(&self) -> Vec<Arc<str>> {
        let now = Instant::now();
        let hosts = self.lock();
        let is_shut = |host: &Host| host.open_until.is_some_and(|until| until > now || host.is_probed);
        hosts
            .iter()
            .filter(|(_, host)| is_shut(host))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// How many hosts are left alone.
    pub(super) fn open(&self) -> usize {
        self.lock()
            .values()
            .filter(|host| host.open_until.is_some())
            .count()
    }

    fn fail(&self, name: &Arc<str>) -> bool {
        let mut hosts = self.lock();
        if !hosts.contains_key(name) && hosts.len() >= self.hosts_max {
            make_room(&mut hosts);
        }
        let host = hosts.entry(name.clone()).or_default();
        host.failures = host.failures.saturating_add(1);
        host.is_probed = false;
        if host.failures < self.failures_max {
            return false;
        }
        host.open_until = Some(Instant::now() + self.pause);
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the host that has failed least: what is lost is that its failures are counted anew.
fn make_room(hosts: &mut HashMap<Arc<str>, Host>) {
    let least = hosts.iter().min_by_key(|(_, host)| host.failures);
    if let Some(name) = least.map(|(name, _)| name.clone()) {
        hosts.remove(&name);
    }
}

impl Pass {
    /// The host has answered, and is well.
    pub(super) fn answered(self) {
        self.breakers.lock().remove(&self.host);
    }

    /// The host has not answered, or said that it can't. True if it is left alone from now on.
    pub(super) fn failed(mut self) -> bool {
        self.is_probe = false;
        self.breakers.fail(&self.host)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.is_probe
            && let Some(host) = self.breakers.lock().get_mut(&self.host)
        {
            host.is_probed = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breakers(hosts_max: usize) -> (Arc<Breakers>, Arc<str>) {
        let settings = PushSettings {
            breaker_failures: 3,
            breaker_pause: Duration::from_secs(30),
            breaker_hosts_max: hosts_max,
            ..PushSettings::default()
        };
        (Breakers::new(&settings), Arc::from("a:443"))
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_and_one_request_tries() {
        let (breakers, host) = breakers(10);
        for _ in 0..2 {
            assert!(!breakers.enter(&host).ok().unwrap().failed());
        }
        // One answer, and counting begins anew.
        breakers.enter(&host).ok().unwrap().answered();
        for _ in 0..2 {
            assert!(!breakers.enter(&host).ok().unwrap().failed());
        }
        assert!(breakers.enter(&host).ok().unwrap().failed());
        assert_eq!(breakers.enter(&host).err(), Some(Duration::from_secs(30)));
        assert_eq!((breakers.shut(), breakers.open()), (vec![host.clone()], 1));

        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(breakers.shut().is_empty());
        let probe = breakers.enter(&host).ok().unwrap();
        assert!(breakers.enter(&host).is_err(), "one at a time");
        assert_eq!(breakers.shut(), std::slice::from_ref(&host));
        // A probe that came to nothing leaves the place to another one.
        drop(probe);
        assert!(
            breakers.enter(&host).ok().unwrap().failed(),
            "one failure opens it again"
        );
        assert!(breakers.enter(&host).is_err());
        tokio::time::advance(Duration::from_secs(30)).await;
        breakers.enter(&host).ok().unwrap().answered();
        assert_eq!(breakers.open(), 0);
        assert!(!breakers.enter(&host).ok().unwrap().failed());
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_do_not_disturb_each_other_and_their_number_has_a_limit() {
        let (breakers, host) = breakers(2);
        for _ in 0..3 {
            breakers.enter(&host).ok().unwrap().failed();
        }
        for other in ["b:1", "c:1", "d:1"].map(Arc::from) {
            assert!(!breakers.enter(&other).ok().unwrap().failed());
        }
        assert_eq!(breakers.lock().len(), 2);
        assert!(breakers.enter(&host).is_err(), "the one that failed most is kept");
    }
}
