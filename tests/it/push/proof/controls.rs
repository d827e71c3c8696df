//! The checker notices what it is there for: records and logs that are good but for one thing.

use std::collections::BTreeSet;

use super::check::{Attempt, Logs, Rule, Wanted, check};

/// What is good: two tasks of five events, one of them with two configurations, and something that came again.
fn good() -> (Logs, Wanted, Vec<Attempt>) {
    let mut logs = Logs::new();
    let mut wanted = Wanted::new();
    let mut attempts = Vec::new();
    for (task, config, first) in [("a", "c", 1), ("a", "d", 3), ("b", "c", 1)] {
        let events: Vec<String> = (1..=5).map(|n| format!("{task} {n}")).collect();
        let stream = (task.to_owned(), config.to_owned());
        for (index, body) in events.iter().enumerate().skip(first - 1) {
            let at = 10 * attempts.len();
            let attempt = Attempt {
                stream: stream.clone(),
                id: format!("{task}-{config}-{}", index + 1),
                body: body.clone(),
                began: at,
                ended: at + 1,
                is_taken: true,
            };
            if index == 3 {
                attempts.push(Attempt {
                    began: at - 5,
                    ended: at - 4,
                    is_taken: false,
                    ..attempt.clone()
                });
            }
            attempts.push(attempt);
        }
        logs.insert(task.to_owned(), events);
        wanted.insert(stream, first);
    }
    (logs, wanted, attempts)
}

fn rules(change: impl FnOnce(&mut Logs, &mut Wanted, &mut Vec<Attempt>)) -> BTreeSet<Rule> {
    let (mut logs, mut wanted, mut attempts) = good();
    change(&mut logs, &mut wanted, &mut attempts);
    check(&logs, &wanted, &attempts).rules()
}

/// Where the first attempt at a delivery of the task `a` for the configuration `c` stands.
fn at(attempts: &[Attempt], n: usize) -> usize {
    let id = format!("a-c-{n}");
    attempts.iter().position(|attempt| attempt.id == id).unwrap()
}

#[test]
fn what_is_good_is_good() {
    let (logs, wanted, attempts) = good();
    let verdict = check(&logs, &wanted, &attempts);
    verdict.is_good();
    assert_eq!(
        (verdict.deliveries, verdict.repeated, verdict.repeated_after_taken),
        (13, 3, 0)
    );
    // What comes again although it was taken is no fault either; it is counted.
    let (_, _, mut again) = good();
    let index = at(&again, 2);
    let mut repeated = again[index].clone();
    (repeated.began, repeated.ended) = (repeated.ended + 1, repeated.ended + 2);
    again.insert(index + 1, repeated);
    let verdict = check(&logs, &wanted, &again);
    verdict.is_good();
    assert_eq!((verdict.repeated, verdict.repeated_after_taken), (4, 1));
}

#[test]
fn what_is_lost_is_noticed() {
    let last = rules(|_, _, attempts| attempts.retain(|one| one.id != "a-c-5"));
    assert_eq!(last, [Rule::NothingIsLost].into());
    let refused = rules(|_, _, attempts| {
        let index = at(attempts, 5);
        attempts[index].is_taken = false;
    });
    assert_eq!(refused, [Rule::NothingIsLost].into());
    let middle = rules(|_, _, attempts| attempts.retain(|one| one.id != "a-c-2"));
    assert_eq!(middle, [Rule::NothingIsLost, Rule::InOrder].into());
    let all = rules(|_, _, attempts| attempts.retain(|one| one.stream.1 != "d"));
    assert_eq!(all, [Rule::NothingIsLost].into());
    let task = rules(|logs, _, _| logs.get_mut("b").unwrap().push("b 6".to_owned()));
    assert_eq!(task, [Rule::NothingIsLost].into());
}

#[test]
fn what_was_never_there_is_noticed() {
    let unknown = rules(|_, _, attempts| attempts[0].body = "a 9".to_owned());
    assert_eq!(
        unknown,
        [Rule::NothingIsLost, Rule::NothingIsInvented, Rule::InOrder].into()
    );
    let not_asked = rules(|_, wanted, _| wanted.retain(|(task, _), _| task != "b"));
    assert_eq!(not_asked, [Rule::NothingIsInvented].into());
    let too_early = rules(|_, wanted, _| *wanted.get_mut(&("a".to_owned(), "d".to_owned())).unwrap() = 4);
    assert_eq!(too_early, [Rule::NothingIsInvented].into());
}

#[test]
fn what_is_out_of_order_is_noticed() {
    let swapped = rules(|_, _, attempts| {
        let (one, two) = (at(attempts, 1), at(attempts, 2));
        let (first, second) = (attempts[one].clone(), attempts[two].clone());
        (attempts[one].body, attempts[one].id) = (second.body, second.id);
        (attempts[two].body, attempts[two].id) = (first.body, first.id);
    });
    assert!(swapped.contains(&Rule::InOrder), "{swapped:?}");
    let back = rules(|_, _, attempts| {
        let (one, three) = (at(attempts, 1), at(attempts, 3));
        let mut late = attempts[one].clone();
        (late.began, late.ended) = (attempts[three].ended + 1, attempts[three].ended + 2);
        attempts.insert(three + 1, late);
    });
    assert_eq!(back, [Rule::InOrder].into());
    let overtaken = rules(|_, _, attempts| {
        let three = at(attempts, 3);
        attempts[three].is_taken = false;
        let mut late = attempts[three].clone();
        late.is_taken = true;
        (late.began, late.ended) = (1_000, 1_001);
        let five = at(attempts, 5);
        attempts.insert(five + 1, late);
    });
    assert_eq!(overtaken, [Rule::InOrder, Rule::OneAfterTheOther].into());
}

#[test]
fn two_at_once_are_noticed() {
    let at_once = rules(|_, _, attempts| {
        let (one, two) = (at(attempts, 1), at(attempts, 2));
        attempts[one].ended = attempts[two].began + 1;
    });
    assert_eq!(at_once, [Rule::OneAtATime].into());
}

#[test]
fn ids_that_change_are_noticed() {
    let another = rules(|_, _, attempts| {
        let index = at(attempts, 4);
        attempts[index].id = "another".to_owned();
    });
    assert_eq!(another, [Rule::OneId].into());
    let shared = rules(|_, _, attempts| {
        let (one, id) = (at(attempts, 1), "b-c-1".to_owned());
        attempts[one].id = id;
    });
    assert_eq!(shared, [Rule::OneId].into());
}
