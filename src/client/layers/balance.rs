//! Which instance gets a call: of two drawn at random the one with less to do, among those whose breaker lets calls
//! through.
//!
//! The load is tower's Peak-EWMA. tower's balancer itself can't be shared without a task that owns it, which every call
//! would have to go through; and it takes instances that fail for busy ones, and waits for them.

use std::sync::Arc;

use tower::service_fn;

use super::Step;
use super::attempt::Member;
use super::backoff::random;
use super::breaker::{Pass, is_failure};
use crate::access::Method;
use crate::client::{Call, Error, Reply};

/// Spreads calls over the instances. One that can't be reached loses the call to another one; every instance is asked
/// once at most.
pub(super) fn balanced(members: Vec<Member>) -> impl Step {
    let members: Arc<[Member]> = members.into();
    service_fn(move |call: Call| {
        let members = members.clone();
        async move { make(&members, call).await }
    })
}

async fn make(members: &[Member], call: Call) -> Result<Reply, Error> {
    let method = call.method();
    if let [only] = members {
        let pass = only.breaker.enter().map_err(|left| left_alone(members, left))?;
        return settled(pass, method, only.make(call).await);
    }
    let mut untried: Vec<usize> = (0..members.len()).collect();
    let mut unreached = None;
    loop {
        let (index, pass) = match choose(members, &untried) {
            Ok(chosen) => chosen,
            Err(held) => return Err(unreached.unwrap_or(held)),
        };
        untried.retain(|other| *other != index);
        if untried.is_empty() {
            return settled(pass, method, members[index].make(call).await);
        }
        match settled(pass, method, members[index].make(call.clone()).await) {
            Err(error @ Error::Unreachable { .. }) => unreached = Some(error),
            answer => return answer,
        }
    }
}

fn settled(pass: Pass, method: Method, answer: Result<Reply, Error>) -> Result<Reply, Error> {
    let verdict = match &answer {
        Ok(_) => Some(false),
        Err(error) => is_failure(method, error),
    };
    if let Some(is_failure) = verdict {
        pass.settle(is_failure);
    }
    answer
}

/// One of the instances, with the right to call it.
fn choose(members: &[Member], among: &[usize]) -> Result<(usize, Pass), Error> {
    let is_free = |index: &usize| members[*index].breaker.check().is_ok();
    let mut free: Vec<usize> = among.iter().copied().filter(is_free).collect();
    while let Some(index) = less_loaded(members, &free) {
        if let Ok(pass) = members[index].breaker.enter() {
            return Ok((index, pass));
        }
        free.retain(|other| *other != index);
    }
    let left = among
        .iter()
        .filter_map(|index| members[*index].breaker.check().err());
    Err(left_alone(members, left.min().unwrap_or_default()))
}

/// Of two different ones the one that has less to do.
fn less_loaded(members: &[Member], free: &[usize]) -> Option<usize> {
    let count = free.len() as u64;
    match free {
        [] | [_] => free.first().copied(),
        _ => {
            let random = random();
            let first = random % count;
            let second = (first + 1 + (random / count) % (count - 1)) % count;
            let (one, other) = (free[first as usize], free[second as usize]);
            let is_less = members[one].load() <= members[other].load();
            Some(if is_less { one } else { other })
        }
    }
}

fn left_alone(members: &[Member], left: std::time::Duration) -> Error {
    if members.is_empty() {
        return Error::HeldBack("the agent has no interface that can be called".to_owned());
    }
    let who: Vec<String> = members.iter().map(Member::origin).collect();
    Error::HeldBack(format!(
        "{} failed too often of late and is left alone for another {} ms; make the call again then",
        who.join(", "),
        left.as_millis()
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tower::ServiceExt as _;

    use super::*;
    use crate::client::Instance;
    use crate::client::layers::LayerSettings;
    use crate::client::layers::scripted::{Script, get, interrupted, send, target, unreachable};

    fn over(scripts: &[Script], settings: &LayerSettings) -> impl Step {
        let member = |script: &Script| {
            let instance = Instance {
                target: Arc::new(target("")),
                transport: script.transport(),
            };
            Member::new(instance, settings, Arc::from([]))
        };
        balanced(scripts.iter().map(member).collect())
    }

    fn taking(ms: u64) -> Script {
        Script::new(move |_, _| (Duration::from_millis(ms), Ok(())))
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_instance_gets_less() {
        let scripts = [taking(10), taking(10), taking(1_000)];
        let balanced = over(&scripts, &LayerSettings::default());
        let all = (0..600).map(|number| {
            let balanced = balanced.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(5 * number)).await;
                balanced.oneshot(get()).await
            }
        });
        let answers = futures_util::future::join_all(all).await;
        assert!(answers.iter().all(Result::is_ok));
        let counts: Vec<usize> = scripts.iter().map(Script::calls).collect();
        assert!(counts[2] < 100, "{counts:?}");
        assert!(counts[0] > 150 && counts[1] > 150, "{counts:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_instance_gets_none_and_nobody_notices() {
        let dead = Script::new(|_, _| (Duration::ZERO, Err(unreachable())));
        let scripts = [dead.clone(), taking(10), taking(10)];
        let settings = LayerSettings::default();
        let balanced = over(&scripts, &settings);
        for _ in 0..200 {
            assert!(balanced.clone().oneshot(send()).await.is_ok());
        }
        // The failures that open the breaker, and nothing in its pause.
        assert_eq!(dead.calls(), 5);
        tokio::time::advance(settings.breaker.pause).await;
        for _ in 0..200 {
            assert!(balanced.clone().oneshot(send()).await.is_ok());
        }
        assert_eq!(dead.calls(), 6, "one call tries it");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_is_not_given_to_another_instance() {
        let broken = || Script::new(|_, _| (Duration::ZERO, Err(interrupted())));
        let scripts = [broken(), broken()];
        let balanced = over(&scripts, &LayerSettings::default());
        assert!(balanced.oneshot(send()).await.is_err());
        assert_eq!(scripts.iter().map(Script::calls).sum::<usize>(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn with_all_left_alone_a_call_is_held_back() {
        let nobody = over(&[], &LayerSettings::default()).oneshot(get()).await;
        assert!(matches!(nobody, Err(Error::HeldBack(_))));
        for count in [1, 2, 3] {
            let dead = || Script::new(|_, _| (Duration::ZERO, Err(unreachable())));
            let scripts: Vec<Script> = std::iter::repeat_with(dead).take(count).collect();
            let balanced = over(&scripts, &LayerSettings::default());
            for _ in 0..5 {
                let answer = balanced.clone().oneshot(get()).await;
                assert!(matches!(answer, Err(Error::Unreachable { .. })));
            }
            let error = balanced.oneshot(get()).await.unwrap_err();
            assert!(matches!(error, Error::HeldBack(_)), "{error}");
            assert!(error.to_string().contains("10000 ms"), "{error}");
            assert!(
                scripts.iter().all(|script| script.calls() == 5),
                "each is asked once by a call"
            );
        }
    }
}
