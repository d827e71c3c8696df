//! How many streams each caller holds open.

use std::sync::Arc;

use dashmap::DashMap;

use crate::access::Principal;
use crate::error::{Error, Kind};

/// Counts open streams by principal.
#[derive(Clone, Debug)]
pub(super) struct StreamCounter {
    open: Arc<DashMap<Principal, usize>>,
    limit: usize,
}

/// One open stream; dropping it closes the account.
#[derive(Debug)]
pub(super) struct StreamPermit {
    open: Arc<DashMap<Principal, usize>>,
    principal: Principal,
}

impl StreamCounter {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            open: Arc::default(),
            limit,
        }
    }

    /// Opens one more stream for a caller.
    pub(super) fn open(&self, principal: &Principal) -> Result<StreamPermit, Error> {
        let mut count = self.open.entry(principal.clone()).or_default();
        if *count >= self.limit {
            return Err(Error::new(
                Kind::ResourceExhausted,
                format!(
                    "{} streams are open, the limit of a caller (streams_per_caller_max); close some",
                    self.limit
                ),
            ));
        }
        *count += 1;
        Ok(StreamPermit {
            open: self.open.clone(),
            principal: principal.clone(),
        })
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        if let Some(mut count) = self.open.get_mut(&self.principal) {
            *count -= 1;
        }
        self.open.remove_if(&self.principal, |_, count| *count == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_stream_makes_room_and_leaves_nothing_behind() {
        let counter = StreamCounter::new(2);
        let caller = Principal::verified("a");
        let first = counter.open(&caller).unwrap();
        let second = counter.open(&caller).unwrap();
        assert_eq!(counter.open(&caller).unwrap_err().kind, Kind::ResourceExhausted);
        assert!(counter.open(&Principal::verified("b")).is_ok());
        drop(first);
        assert!(counter.open(&caller).is_ok());
        drop(second);
        assert!(counter.open.is_empty());
    }
}
