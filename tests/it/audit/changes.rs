//! Changes of tasks as records tell of them: in a record of their own, or in that of the call that they were made for.

use a2ad::audit::{Kind, Record};

#[derive(Debug)]
pub struct Recorded {
    pub task_id: String,
    pub generation: u64,
    pub from: Option<String>,
    pub to: String,
    pub by: String,
    pub request_id: Option<String>,
    pub outcome: String,
}

/// Every change, in the order of its records.
pub fn changes(records: &[Record<'_>]) -> Vec<Recorded> {
    records.iter().flat_map(of_record).collect()
}

fn of_record(record: &Record<'_>) -> Vec<Recorded> {
    let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
    let change = |generation: u64, from: Option<String>, to: &str, by: &str, outcome: &str| Recorded {
        task_id: text(&record.task_id).unwrap(),
        generation,
        from,
        to: to.to_owned(),
        by: by.to_owned(),
        request_id: text(&record.request_id),
        outcome: outcome.to_owned(),
    };
    let principal = record.principal.as_deref().unwrap_or_default();
    if record.kind == Kind::State {
        let (from, to) = (text(&record.from), record.to.as_deref().unwrap());
        return vec![change(
            record.generation.unwrap(),
            from,
            to,
            principal,
            &record.outcome,
        )];
    }
    let of_call = record.changes.iter();
    of_call
        .map(|one| {
            assert_eq!(record.kind, Kind::Call);
            let by = one.by.as_deref().unwrap_or(principal);
            // A write of which nobody knows has a record of its own.
            change(one.generation, text(&one.from), &one.to, by, "ok")
        })
        .collect()
}
