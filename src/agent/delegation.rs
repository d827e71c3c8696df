//! Handing work on to other agents, in chains and trees that end.
//!
//! Every call says how many agents have handed it on (`a2ad-hops`) and how many further calls it and all calls below it may
//! cause (`a2ad-budget`). An agent takes each call that it makes from the budget of its request, and gives a share of the
//! rest along with it: so a whole tree of calls has no more of them than the budget of its root, whoever makes them, and no
//! chain is longer than the hops that are allowed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::context::{Chain, TraceContext};

/// How far work may be handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelegationLimits {
    /// Agents that may hand a call on, one to the next.
    pub hops_max: u32,
    /// Calls that one call may cause, with all calls below it; a caller may allow fewer.
    pub budget: u32,
}

impl Default for DelegationLimits {
    fn default() -> Self {
        Self {
            hops_max: 8,
            budget: 64,
        }
    }
}

/// What a request may hand on. Clones share the budget.
#[derive(Clone, Debug)]
pub struct Delegation {
    hops: u32,
    hops_max: u32,
    left: Arc<AtomicU32>,
    trace: Option<Arc<TraceContext>>,
}

/// Why nothing more can be handed on. Its text is fit for callers: `AgentError::new(error.to_string())`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DelegationError {
    /// The chain is as long as it may get.
    #[error(
        "{0} agents have handed this task on, the limit (delegation_hops_max); agents may be calling each other in a circle"
    )]
    Hops(u32),
    /// The budget does not cover the call and its share.
    #[error("{left} calls are left of the budget of this request (a2ad-budget), and this takes {wanted}")]
    Budget {
        /// What is left.
        left: u32,
        /// What was asked for: the call itself and its share.
        wanted: u64,
    },
}

impl Delegation {
    /// What a call with this place in a chain may hand on.
    pub fn new(chain: Chain, limits: DelegationLimits, trace: Option<Arc<TraceContext>>) -> Self {
        let budget = chain.budget.map_or(limits.budget, |said| said.min(limits.budget));
        Self {
            hops: chain.hops,
            hops_max: limits.hops_max,
            left: Arc::new(AtomicU32::new(budget)),
            trace,
        }
    }

    /// How many agents have handed the task on to this one.
    pub fn hops(&self) -> u32 {
        self.hops
    }

    /// Calls that are left of the budget.
    pub fn left(&self) -> u32 {
        self.left.load(Ordering::Acquire)
    }

    /// Takes one call from the budget, and `share` more that it may hand on in turn. What it does not use is lost: nobody
    /// could say when it has used the last of it.
    ///
    /// # Errors
    /// [`DelegationError::Hops`] at the end of the chain, [`DelegationError::Budget`] when less is left; nothing is taken
    /// then.
    pub fn next(&self, share: u32) -> Result<Onward, DelegationError> {
        if self.hops >= self.hops_max {
            return Err(DelegationError::Hops(self.hops));
        }
        let wanted = u64::from(share) + 1;
        let take = |left: u32| u32::try_from(u64::from(left).checked_sub(wanted)?).ok();
        match self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, take) {
            Ok(_) => Ok(Onward {
                hops: self.hops + 1,
                budget: share,
                trace: self.trace.clone(),
            }),
            Err(left) => Err(DelegationError::Budget { left, wanted }),
        }
    }
}

/// The right to make one call, and what it has to say. It can't be copied: a second call needs a second one.
#[derive(Debug)]
pub struct Onward {
    hops: u32,
    budget: u32,
    trace: Option<Arc<TraceContext>>,
}

impl Onward {
    /// The place of the call in its chain.
    pub fn chain(&self) -> Chain {
        Chain {
            hops: self.hops,
            budget: Some(self.budget),
        }
    }

    /// The headers, or gRPC metadata, of the call: its place in the chain and in the trace. The call is made with them.
    pub fn into_headers(self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("a2ad-hops", self.hops.to_string()),
            ("a2ad-budget", self.budget.to_string()),
        ];
        if let Some(trace) = &self.trace {
            headers.push(("traceparent", trace.traceparent.clone()));
            headers.extend(trace.tracestate.clone().map(|state| ("tracestate", state)));
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delegation(hops: u32, budget: Option<u32>, limits: DelegationLimits) -> Delegation {
        Delegation::new(Chain { hops, budget }, limits, None)
    }

    #[test]
    fn a_call_and_its_share_come_out_of_the_budget() {
        let limits = DelegationLimits::default();
        let root = delegation(0, None, limits);
        assert_eq!((root.left(), root.hops()), (64, 0));
        let first = root.next(10).unwrap();
        let chain = Chain {
            hops: 1,
            budget: Some(10),
        };
        assert_eq!((first.chain(), root.clone().left()), (chain, 53));
        let too_much = DelegationError::Budget { left: 53, wanted: 54 };
        assert_eq!(root.next(53).unwrap_err(), too_much);
        root.next(52).unwrap();
        assert!(root.next(0).is_err() && root.next(u32::MAX).is_err());
        // What a caller says is not more than what is allowed.
        assert_eq!(delegation(0, Some(u32::MAX), limits).left(), 64);
        assert_eq!(
            delegation(8, None, limits).next(0).unwrap_err(),
            DelegationError::Hops(8)
        );
        assert!(delegation(u32::MAX, None, limits).next(0).is_err());
    }

    #[test]
    fn a_call_says_its_place() {
        let trace = TraceContext::parse(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            Some("a=b"),
        );
        let limits = DelegationLimits::default();
        let root = Delegation::new(Chain::default(), limits, trace.map(Arc::new));
        let headers = root.next(3).unwrap().into_headers();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["a2ad-hops", "a2ad-budget", "traceparent", "tracestate"]);
        assert_eq!((headers[0].1.as_str(), headers[1].1.as_str()), ("1", "3"));
    }

    /// Makes calls as `plan` says, each of them handing on in turn; how many there were, and how deep.
    fn grow(at: &Delegation, limits: DelegationLimits, plan: &mut impl Iterator<Item = u32>) -> (u64, u32) {
        let (mut calls, mut deepest) = (0, at.hops());
        while let Some(share) = plan.next() {
            // Greedy, as agents may be: what does not fit is tried with less.
            let Ok(onward) = at.next(share).or_else(|_| at.next(0)) else {
                break;
            };
            let chain = onward.chain();
            let below = Delegation::new(chain, limits, None);
            let (more, depth) = grow(&below, limits, plan);
            calls += 1 + more;
            deepest = deepest.max(depth).max(chain.hops);
            if share % 3 == 0 {
                break;
            }
        }
        (calls, deepest)
    }

    proptest! {
        #[test]
        fn no_tree_has_more_calls_than_the_budget_of_its_root(
            budget in 0_u32..300,
            hops_max in 0_u32..12,
            said in prop::option::of(0_u32..400),
            plan in prop::collection::vec(0_u32..200, 0..600),
        ) {
            let limits = DelegationLimits { hops_max, budget };
            let root = delegation(0, said, limits);
            let (calls, deepest) = grow(&root, limits, &mut plan.into_iter());
            prop_assert!(calls <= u64::from(budget.min(said.unwrap_or(budget))));
            prop_assert!(deepest <= hops_max);
        }
    }

    #[test]
    fn clones_on_many_threads_share_one_budget() {
        let limits = DelegationLimits {
            hops_max: 1,
            budget: 10_000,
        };
        let root = delegation(0, None, limits);
        let take = |root: Delegation| (0..10_000).filter(|n| root.next(n % 3).is_ok()).count();
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| take(root.clone()))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(root.left(), 0);
        assert!((3_333..=10_000).contains(&taken), "{taken}");
    }
}
