//! Hosts that are away: after some failures in a row a host is left alone for a while, then one request tries it.
//!
//! Only what says that a host is away counts (no answer, or one of 5xx): a path that nobody listens to must not take a
//! host from others. Each owner has a view of his own: whose receivers fail on a host that many share takes it from
//! himself alone. While a host is left alone only the request that tries it says anything new; what was begun before and
//! ends late neither counts nor takes that request's place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::PushSettings;
use crate::context::Principal;

/// The least time after which what waits for a request that tries a host is looked at again.
const BESIDE_MIN: Duration = Duration::from_millis(100);

/// What is known of hosts that failed last; a host that is not in here is well.
pub(super) struct Breakers {
    hosts: Mutex<HashMap<Place, Host>>,
    failures_max: u32,
    pause: Duration,
    request_timeout: Duration,
    hosts_max: usize,
}

/// A host, as an owner sees it.
type Place = (Principal, Arc<str>);

#[derive(Debug)]
enum Host {
    /// So many requests have failed in a row.
    Failing(u32),
    /// It is left alone until then.
    LeftAlone(Instant),
    /// A request tries it, which is over by then.
    Tried(Instant),
}

/// The right to one request. Dropped without a word it changes nothing.
pub(super) struct Pass {
    breakers: Arc<Breakers>,
    place: Place,
    is_probe: bool,
}

impl Breakers {
    pub(super) fn new(settings: &PushSettings) -> Arc<Self> {
        Arc::new(Self {
            hosts: Mutex::default(),
            failures_max: settings.breaker_failures,
            pause: settings.breaker_pause,
            request_timeout: settings.request_timeout,
            hosts_max: settings.breaker_hosts_max,
        })
    }

    /// The right to send a request of an owner to a host now.
    ///
    /// # Errors
    /// How long the host is left alone, or the request may take that tries it.
    pub(super) fn enter(self: &Arc<Self>, owner: &Principal, host: &Arc<str>) -> Result<Pass, Duration> {
        let (place, now) = ((owner.clone(), host.clone()), Instant::now());
        let mut hosts = self.lock();
        let mut is_probe = false;
        match hosts.get_mut(&place) {
            None | Some(Host::Failing(_)) => {}
            Some(Host::LeftAlone(until)) if *until > now => return Err(*until - now),
            Some(Host::Tried(by)) => return Err(by.saturating_duration_since(now).max(BESIDE_MIN)),
            Some(known) => {
                *known = Host::Tried(now + self.request_timeout);
                is_probe = true;
            }
        }
        Ok(Pass {
            breakers: self.clone(),
            place,
            is_probe,
        })
    }

    /// The hosts to which nothing of an owner should be sent now.
    pub(super) fn shut(&self) -> Vec<Place> {
        let now = Instant::now();
        let is_shut = |host: &Host| match host {
            Host::Failing(_) => false,
            Host::LeftAlone(until) => *until > now,
            Host::Tried(_) => true,
        };
        let hosts = self.lock();
        let shut = hosts.iter().filter(|(_, host)| is_shut(host));
        shut.map(|(place, _)| place.clone()).collect()
    }

    /// How many hosts are left alone, each counted once for every owner.
    pub(super) fn open(&self) -> usize {
        let hosts = self.lock();
        let open = hosts.values().filter(|host| !matches!(host, Host::Failing(_)));
        open.count()
    }

    /// Counts a failure; whether the host is left alone from now on.
    fn fail(&self, place: &Place, is_probe: bool) -> bool {
        let mut hosts = self.lock();
        if !hosts.contains_key(place) && hosts.len() >= self.hosts_max {
            make_room(&mut hosts);
        }
        let host = hosts.entry(place.clone()).or_insert(Host::Failing(0));
        let opens = match host {
            Host::Failing(failures) => {
                *failures = failures.saturating_add(1);
                *failures >= self.failures_max
            }
            Host::LeftAlone(_) | Host::Tried(_) => is_probe,
        };
        if opens {
            *host = Host::LeftAlone(Instant::now() + self.pause);
        }
        opens
    }

    /// A host has answered.
    fn answer(&self, place: &Place, is_probe: bool) {
        let mut hosts = self.lock();
        let is_new = is_probe || matches!(hosts.get(place), Some(Host::Failing(_)));
        if is_new {
            hosts.remove(place);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, Host>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets the host that has failed least: what is lost is that its failures are counted anew.
fn make_room(hosts: &mut HashMap<Place, Host>) {
    let failures = |host: &Host| match host {
        Host::Failing(failures) => *failures,
        Host::LeftAlone(_) | Host::Tried(_) => u32::MAX,
    };
    let least = hosts.iter().min_by_key(|(_, host)| failures(host));
    if let Some(place) = least.map(|(place, _)| place.clone()) {
        hosts.remove(&place);
    }
}

impl Pass {
    /// The host has answered, and is well.
    pub(super) fn answered(mut self) {
        self.breakers.answer(&self.place, self.is_probe);
        self.is_probe = false;
    }

    /// The host has not answered, or said that it can't. True if it is left alone from now on.
    pub(super) fn failed(mut self) -> bool {
        let opens = self.breakers.fail(&self.place, self.is_probe);
        self.is_probe = false;
        opens
    }
}

impl Drop for Pass {
    /// A request that tried a host and came to nothing leaves its place to another one.
    fn drop(&mut self) {
        if self.is_probe
            && let Some(host) = self.breakers.lock().get_mut(&self.place)
        {
            *host = Host::LeftAlone(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        breakers: Arc<Breakers>,
        host: Arc<str>,
    }

    impl Bench {
        fn enter(&self, owner: &str) -> Result<Pass, Duration> {
            self.breakers.enter(&Principal::verified(owner), &self.host)
        }

        /// A request of Ada that fails; whether the host is left alone then.
        fn fail(&self) -> bool {
            self.enter("ada").ok().unwrap().failed()
        }

        fn is_shut(&self) -> bool {
            !self.breakers.shut().is_empty()
        }
    }

    const PAUSE: Duration = Duration::from_secs(30);
    const TIMEOUT: Duration = Duration::from_secs(15);

    fn bench(hosts_max: usize) -> Bench {
        let settings = PushSettings {
            breaker_failures: 3,
            breaker_pause: PAUSE,
            breaker_hosts_max: hosts_max,
            request_timeout: TIMEOUT,
            ..PushSettings::default()
        };
        Bench {
            breakers: Breakers::new(&settings),
            host: Arc::from("a:443"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_and_one_request_tries() {
        let bench = bench(10);
        assert!(!bench.fail() && !bench.fail());
        // One answer, and counting begins anew.
        bench.enter("ada").ok().unwrap().answered();
        assert!(!bench.fail() && !bench.fail() && bench.fail());
        assert_eq!(bench.enter("ada").err(), Some(PAUSE));
        assert!(bench.is_shut() && bench.breakers.open() == 1);

        tokio::time::advance(PAUSE).await;
        assert!(!bench.is_shut());
        let probe = bench.enter("ada").ok().unwrap();
        assert!(bench.is_shut(), "one at a time");
        assert_eq!(
            bench.enter("ada").err(),
            Some(TIMEOUT),
            "and no full pause for it"
        );
        tokio::time::advance(TIMEOUT).await;
        assert_eq!(bench.enter("ada").err(), Some(BESIDE_MIN));
        // A probe that came to nothing leaves the place to another one.
        drop(probe);
        assert!(bench.fail(), "one failure opens it again");
        assert!(bench.enter("ada").is_err());
        tokio::time::advance(PAUSE).await;
        bench.enter("ada").ok().unwrap().answered();
        assert_eq!(bench.breakers.open(), 0);
        assert!(!bench.fail());
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_begun_before_it_opened_says_nothing() {
        let bench = bench(10);
        let mut late: Vec<Pass> = (0..4).filter_map(|_| bench.enter("ada").ok()).collect();
        assert!(!bench.fail() && !bench.fail() && bench.fail());
        assert!(!late.remove(0).failed(), "it is left alone already");
        late.remove(0).answered();
        assert_eq!(bench.enter("ada").err(), Some(PAUSE));
        tokio::time::advance(PAUSE).await;
        let probe = bench.enter("ada").ok().unwrap();
        assert!(!late.remove(0).failed());
        late.remove(0).answered();
        assert_eq!(bench.enter("ada").err(), Some(TIMEOUT), "it is tried still");
        assert!(probe.failed());
        assert_eq!(bench.enter("ada").err(), Some(PAUSE));
    }

    #[tokio::test(start_paused = true)]
    async fn whose_receivers_fail_takes_the_host_from_himself_alone() {
        let bench = bench(10);
        assert!(!bench.fail() && !bench.fail() && bench.fail());
        assert!(bench.enter("ada").is_err());
        bench.enter("bob").ok().unwrap().answered();
        assert!(!bench.enter("bob").ok().unwrap().failed());
        let shut = (Principal::verified("ada"), bench.host.clone());
        assert_eq!(bench.breakers.shut(), [shut]);
    }

    #[tokio::test(start_paused = true)]
    async fn their_number_has_a_limit() {
        let bench = bench(2);
        assert!(!bench.fail() && !bench.fail() && bench.fail());
        for other in ["bob", "cy", "dan"] {
            assert!(!bench.enter(other).ok().unwrap().failed());
        }
        assert_eq!(bench.breakers.lock().len(), 2);
        assert!(bench.enter("ada").is_err(), "the one that failed most is kept");
    }
}
