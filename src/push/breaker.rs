//! Hosts that are away: after some failures in a row a host is left alone for a while, then one request tries it.
//!
//! Only what says that a host is away counts (no answer, or one of 5xx): a path that nobody listens to must not take a
//! host from others. Each owner has a view of his own: whose receivers fail on a host that many share takes it from
//! himself alone, and he has a part of the table only. While a host is left alone only the request that tries it says
//! anything new; what was begun before and ends late neither counts nor takes that request's place, then or later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::PushSettings;
use crate::context::Principal;

/// The least time after which what waits for a request that tries a host is looked at again.
const BESIDE_MIN: Duration = Duration::from_millis(100);

/// One owner has at most one of so many parts of what is known of hosts.
const OWNER_PART: usize = 4;

/// What is known of hosts that failed last; a host that is not in here is well.
pub(super) struct Breakers {
    known: Mutex<Known>,
    failures_max: u32,
    pause: Duration,
    request_timeout: Duration,
    hosts_max: usize,
}

#[derive(Default)]
struct Known {
    hosts: HashMap<Place, Host>,
    /// How often a host was begun to be left alone. Requests remember it, so that it is known which are older.
    openings: u64,
}

/// A host, as an owner sees it.
type Place = (Principal, Arc<str>);

#[derive(Debug)]
enum Host {
    /// So many requests have failed in a row. Those do not count that were begun before so many openings: before this
    /// host was left alone.
    Failing { failures: u32, since: u64 },
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
    /// The openings before it was begun.
    openings: u64,
}

impl Breakers {
    pub(super) fn new(settings: &PushSettings) -> Arc<Self> {
        Arc::new(Self {
            known: Mutex::default(),
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
        let mut known = self.lock();
        let mut is_probe = false;
        match known.hosts.get_mut(&place) {
            None | Some(Host::Failing { .. }) => {}
            Some(Host::LeftAlone(until)) if *until > now => return Err(*until - now),
            Some(Host::Tried(by)) => return Err(by.saturating_duration_since(now).max(BESIDE_MIN)),
            Some(host) => {
                *host = Host::Tried(now + self.request_timeout);
                is_probe = true;
            }
        }
        Ok(Pass {
            breakers: self.clone(),
            place,
            is_probe,
            openings: known.openings,
        })
    }

    /// The hosts to which nothing of an owner should be sent now.
    pub(super) fn shut(&self) -> Vec<Place> {
        let now = Instant::now();
        let known = self.lock();
        let shut = known.hosts.iter().filter(|(_, host)| host.is_shut(now));
        shut.map(|(place, _)| place.clone()).collect()
    }

    /// How many hosts those are, each counted once for every owner.
    pub(super) fn open(&self) -> usize {
        let now = Instant::now();
        let known = self.lock();
        known.hosts.values().filter(|host| host.is_shut(now)).count()
    }

    /// Counts a failure; whether the host is left alone from now on.
    fn fail(&self, pass: &Pass) -> bool {
        let known = &mut *self.lock();
        if !known.hosts.contains_key(&pass.place) {
            make_room(&mut known.hosts, &pass.place.0, self.hosts_max);
        }
        let new = Host::Failing {
            failures: 0,
            since: 0,
        };
        let host = known.hosts.entry(pass.place.clone()).or_insert(new);
        let opens = match host {
            Host::Failing { since, .. } if pass.openings < *since => false,
            Host::Failing { failures, .. } => {
                *failures = failures.saturating_add(1);
                *failures >= self.failures_max
            }
            Host::LeftAlone(_) | Host::Tried(_) => pass.is_probe,
        };
        if opens {
            *host = Host::LeftAlone(Instant::now() + self.pause);
            known.openings += 1;
        }
        opens
    }

    /// A host has answered. Where it was left alone its place stays, so that it is known what was begun before.
    fn answer(&self, pass: &Pass) {
        let known = &mut *self.lock();
        let openings = known.openings;
        match known.hosts.get_mut(&pass.place) {
            Some(Host::Failing { since: 0, .. }) => {
                known.hosts.remove(&pass.place);
            }
            Some(Host::Failing { failures, since }) if pass.openings >= *since => *failures = 0,
            Some(host @ (Host::LeftAlone(_) | Host::Tried(_))) if pass.is_probe => {
                *host = Host::Failing {
                    failures: 0,
                    since: openings,
                };
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host {
    fn is_shut(&self, now: Instant) -> bool {
        match self {
            Self::Failing { .. } => false,
            Self::LeftAlone(until) => *until > now,
            Self::Tried(_) => true,
        }
    }

    /// What is least is forgotten first: what is well, then the one that nobody has tried for longest although its pause
    /// is over, then the one that failed least, and in the end the one that is tried soonest.
    fn worth(&self, now: Instant) -> (u8, u32, Option<Instant>) {
        match self {
            Self::Failing { failures: 0, .. } => (0, 0, None),
            Self::LeftAlone(until) if *until <= now => (1, 0, Some(*until)),
            Self::Failing { failures, .. } => (2, *failures, None),
            Self::LeftAlone(until) => (3, 0, Some(*until)),
            Self::Tried(by) => (4, 0, Some(*by)),
        }
    }
}

/// Forgets hosts until there is room for one more of an owner: his own when he has his part, else anybody's. What is lost
/// is that their failures are counted anew.
fn make_room(hosts: &mut HashMap<Place, Host>, owner: &Principal, hosts_max: usize) {
    let now = Instant::now();
    let of_owner = hosts.keys().filter(|place| place.0 == *owner).count();
    let has_part = of_owner >= (hosts_max / OWNER_PART).max(1);
    if !has_part && hosts.len() < hosts_max {
        return;
    }
    let found = hosts.iter().filter(|(place, _)| !has_part || place.0 == *owner);
    let least = found.min_by_key(|(_, host)| host.worth(now));
    if let Some(place) = least.map(|(place, _)| place.clone()) {
        hosts.remove(&place);
    }
}

impl Pass {
    /// The host has answered, and is well.
    pub(super) fn answered(mut self) {
        self.breakers.answer(&self);
        self.is_probe = false;
    }

    /// The host has not answered, or said that it can't. True if it is left alone from now on.
    pub(super) fn failed(mut self) -> bool {
        let opens = self.breakers.fail(&self);
        self.is_probe = false;
        opens
    }
}

impl Drop for Pass {
    /// A request that tried a host and came to nothing leaves its place to another one.
    fn drop(&mut self) {
        if self.is_probe
            && let Some(host @ Host::Tried(_)) = self.breakers.lock().hosts.get_mut(&self.place)
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
        assert!(!bench.is_shut() && bench.breakers.open() == 0);
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
    async fn what_was_begun_before_it_opened_says_nothing_when_it_is_well_again() {
        let bench = bench(10);
        let late: Vec<Pass> = (0..4).filter_map(|_| bench.enter("ada").ok()).collect();
        assert!(!bench.fail() && !bench.fail() && bench.fail());
        tokio::time::advance(PAUSE).await;
        bench.enter("ada").ok().unwrap().answered();
        let mut late = late.into_iter();
        assert!(late.by_ref().take(3).all(|pass| !pass.failed()));
        assert!(!bench.fail() && !bench.fail());
        late.next().unwrap().answered();
        assert!(bench.fail(), "nor does an answer that is so old");
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_tries_again_is_forgotten_before_what_fails() {
        let mut bench = bench(8);
        let mut fail = |host: &str, times: usize| {
            bench.host = Arc::from(host);
            (0..times).filter(|_| bench.fail()).count()
        };
        assert_eq!((fail("a:443", 3), fail("b:443", 1)), (1, 0));
        tokio::time::advance(PAUSE).await;
        // Two of eight are the part of one owner.
        assert_eq!(fail("c:443", 2), 0);
        assert_eq!(fail("b:443", 2), 1, "it was not forgotten");
        assert_eq!(fail("d:443", 3), 1);
        assert_eq!(bench.breakers.shut().len(), 2);
        bench.enter("bob").ok().unwrap().failed();
        assert_eq!(bench.breakers.lock().hosts.len(), 3, "others have room");
        assert!(bench.enter("ada").is_err() && bench.enter("bob").is_ok());
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
        assert_eq!(bench.breakers.lock().hosts.len(), 2);
        assert!(bench.enter("ada").is_err(), "the one that failed most is kept");
    }
}
