//! Ids: how ours are made and which of a caller's are looked up at all.

use uuid::Uuid;

/// A new id: a UUID of version 7, so that ids made later sort later and database indexes grow at one end.
pub fn new_id() -> String {
    let mut text = String::with_capacity(36);
    let mut buffer = Uuid::encode_buffer();
    text.push_str(Uuid::now_v7().as_hyphenated().encode_lower(&mut buffer));
    text
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
