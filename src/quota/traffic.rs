//! The bytes of one request and its answer, and who pays for them.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Account;

/// Counts the bytes of bodies as they come and go. What comes before it is known who pays is charged when that is known;
/// what is sent to somebody who was not let in is charged to nobody.
#[derive(Debug, Default)]
pub struct Traffic {
    unpaid: AtomicU64,
    account: OnceLock<Account>,
}

impl Traffic {
    /// Bytes of the request have been read.
    pub fn received(&self, count: u64) {
        self.unpaid.fetch_add(count, Ordering::AcqRel);
        self.settle();
    }

    /// Bytes of the answer are sent.
    pub fn sent(&self, count: u64) {
        if let Some(account) = self.account.get() {
            account.charge_bytes(count);
        }
    }

    /// Says who pays. The first one does: the entries of a batch are all of one caller, and it counts at the agent of that
    /// which was let in first.
    pub fn charge_to(&self, account: &Account) {
        let _ = self.account.set(account.clone());
        self.settle();
    }

    fn settle(&self) {
        if let Some(account) = self.account.get() {
            let unpaid = self.unpaid.swap(0, Ordering::AcqRel);
            if unpaid > 0 {
                account.charge_bytes(unpaid);
            }
        }
    }
}
