//! What is signed of a message: the signature base (RFC 9421 section 2.5).

use std::fmt::Write as _;

/// A line for each covered component, and one for the parameters. Names are those of [`super::input`], which need no
/// escapes; values hold no ends of lines, because headers hold none.
pub(super) fn base<'a>(components: impl IntoIterator<Item = (&'a str, &'a str)>, parameters: &str) -> String {
    let mut base = String::new();
    for (name, value) in components {
        // Writing to a text does not fail.
        let _ = writeln!(base, "\"{name}\": {value}");
    }
    let _ = write!(base, "\"@signature-params\": {parameters}");
    base
}
