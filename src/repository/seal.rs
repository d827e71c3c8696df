//! Checksums of everything that is stored as bytes: a flipped bit is told from data, never taken for it.
//!
//! A checksum also covers where the bytes belong, so that what a disk or a hand put into another place does not pass
//! for what belongs there.

use bytes::Bytes;
use crc32fast::Hasher;

/// The bytes of a checksum behind what it is of.
const SUM_BYTES: usize = 4;

/// Sums up pieces; none of them runs into the next.
pub(super) struct Sum(Hasher);

impl Sum {
    /// The sum of something in the place that `place` names.
    pub(super) fn of(place: &str) -> Self {
        Self(Hasher::new()).and(place.as_bytes())
    }

    pub(super) fn and(mut self, piece: &[u8]) -> Self {
        self.0.update(&(piece.len() as u64).to_le_bytes());
        self.0.update(piece);
        self
    }

    pub(super) fn and_number(mut self, number: u64) -> Self {
        self.0.update(&number.to_le_bytes());
        self
    }

    pub(super) fn end(self) -> u32 {
        self.0.finalize()
    }
}

/// The column value for `bytes`: they and their checksum.
pub(super) fn close(place: Sum, bytes: impl Into<Vec<u8>>) -> Vec<u8> {
    let mut column = bytes.into();
    let sum = place.and(&column).end();
    column.extend_from_slice(&sum.to_le_bytes());
    column
}

/// The bytes of a column value; `None` if they are not those that were stored in this place.
pub(super) fn open(place: Sum, column: impl Into<Bytes>) -> Option<Bytes> {
    let mut column = column.into();
    let (bytes, sum) = column.split_last_chunk::<SUM_BYTES>()?;
    let is_whole = place.and(bytes).end().to_le_bytes() == *sum;
    column.truncate(column.len() - SUM_BYTES);
    is_whole.then_some(column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_closed_opens_in_its_place_only() {
        let column = close(Sum::of("t").and_number(3), b"data");
        assert_eq!(
            open(Sum::of("t").and_number(3), column.clone()).as_deref(),
            Some(&b"data"[..])
        );
        assert_eq!(open(Sum::of("t").and_number(4), column.clone()), None);
        assert_eq!(open(Sum::of("u").and_number(3), column), None);
        assert_eq!(open(Sum::of("t"), vec![1, 2, 3]), None);
        let empty = close(Sum::of(""), b"");
        assert_eq!(open(Sum::of(""), empty).as_deref(), Some(&b""[..]));
    }

    #[test]
    fn pieces_do_not_run_into_each_other() {
        let sum = |a: &[u8], b: &[u8]| Sum::of("t").and(a).and(b).end();
        assert_ne!(sum(b"ab", b"c"), sum(b"a", b"bc"));
    }
}
