//! What the generated ProtoJSON code calls: one reader per shape of field, and the scalar types' own forms.
//!
//! A message is read straight into its prost struct. The rules that hold for every message stand here once: unknown
//! fields are skipped, a field given twice (in either spelling) is refused, null means absent, and a oneof takes one
//! member.

mod base64;
mod field;
mod message;
mod number;
mod object;
mod timestamp;

pub(super) use field::{list, member, member_or_null, optional, plain, skip, table};
pub(super) use message::{Fields, message};
pub(super) use number::{Enum, Names};
pub use object::Empty;
pub(super) use timestamp::in_range as timestamp_in_range;

/// A value whose Rust type has no ProtoJSON form of its own: owned when it is read, borrowed when it is written.
pub(super) struct Json<T>(pub(super) T);

/// At most so many elements are allocated ahead on a sender's word.
const AHEAD_MAX: usize = 1_024;

/// The start of what somebody sent, short enough for an error message.
fn excerpt(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
