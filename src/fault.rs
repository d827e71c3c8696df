//! Named places in which the durability harness ends the process, as `kill -9` would.
//!
//! They exist in builds with debug assertions only: a release build has neither the places nor the switches, whatever
//! the environment says. `A2AD_FAULT_POINT=before_commit:7` ends the process when it comes by `before_commit` for
//! the seventh time. A new place is one line in the code, `fault::point("name")`, and its name in [`POINTS`].

/// Every fault point.
///
/// | name | the process ends |
/// |---|---|
/// | `migration_step` | after the migrations ran; on SQLite before they are committed |
/// | `before_commit` | after the statements of a transaction, before its commit |
/// | `after_commit_before_notify` | after a commit, before any reader is woken |
/// | `after_commit_before_reply` | after readers were woken, before the caller is answered |
/// | `mid_stream_frame` | while an event is being written to a stream |
/// | `lease_acquired` | after a task was taken over, before anybody works on it |
/// | `lease_renew` | after the statements of a heartbeat, before its commit |
/// | `prune_batch` | after the statements of a turn of retention, before its commit |
/// | `push_sent_before_mark` | after a receiver has answered a push notification, before that is written down |
pub const POINTS: [&str; 9] = [
    "migration_step",
    "before_commit",
    "after_commit_before_notify",
    "after_commit_before_reply",
    "mid_stream_frame",
    "lease_acquired",
    "lease_renew",
    "prune_batch",
    "push_sent_before_mark",
];

/// Ends the process at once, without any cleaning up, if the environment names this pass.
#[inline(always)]
pub fn point(name: &'static str) {
    #[cfg(debug_assertions)]
    armed::pass(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

/// What SQLite's `synchronous` is set to: always FULL in a release build. `A2AD_FAULT_SYNCHRONOUS` is there for the
/// harness to show that it would notice anything less.
pub fn synchronous() -> String {
    #[cfg(debug_assertions)]
    if let Ok(level) = std::env::var("A2AD_FAULT_SYNCHRONOUS") {
        tracing::warn!(
            level,
            "synchronous is lowered on purpose; acknowledged work can be lost"
        );
        return level;
    }
    "FULL".to_owned()
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// The point to end at, and how many passes are left.
    static ARMED: LazyLock<Option<(String, AtomicU64)>> =
        LazyLock::new(|| parse(&std::env::var("A2AD_FAULT_POINT").ok()?));

    pub(super) fn pass(name: &'static str) {
        debug_assert!(super::POINTS.contains(&name), "{name} is not in fault::POINTS");
        let Some((armed, left)) = &*ARMED else { return };
        if armed == name && left.fetch_sub(1, Ordering::Relaxed) == 1 {
            std::process::abort();
        }
    }

    /// `name:pass`; passes count from 1.
    pub(super) fn parse(text: &str) -> Option<(String, AtomicU64)> {
        let (name, pass) = text.split_once(':')?;
        let pass = pass.parse().ok().filter(|pass| *pass > 0)?;
        Some((name.to_owned(), AtomicU64::new(pass)))
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_its_name_and_a_pass() {
        let (name, pass) = armed::parse("before_commit:7").unwrap();
        assert_eq!((name.as_str(), pass.into_inner()), ("before_commit", 7));
        for wrong in ["before_commit", "before_commit:0", "before_commit:x", ""] {
            assert!(armed::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn passing_unarmed_points_does_nothing() {
        for name in POINTS {
            point(name);
        }
        assert_eq!(synchronous(), "FULL");
    }
}
