//! Ids: how ours are made and which of a caller's are looked up at all.

use std::cell::Cell;
use std::marker::PhantomData;

use uuid::Uuid;

thread_local! {
    /// What ids are made of on this thread while a [`SeededIds`] lives; the clock and the machine's randomness elsewhere.
    static SEEDED: Cell<Option<Seeded>> = const { Cell::new(None) };
}

/// A new id: a UUID of version 7, so that ids made later sort later and database indexes grow at one end.
pub fn new_id() -> String {
    let mut text = String::with_capacity(36);
    let mut buffer = Uuid::encode_buffer();
    let id = seeded().unwrap_or_else(Uuid::now_v7);
    text.push_str(id.as_hyphenated().encode_lower(&mut buffer));
    text
}

/// Makes all ids of this thread follow from a seed until it is dropped, for simulations that must be repeatable. They
/// keep their form and their order. The ids of two threads with the same seed are the same.
#[derive(Debug)]
pub struct SeededIds {
    before: Option<Seeded>,
    /// It belongs to its thread.
    _here: PhantomData<*const ()>,
}

impl SeededIds {
    /// Begins a sequence of ids.
    #[must_use = "ids are random again when it is dropped"]
    pub fn begin(seed: u64) -> Self {
        let before = SEEDED.replace(Some(Seeded { seed, made: 0 }));
        Self {
            before,
            _here: PhantomData,
        }
    }
}

impl Drop for SeededIds {
    fn drop(&mut self) {
        SEEDED.set(self.before);
    }
}

#[derive(Clone, Copy, Debug)]
struct Seeded {
    seed: u64,
    made: u64,
}

/// The next id of this thread's sequence, if it has one.
fn seeded() -> Option<Uuid> {
    let mut sequence = SEEDED.get()?;
    sequence.made += 1;
    SEEDED.set(Some(sequence));
    let random = mixed(sequence.seed ^ mixed(sequence.made));
    let random: [u8; 10] = std::array::from_fn(|index| random.rotate_left(7 * index as u32) as u8);
    // The number stands where the time stands in others, so that the order is kept.
    Some(uuid::Builder::from_unix_timestamp_millis(sequence.made, &random).into_uuid())
}

/// The finaliser of SplitMix64: every bit of the input changes half of the output's.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Checks an id that names a resource of ours: 1 to `limit` characters of `A-Z a-z 0-9 . _ ~ : @ -`, and not `.` or
/// `..`. Anything else can't exist, could be taken for a path, and is refused before it is looked up.
///
/// # Errors
/// A sentence that says what an id looks like.
pub fn check_id(id: &str, limit: usize) -> Result<(), String> {
    let grammar = id
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._~:@-".contains(&b));
    if id.is_empty() || id.len() > limit || !grammar || id == "." || id == ".." {
        return Err(format!(
            "an id has 1 to {limit} characters of A-Z a-z 0-9 . _ ~ : @ -"
        ));
    }
    Ok(())
}

/// Checks a label that a caller makes (message id, context id, idempotency key): at most `limit` bytes and no control
/// characters.
///
/// # Errors
/// A sentence that says what is allowed.
pub fn check_label(label: &str, limit: usize) -> Result<(), String> {
    if label.len() > limit || label.chars().any(char::is_control) {
        return Err(format!(
            "at most {limit} bytes and no control characters are allowed here"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ids_sort_in_the_order_in_which_they_were_made() {
        let ids: Vec<String> = (0..1_000).map(|_| new_id()).collect();
        let mut sorted = ids.clone();
        sorted.sort();
        assert_eq!(ids, sorted);
        assert!(ids.iter().all(|id| check_id(id, 64).is_ok()));
    }

    #[test]
    fn seeded_ids_repeat_keep_their_order_and_end() {
        let some = |seed| {
            let _seeded = SeededIds::begin(seed);
            (0..1_000).map(|_| new_id()).collect::<Vec<_>>()
        };
        let ids = some(7);
        assert_eq!(ids, some(7));
        assert!(ids.is_sorted() && ids.iter().all(|id| id.len() == 36));
        let others = some(8);
        assert!(ids.iter().all(|id| !others.contains(id)));
        assert_ne!(new_id(), new_id());
        assert!(!ids.contains(&new_id()));
    }

    #[test]
    fn ids_that_could_be_paths_are_refused() {
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a%2Fb",
            "a b",
            "a\0",
            "ä",
            "a\nb",
            &"a".repeat(129),
        ] {
            assert!(check_id(bad, 128).is_err(), "{bad:?}");
        }
        for good in ["a", "...", "task-1", "urn:x:1", &"a".repeat(128)] {
            assert!(check_id(good, 128).is_ok(), "{good:?}");
        }
    }
}
