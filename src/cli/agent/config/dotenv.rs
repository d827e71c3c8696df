//! Reading `.env` files: lines of `NAME=value`.
//!
//! Such a file often belongs to a project and holds much else, so only lines that begin with the names of this program are
//! read, and nothing is substituted in a value: a token may hold a `$`.

/// One line of a file that sets something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub line: usize,
    /// The name, prefix included.
    pub name: String,
    /// The value, without quotes.
    pub value: String,
}

/// The lines whose names begin with `prefix`, in order; the number of the first line that can't be read as an error.
pub fn entries(text: &str, prefix: &str) -> Result<Vec<Entry>, usize> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start_matches('\u{feff}').trim();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        if !line.starts_with(prefix) {
            continue;
        }
        let number = index + 1;
        let (name, value) = line.split_once('=').ok_or(number)?;
        found.push(Entry {
            line: number,
            name: name.trim_end().to_owned(),
            value: value_of(value.trim_start()).ok_or(number)?,
        });
    }
    Ok(found)
}

/// `'as it is'`, `"with \n and \" escaped"`, or plain up to a comment.
fn value_of(text: &str) -> Option<String> {
    match text.chars().next() {
        Some('\'') => {
            let (value, rest) = text[1..].split_once('\'')?;
            is_end(rest).then(|| value.to_owned())
        }
        Some('"') => quoted(&text[1..]),
        _ => {
            let value = text.split(" #").next().unwrap_or_default();
            Some(value.trim_end().to_owned())
        }
    }
}

fn quoted(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return is_end(letters.as_str()).then_some(value),
            '\\' => value.push(match letters.next()? {
                'n' => '\n',
                't' => '\t',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

/// Whether nothing but a comment follows a value.
fn is_end(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Result<Vec<(String, String)>, usize> {
        let entries = entries(text, "A_")?;
        Ok(entries
            .into_iter()
            .map(|entry| (entry.name, entry.value))
            .collect())
    }

    #[test]
    fn values_are_read_as_they_are_written() {
        for (line, value) in [
            ("A_X=1", "1"),
            ("A_X = a b  # c", "a b"),
            ("export A_X=$HOME#1", "$HOME#1"),
            ("A_X='a # \"b\" \\n'  # c", "a # \"b\" \\n"),
            ("A_X=\"a\\n\\\"b\\\" $c\"", "a\n\"b\" $c"),
            ("A_X=", ""),
            ("\u{feff}  A_X=1\r", "1"),
        ] {
            assert_eq!(pairs(line), Ok(vec![("A_X".into(), value.into())]), "{line}");
        }
    }

    #[test]
    fn lines_of_others_are_not_read_and_broken_ones_are_named() {
        let text = "B='open\nA_X=1\n# A_Y=2\nif true; then\n";
        assert_eq!(pairs(text), Ok(vec![("A_X".into(), "1".into())]));
        for broken in ["\nA_X", "\nA_X='a", "\nA_X=\"a", "\nA_X=\"a\\", "\nA_X='a' b"] {
            assert_eq!(pairs(broken), Err(2), "{broken}");
        }
    }
}
