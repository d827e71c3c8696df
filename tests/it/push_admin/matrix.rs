//! Every operation of operators by every kind of caller, at agents of their role and at others.

use a2ad::access::AdminMethod;
use a2ad::error::Kind;
use a2ad::pb::admin::{
    DeliveryFilter, DiscardDeliveriesRequest, ListDeliveriesRequest, RedeliverDeliveriesRequest,
};
use serde_json::json;

use super::{Operator, Post, kind, of_agent};
use crate::identity::issuer::Issuer;

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Everything,
    /// What the role of some operators is for.
    Echo,
    Puppet,
    /// A single delivery of the agent `echo`, and one of the agent `puppet`.
    OneOfEcho,
    OneOfPuppet,
}

const TARGETS: [Target; 5] = [
    Target::Everything,
    Target::Echo,
    Target::Puppet,
    Target::OneOfEcho,
    Target::OneOfPuppet,
];

/// Who calls, and what it has to come to.
struct Caller {
    name: &'static str,
    operator: Operator,
    verdict: fn(AdminMethod, Target) -> Option<Kind>,
}

fn is_one(target: Target) -> bool {
    matches!(target, Target::OneOfEcho | Target::OneOfPuppet)
}

fn callers(post: &Post) -> Vec<Caller> {
    let forged = Issuer::new().token_of("ada", json!({"scope": "operate"}));
    let by = |name, operator, verdict| Caller {
        name,
        operator,
        verdict,
    };
    let scope = |scope: &str, org: &str| post.operator(json!({"scope": scope, "org": org}));
    vec![
        by("none", post.bearer(""), |_, _| Some(Kind::Unauthenticated)),
        by("bad", post.bearer("Bearer a.b.c"), |_, _| {
            Some(Kind::Unauthenticated)
        }),
        by("forged", post.bearer(&format!("Bearer {forged}")), |_, _| {
            Some(Kind::Unauthenticated)
        }),
        by("no scope", scope("", "acme"), |_, _| Some(Kind::PermissionDenied)),
        by("reader", scope("read", "acme"), |_, _| {
            Some(Kind::PermissionDenied)
        }),
        by("owner who may do everything", scope("use", "acme"), |_, _| {
            Some(Kind::PermissionDenied)
        }),
        by("looker", scope("look", "acme"), |method, _| match method {
            AdminMethod::ListDeliveries | AdminMethod::GetDelivery => None,
            _ => Some(Kind::PermissionDenied),
        }),
        by(
            "operator of some agents",
            scope("operate-some", "acme"),
            |_, target| match target {
                Target::Echo | Target::OneOfEcho => None,
                Target::OneOfPuppet => Some(Kind::NotFound),
                Target::Everything | Target::Puppet => Some(Kind::PermissionDenied),
            },
        ),
        by(
            "operator of another organisation",
            scope("operate", "evil"),
            |_, target| is_one(target).then_some(Kind::NotFound),
        ),
        by(
            "operator of the organisation",
            scope("operate", "acme"),
            |_, _| None,
        ),
        by("operator", post.chief(), |_, _| None),
    ]
}

/// What a call answers: its error, and how many deliveries it was about.
async fn call(
    chief: &Operator,
    operator: &Operator,
    method: AdminMethod,
    target: Target,
) -> (Option<Kind>, usize) {
    let name = async |agent: &str| chief.all(of_agent(agent), None).await.unwrap()[0].name.clone();
    let (name, filter) = match target {
        Target::Everything => (String::new(), None),
        Target::Echo => (String::new(), Some(of_agent("echo"))),
        Target::Puppet => (String::new(), Some(of_agent("puppet"))),
        Target::OneOfEcho => (name("echo").await, None),
        Target::OneOfPuppet => (name("puppet").await, None),
    };
    let all = target == Target::Everything;
    match method {
        AdminMethod::GetDelivery => {
            let answer = operator.get(&name).await;
            (kind(&answer), usize::from(answer.is_ok()))
        }
        AdminMethod::ListDeliveries => {
            let request = ListDeliveriesRequest {
                filter,
                ..ListDeliveriesRequest::default()
            };
            let answer = operator.list(request).await;
            (kind(&answer), answer.map_or(0, |page| page.deliveries.len()))
        }
        AdminMethod::RedeliverDeliveries => {
            let request = RedeliverDeliveriesRequest {
                name,
                filter,
                all,
                ..RedeliverDeliveriesRequest::default()
            };
            let answer = operator.redeliver(request).await;
            (kind(&answer), answer.map_or(0, |turn| turn.count as usize))
        }
        AdminMethod::DiscardDeliveries => {
            let request = DiscardDeliveriesRequest {
                name,
                filter,
                all,
                ..DiscardDeliveriesRequest::default()
            };
            let answer = operator.discard(request).await;
            (kind(&answer), answer.map_or(0, |turn| turn.count as usize))
        }
    }
}

#[tokio::test]
async fn every_operator_does_what_its_role_says_and_no_more() {
    let post = Post::new().await;
    let chief = post.chief();
    let (mut cells, mut wrong) = (0, Vec::new());
    for caller in callers(&post) {
        for method in AdminMethod::ALL {
            for target in TARGETS {
                // Get is for one, List for those of a filter.
                let fits = match method {
                    AdminMethod::GetDelivery => is_one(target),
                    AdminMethod::ListDeliveries => !is_one(target),
                    _ => true,
                };
                if !fits {
                    continue;
                }
                let before = chief.all(DeliveryFilter::default(), None).await.unwrap();
                let (got, count) = call(&chief, &caller.operator, method, target).await;
                let wanted = (caller.verdict)(method, target);
                let elsewhere = caller.name.contains("another");
                let is_served = wanted.is_none() && !elsewhere;
                let after = chief.all(DeliveryFilter::default(), None).await.unwrap();
                let gone = before.len() - after.len();
                let may_go = is_served && method == AdminMethod::DiscardDeliveries;
                cells += 1;
                if got != wanted || (count > 0) != is_served || (gone > 0) != may_go {
                    wrong.push(format!(
                        "{} {method:?} {target:?}: {got:?}, not {wanted:?}; {count} told, {gone} gone",
                        caller.name
                    ));
                }
                if gone > 0 {
                    post.renew().await;
                }
            }
        }
    }
    println!("{cells} cells, {} wrong", wrong.len());
    assert_eq!(cells, 11 * 15);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
