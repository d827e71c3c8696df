//! Whose use is counted with whose, and what is refused.

use std::time::Duration;

use super::*;
use crate::error::Kind;

fn rate(per_minute: u64, burst: u64) -> Rate {
    Rate { per_minute, burst }
}

fn requests(burst: u64) -> Quota {
    Quota {
        requests: rate(60, burst),
        ..Quota::default()
    }
}

fn each(quota: Quota) -> SubjectQuotas {
    SubjectQuotas {
        each: quota,
        ..SubjectQuotas::default()
    }
}

fn caller(name: &str, organisation: Option<&str>) -> Caller {
    Caller {
        organisation: organisation.map(Arc::from),
        ..Caller::named(Principal::verified(name))
    }
}

fn echo() -> Arc<str> {
    Arc::from("echo")
}

/// How many of `count` calls are let in.
fn admitted(quotas: &Quotas, caller: &Caller, agent: &str, count: usize) -> usize {
    let agent = Arc::from(agent);
    let calls = (0..count).map(|_| quotas.admit(caller, None, &agent));
    calls.filter(Result::is_ok).count()
}

#[tokio::test(start_paused = true)]
async fn each_caller_has_its_own() {
    let quotas = Quotas::new(QuotaSettings {
        principals: SubjectQuotas {
            each: requests(3),
            named: [
                (Arc::from("big"), requests(7)),
                (Arc::from("free"), Quota::default()),
            ]
            .into(),
        },
        ..QuotaSettings::default()
    });
    for (name, expected) in [("a", 3), ("b", 3), ("big", 7), ("free", 100)] {
        assert_eq!(
            admitted(&quotas, &caller(name, None), "echo", 100),
            expected,
            "{name}"
        );
    }
    let refusal = quotas.admit(&caller("a", None), None, &echo()).unwrap_err();
    assert_eq!(
        (refusal.kind, refusal.retry_after),
        (Kind::ResourceExhausted, Some(Duration::from_secs(1)))
    );
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(admitted(&quotas, &caller("a", None), "echo", 100), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_by_one_quota_pays_none_of_the_others() {
    let quotas = Quotas::new(QuotaSettings {
        principals: each(requests(10)),
        agents: each(requests(4)),
        organisations: each(requests(20)),
        ..QuotaSettings::default()
    });
    let (ada, bob) = (caller("ada", Some("acme")), caller("bob", Some("acme")));
    assert_eq!(admitted(&quotas, &ada, "echo", 50), 4);
    // Of her own ten, six are left for another agent.
    assert_eq!(admitted(&quotas, &ada, "puppet", 50), 4);
    assert_eq!(admitted(&quotas, &ada, "other", 50), 2);
    // Of the organisation's twenty, ten are left for the others.
    assert_eq!(admitted(&quotas, &bob, "a", 4), 4);
    assert_eq!(admitted(&quotas, &bob, "b", 4), 4);
    assert_eq!(admitted(&quotas, &caller("eve", Some("acme")), "c", 50), 2);
    let refusal = quotas
        .admit(&caller("eve", Some("acme")), None, &Arc::from("d"))
        .unwrap_err();
    assert!(refusal.metadata.contains(&("subject", "organisation".to_owned())));
    assert_eq!(admitted(&quotas, &caller("eve", Some("other")), "d", 1), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_in_particular_is_where_the_call_comes_from() {
    let quotas = Quotas::new(QuotaSettings {
        principals: each(requests(1)),
        ..QuotaSettings::default()
    });
    let call = |peer: &str| {
        let peer: SocketAddr = peer.parse().unwrap();
        quotas.admit(&Caller::anonymous(), Some(peer), &echo()).is_ok()
    };
    assert!(call("192.0.2.1:1000"));
    assert!(!call("192.0.2.1:2000"));
    assert!(!call("[::ffff:192.0.2.1]:1"));
    assert!(call("192.0.2.2:1000"));
    assert!(call("[2001:db8:0:1::1]:1"));
    assert!(!call("[2001:db8:0:1:ffff::1]:1"));
    assert!(call("[2001:db8:0:2::1]:1"));
    assert_eq!(quotas.keys(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_body_may_overdraw_once_and_then_waits() {
    let quota = Quota {
        bytes: rate(60, 10),
        ..Quota::default()
    };
    let quotas = Quotas::new(QuotaSettings {
        principals: each(quota),
        ..QuotaSettings::default()
    });
    assert!(quotas.counts_bytes());
    let ada = caller("ada", None);
    let traffic = Traffic::default();
    traffic.received(12);
    let account = quotas.admit(&ada, None, &echo()).unwrap();
    traffic.charge_to(&account);
    traffic.sent(8);
    // 20 used of 10: ten owed, and one to begin with.
    let refusal = quotas.admit(&ada, None, &echo()).unwrap_err();
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(11)));
    assert!(account.check_bytes().is_err());
    tokio::time::advance(Duration::from_secs(11)).await;
    quotas.admit(&ada, None, &echo()).unwrap();
    // What is sent to whom nobody let in is charged to nobody.
    Traffic::default().sent(1_000);
    assert!(quotas.admit(&ada, None, &echo()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_is_counted_ends_with_its_permit() {
    let quota = Quota {
        streams_max: 1,
        executions_max: 2,
        ..Quota::default()
    };
    let quotas = Quotas::new(QuotaSettings {
        principals: each(quota),
        ..QuotaSettings::default()
    });
    let account = quotas.admit(&caller("ada", None), None, &echo()).unwrap();
    let stream = account.open_stream().unwrap();
    assert!(account.open_stream().is_err());
    let (one, _two) = (account.execute().unwrap(), account.execute().unwrap());
    let refusal = account.execute().unwrap_err();
    assert_eq!(
        refusal.metadata,
        [
            ("quota", "executions_max".to_owned()),
            ("limit", "2".to_owned()),
            ("subject", "principal".to_owned())
        ]
    );
    drop((stream, one));
    assert!(account.open_stream().is_ok() && account.execute().is_ok());
    assert!(quotas.open_task(&account, &Principal::verified("ada")).is_none());
}

#[tokio::test(start_paused = true)]
async fn tasks_on_their_way_are_counted_beside_those_that_are_stored() {
    let quota = Quota {
        open_tasks_max: 3,
        ..Quota::default()
    };
    let quotas = Quotas::new(QuotaSettings {
        principals: each(quota),
        ..QuotaSettings::default()
    });
    let account = quotas.admit(&caller("ada", None), None, &echo()).unwrap();
    let open = || quotas.open_task(&account, &Principal::verified("ada")).unwrap();
    let check = |opening: &Opening, stored| opening.limits[0].check(stored).is_ok();
    let (first, second) = (open(), open());
    assert!(check(&first, 2) && !check(&first, 3));
    assert!(check(&second, 1) && !check(&second, 2));
    drop(first);
    assert!(check(&open(), 1));
}

/// Stored tasks are counted by owner: fifty members of a space who begin at once see each other, each with its own limit.
#[tokio::test(start_paused = true)]
async fn who_shares_tasks_shares_those_on_their_way() {
    let at_most = |open_tasks_max| Quota {
        open_tasks_max,
        ..Quota::default()
    };
    let quotas = Quotas::new(QuotaSettings {
        principals: SubjectQuotas {
            each: at_most(5),
            named: [(Arc::from("big"), at_most(7))].into(),
        },
        ..QuotaSettings::default()
    });
    let team = Principal::verified("space:team=red");
    let open = |name: &str, owner: &Principal| {
        let account = quotas.admit(&caller(name, None), None, &echo()).unwrap();
        quotas.open_task(&account, owner).unwrap()
    };
    let crowd: Vec<Opening> = (0..50).map(|n| open(&format!("member {n}"), &team)).collect();
    let let_in = |crowd: &[Opening]| {
        let checks = crowd.iter().map(|opening| opening.limits[0].check(0));
        checks.filter(Result::is_ok).count()
    };
    assert_eq!(let_in(&crowd), 5);
    // Another owner's tasks are none of theirs, be it the same caller.
    let own = open("member 49", &Principal::verified("member 49"));
    assert!(own.limits[0].check(4).is_ok());
    drop(crowd);
    let _six: Vec<Opening> = (0..6).map(|_| open("member 1", &team)).collect();
    let big = open("big", &team);
    assert!(big.limits[0].check(0).is_ok() && big.limits[0].check(1).is_err());
}

#[test]
fn without_limits_nothing_is_kept() {
    let quotas = Quotas::new(QuotaSettings::default());
    assert!(!quotas.counts_bytes());
    assert_eq!(admitted(&quotas, &caller("a", Some("b")), "echo", 10_000), 10_000);
    assert_eq!(quotas.keys(), 0);
}
