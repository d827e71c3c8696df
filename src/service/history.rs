//! How much of a task goes out (specification 3.2.4).

use crate::error::Violation;
use crate::pb::Task;

/// Checks a caller's `historyLength`.
pub(super) fn check(length: Option<i32>, field: &str, violations: &mut Vec<Violation>) {
    if let Some(length @ ..0) = length {
        violations.push(Violation {
            field: field.to_owned(),
            description: format!("must be 0 or more, got {length}"),
        });
    }
}

/// Leaves the newest messages of the history: as many as the caller asked for, and never more than the limit.
pub(super) fn trim(task: &mut Task, length: Option<i32>, limit: u32) {
    let asked = length
        .map_or(limit, |length| u32::try_from(length).unwrap_or(0))
        .min(limit) as usize;
    if task.history.len() > asked {
        task.history.drain(..task.history.len() - asked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::Message;

    #[test]
    fn the_newest_messages_stay() {
        let history: Vec<Message> = (0..5)
            .map(|n| Message {
                message_id: n.to_string(),
                ..Message::default()
            })
            .collect();
        let left = |length, limit| {
            let mut task = Task {
                history: history.clone(),
                ..Task::default()
            };
            trim(&mut task, length, limit);
            task.history
                .iter()
                .map(|message| message.message_id.clone())
                .collect::<String>()
        };
        assert_eq!(left(None, 9), "01234");
        assert_eq!(left(None, 2), "34");
        assert_eq!(left(Some(0), 9), "");
        assert_eq!(left(Some(3), 9), "234");
        assert_eq!(left(Some(99), 9), "01234");
    }
}
