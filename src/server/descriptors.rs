//! How many connections the process's limit of open files allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are kept for the database, the runtime, files that are read again, and what agents open.
const RESERVED: u64 = 64;

/// The connections that there may be at a time: as many as wanted, but at most four fifths of what the process may open.
/// A soft limit that is too low is raised as far as the system lets us: it is low for the sake of programs that can't
/// handle more, and this one can.
pub(super) fn connections_max(wanted: u32) -> u32 {
    let needed = (u64::from(wanted) * 5)
        .div_ceil(4)
        .max(u64::from(wanted) + RESERVED);
    let limit = getrlimit(Resource::Nofile);
    let Some(soft) = raised(limit, needed) else {
        return wanted;
    };
    let allowed = allowed(soft);
    if allowed >= u64::from(wanted) {
        return wanted;
    }
    tracing::warn!(
        connections_max = wanted,
        allowed,
        open_files_max = soft,
        "fewer connections than server.connections_max are accepted; raise the limit of open files to {needed} \
         (ulimit -n, or LimitNOFILE of the systemd unit)"
    );
    u32::try_from(allowed).unwrap_or(wanted)
}

/// The soft limit, after it was raised if it had to be and could; `None` for no limit.
fn raised(limit: Rlimit, needed: u64) -> Option<u64> {
    let soft = limit.current?;
    let target = limit.maximum.map_or(needed, |hard| needed.min(hard));
    if target <= soft {
        return Some(soft);
    }
    let wanted = Rlimit {
        current: Some(target),
        maximum: limit.maximum,
    };
    Some(setrlimit(Resource::Nofile, wanted).map_or(soft, |()| target))
}

fn allowed(open_files_max: u64) -> u64 {
    (open_files_max / 5 * 4)
        .min(open_files_max.saturating_sub(RESERVED))
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_and_at_least_the_reserve_are_left_over() {
        for (open_files_max, connections) in [(1_024, 816), (100_000, 80_000), (256, 192), (100, 36), (10, 1)]
        {
            assert_eq!(allowed(open_files_max), connections);
        }
    }

    #[test]
    fn no_limit_allows_all_that_is_wanted() {
        let unlimited = Rlimit {
            current: None,
            maximum: None,
        };
        assert_eq!(raised(unlimited, 1_000_000), None);
        let ample = Rlimit {
            current: Some(1_000),
            maximum: Some(1_000),
        };
        assert_eq!(raised(ample, 500), Some(1_000));
    }
}
