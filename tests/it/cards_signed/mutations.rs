//! Every member of a signed card changed, removed, added, written twice and moved: what still verifies is the same card.

use a2ad::pb::{AgentCard, json};
use a2ad::signature::{Forms, PublicKeys, verify};
use serde_json::{Map, Value, json as value};

use super::{ALGORITHMS, Pen, rich_card, signed};

/// A way into a document: names and positions, both as text.
type Path = Vec<String>;

#[derive(Default)]
struct Counts {
    unreadable: usize,
    refused: usize,
    same: usize,
}

struct Subject {
    card: AgentCard,
    document: Value,
    keys: PublicKeys,
    counts: Counts,
}

impl Subject {
    fn new(algorithm: &'static str) -> Self {
        let pen = Pen::new(algorithm);
        let card = signed(&rich_card(), &pen.key("k"));
        let text = json::to_vec(&card).unwrap();
        Self {
            document: serde_json::from_slice(&text).unwrap(),
            card,
            keys: pen.keys("k"),
            counts: Counts::default(),
        }
    }

    /// Reads and verifies a text; whether it verified, as the same card.
    fn try_text(&mut self, text: &str, what: &str) -> bool {
        let Ok(card) = json::from_str::<AgentCard>(text) else {
            self.counts.unreadable += 1;
            return false;
        };
        if verify(&card, &self.keys, Forms::Specification).is_err() {
            self.counts.refused += 1;
            return false;
        }
        let (read, original) = (without_signatures(&card), without_signatures(&self.card));
        assert_eq!(read, original, "{what} was accepted");
        self.counts.same += 1;
        true
    }

    fn try_with(&mut self, path: &Path, replacement: Option<Value>) -> bool {
        let mut document = self.document.clone();
        let what = format!("{path:?} as {replacement:?}");
        match replacement {
            Some(replacement) => *at(&mut document, path) = replacement,
            None => remove(&mut document, path),
        }
        self.try_text(&document.to_string(), &what)
    }
}

fn without_signatures(card: &AgentCard) -> AgentCard {
    AgentCard {
        signatures: Vec::new(),
        ..card.clone()
    }
}

fn at<'v>(document: &'v mut Value, path: &[String]) -> &'v mut Value {
    path.iter().fold(document, |value, step| match value {
        Value::Array(items) => &mut items[step.parse::<usize>().unwrap()],
        value => value.get_mut(step).unwrap(),
    })
}

fn remove(document: &mut Value, path: &[String]) {
    let (last, parent) = path.split_last().unwrap();
    match at(document, parent) {
        Value::Array(items) => drop(items.remove(last.parse().unwrap())),
        Value::Object(members) => drop(members.remove(last).unwrap()),
        _ => unreachable!("paths lead through lists and objects"),
    }
}

/// The ways to everything in the document but its signatures.
fn paths(value: &Value, here: &Path, found: &mut Vec<Path>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(at, item)| (at.to_string(), item))
            .collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), member))
            .collect(),
        _ => Vec::new(),
    };
    for (step, child) in children {
        if here.is_empty() && step == "signatures" {
            continue;
        }
        let mut path = here.clone();
        path.push(step);
        paths(child, &path, found);
        found.push(path);
    }
}

/// Other values in the place of one.
fn changes(original: &Value) -> Vec<Value> {
    let mut changed = vec![
        value!(null),
        value!(7),
        value!(true),
        value!(false),
        value!([]),
        value!({}),
        value!(""),
    ];
    match original {
        Value::String(text) => {
            changed
                .extend([format!("{text} "), format!("{text}\u{0}"), text.to_uppercase()].map(Value::String));
            changed.extend(text.char_indices().map(|(at, letter)| {
                let rest = &text[at + letter.len_utf8()..];
                Value::String(format!("{}{rest}", &text[..at]))
            }));
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap();
            changed.extend([number + 1.0, -number, number * (1.0 + f64::EPSILON)].map(|other| value!(other)));
        }
        Value::Array(items) => {
            changed.extend((0..items.len()).map(|at| {
                let mut longer = items.clone();
                longer.insert(at, items[at].clone());
                Value::Array(longer)
            }));
            changed.push(Value::Array(items.iter().rev().cloned().collect()));
        }
        _ => {}
    }
    changed.retain(|other| other != original);
    changed
}

fn report(what: &str, counts: &Counts, mutations: usize) {
    let Counts {
        unreadable,
        refused,
        same,
    } = counts;
    assert_eq!(unreadable + refused + same, mutations);
    println!(
        "{what}: n = {mutations}; {refused} refused, {unreadable} no card, {same} the same card, 0 other cards accepted"
    );
}

#[test]
fn no_member_can_be_changed_or_removed() {
    for algorithm in ALGORITHMS {
        let mut subject = Subject::new(algorithm);
        let mut all = Vec::new();
        paths(&subject.document, &Vec::new(), &mut all);
        assert!(all.len() > 70, "{}", all.len());
        let mut n = 0;
        for path in &all {
            let original = at(&mut subject.document, path).clone();
            for other in changes(&original) {
                subject.try_with(path, Some(other));
                n += 1;
            }
            subject.try_with(path, None);
            n += 1;
        }
        // What may change: null for what is required and empty, which reads as the same.
        assert!(
            subject.counts.refused > 10 * subject.counts.same,
            "{}",
            subject.counts.same
        );
        report(
            &format!("{algorithm}, changed and removed in {} places", all.len()),
            &subject.counts,
            n,
        );
    }
}

#[test]
fn no_member_can_be_given_twice_or_moved() {
    for algorithm in ALGORITHMS {
        let mut subject = Subject::new(algorithm);
        let mut all = Vec::new();
        paths(&subject.document, &Vec::new(), &mut all);
        all.push(vec!["signatures".to_owned()]);
        let mut n = 0;
        for path in &all {
            let (name, parent) = path.split_last().unwrap();
            let mut document = subject.document.clone();
            let member = at(&mut document, path).clone();
            let Value::Object(members) = at(&mut document, parent) else {
                continue;
            };
            let mut without = members.clone();
            without.remove(name);
            // One sorts before every name and one behind, so the copy is read first or last.
            for (place, copy) in ["!", "~"]
                .iter()
                .flat_map(|place| [(place, member.clone()), (place, value!({}))])
            {
                let mut twice = document.clone();
                let members = at(&mut twice, parent).as_object_mut().unwrap();
                members.insert(format!("{place}copy"), copy);
                let text = twice.to_string();
                let quoted = Value::String(name.clone()).to_string();
                let text = text.replace(&format!("\"{place}copy\":"), &format!("{quoted}:"));
                assert!(!subject.try_text(&text, &format!("{path:?} twice")));
                n += 1;
            }
            let mut renamed = document.clone();
            without.insert(format!("{name}x"), member);
            *at(&mut renamed, parent) = Value::Object(without);
            subject.try_text(&renamed.to_string(), &format!("{path:?} under another name"));
            n += 1;
        }
        report(
            &format!("{algorithm}, written twice and renamed"),
            &subject.counts,
            n,
        );
    }
}

#[test]
fn order_and_blanks_do_not_matter_and_what_nobody_reads_does_not_either() {
    for algorithm in ALGORITHMS {
        let mut subject = Subject::new(algorithm);
        let document = subject.document.clone();
        let pretty = serde_json::to_string_pretty(&document).unwrap();
        let reversed = reversed(&document);
        assert_ne!(reversed, document.to_string());
        let mut extended = document.clone();
        extended["somethingNew"] = value!({"a": 1});
        for text in [&pretty, &reversed, &extended.to_string()] {
            assert!(subject.try_text(text, "another spelling"));
        }
        report(
            &format!("{algorithm}, reordered, indented, with an unknown member"),
            &subject.counts,
            3,
        );
    }
}

/// The document with the members of all objects in the opposite order.
fn reversed(value: &Value) -> String {
    match value {
        Value::Object(members) => reversed_members(members),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(reversed).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}

fn reversed_members(members: &Map<String, Value>) -> String {
    let members: Vec<String> = members
        .iter()
        .rev()
        .map(|(name, member)| format!("{}:{}", Value::String(name.clone()), reversed(member)))
        .collect();
    format!("{{{}}}", members.join(","))
}
