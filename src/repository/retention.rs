//! What leaves a repository when its time is over: whole tasks, and the beginnings of long logs.
//!
//! Both happen in turns of a bounded size, so that nobody who writes waits long for one.

use std::sync::Arc;

use crate::pb::TaskState;

/// Ended tasks that are old enough to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PruneQuery {
    /// The agent whose tasks they are.
    pub agent: Arc<str>,
    /// The state that they ended in; one that is not terminal selects nothing.
    pub state: TaskState,
    /// They ended before this time, in milliseconds since the epoch.
    pub before_ms: i64,
    /// Events that one turn removes at most, unless the commit that comes first has more.
    pub limit: usize,
}

/// What one turn of pruning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Tasks that are gone.
    pub tasks: usize,
    /// Events that are gone, those of the tasks among them.
    pub events: u64,
    /// True when another turn would find more.
    pub more: bool,
}

/// Logs whose beginnings are old enough to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactQuery {
    /// Only tasks with a greater id; empty at first, [`Compacted::next`] afterwards.
    pub after: String,
    /// Only events that were written before this time, in milliseconds since the epoch.
    pub before_ms: i64,
    /// Tasks that one turn looks at, and events that it removes at most, unless the commit that comes first has more.
    pub limit: usize,
}

/// What one turn of compaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Events that are gone.
    pub events: u64,
    /// Where the next turn goes on; `None` when all tasks were looked at.
    pub next: Option<String>,
}

/// A commit as compaction sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) last_generation: u64,
    pub(super) at_ms: i64,
}

/// How far the beginning of a log can go within a turn: the last generation to remove and how many events that are.
/// `commits` are those before the snapshot in order, of which the first begins with generation `first`; `spent` says
/// how many events the turn has removed already.
pub(super) fn beginning(
    commits: impl Iterator<Item = Written>,
    first: u64,
    before_ms: i64,
    limit: usize,
    spent: u64,
) -> Beginning {
    let mut through = first - 1;
    for commit in commits {
        if commit.at_ms >= before_ms {
            break;
        }
        let removed = spent + commit.last_generation + 1 - first;
        if removed > limit as u64 && (spent > 0 || through >= first) {
            return Beginning {
                through,
                is_cut: true,
            };
        }
        through = commit.last_generation;
    }
    Beginning {
        through,
        is_cut: false,
    }
}

/// What [`beginning`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beginning {
    /// The last generation to remove; the one before the first when there is nothing to remove.
    pub(super) through: u64,
    /// True when the turn's limit came first, and the next turn finds more.
    pub(super) is_cut: bool,
}

/// An ended task as pruning sees it.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) task_id: String,
    pub(super) first_generation: u64,
    pub(super) generation: u64,
    pub(super) snapshot_generation: u64,
}

impl Ended {
    pub(super) fn events(&self) -> u64 {
        (self.generation + 1).saturating_sub(self.first_generation)
    }

    /// Whether the task is so long that its log goes first, a beginning at a time.
    pub(super) fn is_long(&self, limit: usize) -> bool {
        self.events() > limit as u64 && self.snapshot_generation > self.first_generation
    }
}

/// How many of the oldest tasks go in one turn: as many as have at most `limit` events together, and at least one.
pub(super) fn fitting(ended: &[Ended], limit: usize) -> usize {
    let mut events = 0;
    let fits = ended.iter().take_while(|task| {
        events += task.events();
        events <= limit as u64
    });
    fits.count().max(1).min(ended.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commits(ends: &[(u64, i64)]) -> impl Iterator<Item = Written> {
        ends.iter().map(|(last_generation, at_ms)| Written {
            last_generation: *last_generation,
            at_ms: *at_ms,
        })
    }

    #[test]
    fn a_beginning_ends_at_the_first_commit_that_is_young() {
        // The clock went back: the fourth commit is old again, and stays, because nothing may be missing in between.
        let found = beginning(commits(&[(2, 10), (3, 20), (5, 99), (6, 10)]), 1, 50, 100, 0);
        assert_eq!(
            found,
            Beginning {
                through: 3,
                is_cut: false
            }
        );
        let none = beginning(commits(&[(2, 50)]), 1, 50, 100, 0);
        assert_eq!(
            none,
            Beginning {
                through: 0,
                is_cut: false
            }
        );
    }

    #[test]
    fn a_turn_is_as_long_as_its_limit() {
        let all = [(2, 0), (4, 0), (6, 0)];
        let cut = |limit, spent| beginning(commits(&all), 1, 1, limit, spent);
        assert_eq!(
            cut(6, 0),
            Beginning {
                through: 6,
                is_cut: false
            }
        );
        assert_eq!(
            cut(5, 0),
            Beginning {
                through: 4,
                is_cut: true
            }
        );
        assert_eq!(
            cut(5, 2),
            Beginning {
                through: 2,
                is_cut: true
            }
        );
        assert_eq!(
            cut(5, 4),
            Beginning {
                through: 0,
                is_cut: true
            }
        );
        // A commit that is larger than the limit goes alone.
        assert_eq!(
            cut(1, 0),
            Beginning {
                through: 2,
                is_cut: true
            }
        );
    }
}
