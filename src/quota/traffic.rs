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

    /// Says who pays. A request that holds several is [shared out](Self::share_out) before.
    pub fn charge_to(&self, account: &Account) {
        let _ = self.account.set(account.clone());
        self.settle();
    }

    /// Shares out what has been received and is not paid for among the parts of it that have these lengths, in proportion:
    /// what was sent may have been compressed. What does not divide, the first one pays.
    pub fn share_out(&self, lengths: &[usize]) -> Vec<Self> {
        let unpaid = self.unpaid.swap(0, Ordering::AcqRel);
        let whole: u128 = lengths.iter().map(|length| *length as u128).sum();
        let share = |length: &usize| {
            let share = u128::from(unpaid) * *length as u128 / whole.max(1);
            // A part of what is a u64 is one.
            u64::try_from(share).unwrap_or(unpaid)
        };
        let mut shares: Vec<u64> = lengths.iter().map(share).collect();
        let rest = unpaid.saturating_sub(shares.iter().sum());
        if let Some(first) = shares.first_mut() {
            *first += rest;
        }
        shares
            .into_iter()
            .map(|share| Self {
                unpaid: AtomicU64::new(share),
                account: OnceLock::new(),
            })
            .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_what_was_received() {
        let shared = |received: u64, lengths: &[usize]| -> Vec<u64> {
            let traffic = Traffic::default();
            traffic.received(received);
            let shares = traffic.share_out(lengths);
            assert_eq!(traffic.unpaid.load(Ordering::Relaxed), 0);
            shares
                .iter()
                .map(|share| share.unpaid.load(Ordering::Relaxed))
                .collect()
        };
        assert_eq!(shared(104, &[10, 80, 10]), [11, 83, 10]);
        assert_eq!(shared(2, &[1, 1, 1]), [2, 0, 0]);
        assert_eq!(
            shared(u64::MAX, &[usize::MAX, usize::MAX]),
            [1 << 63, u64::MAX >> 1]
        );
        assert_eq!(shared(7, &[0]), [7]);
        assert!(shared(7, &[]).is_empty());
    }
}
