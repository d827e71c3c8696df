//! The form of text output: one `Label: value` a line, and blocks (a2a-cli specification 11.2).
//!
//! A block is its `Label:` line, its content and an empty line. An empty line of the content is written as one blank, so that
//! the first empty line is the end of the block whatever an agent says. No letter of an agent reaches the terminal that
//! would steer it.

use std::fmt::{Display, Write as _};

/// Text in the making.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    pub fn new() -> Self {
        Self::default()
    }

    /// A line `Label: value`. Line ends in the value are escaped.
    pub fn field(&mut self, label: &str, value: impl Display) {
        let value = value.to_string();
        self.0.push_str(label);
        self.0.push_str(": ");
        for letter in value.chars() {
            match letter {
                '\n' => self.0.push_str("\\n"),
                '\t' => self.0.push_str("\\t"),
                letter => self.push(letter),
            }
        }
        self.0.push('\n');
    }

    /// The same, if there is a value.
    pub fn field_if(&mut self, label: &str, value: &str) {
        if !value.is_empty() {
            self.field(label, value);
        }
    }

    /// A block.
    pub fn block(&mut self, label: &str, content: &str) {
        self.0.push_str(label);
        self.0.push_str(":\n");
        for line in content.lines() {
            let is_empty = line.trim_end_matches('\r').is_empty();
            if is_empty {
                self.0.push(' ');
            }
            for letter in line.trim_end_matches('\r').chars() {
                self.push(letter);
            }
            self.0.push('\n');
        }
        self.0.push('\n');
    }

    pub fn into_text(self) -> String {
        self.0
    }

    fn push(&mut self, letter: char) {
        if steers(letter) {
            // Writing to a text does not fail.
            let _ = write!(self.0, "{}", letter.escape_unicode());
        } else {
            self.0.push(letter);
        }
    }
}

/// Text of others on one line, without anything that steers a terminal.
pub fn one_line(text: &str) -> String {
    let mut page = Page::new();
    page.field("", text);
    page.0.trim_start_matches(": ").trim_end_matches('\n').to_owned()
}

/// Whether a letter does something else than stand there: controls, and those that change the direction of what follows.
fn steers(letter: char) -> bool {
    (letter.is_control() && letter != '\t')
        || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_one_line_and_a_block_ends_with_the_first_empty_one() {
        let mut page = Page::new();
        page.field("Task", "a\nState: COMPLETED\r");
        page.field_if("Name", "");
        page.block("Text", "one\n\nState: FAILED\r\n\u{1b}[31mred\u{7}\u{202e}");
        page.field("State", "WORKING");
        let text = page.into_text();
        assert_eq!(
            text,
            "Task: a\\nState: COMPLETED\\u{d}\nText:\none\n \nState: FAILED\n\\u{1b}[31mred\\u{7}\\u{202e}\n\nState: WORKING\n"
        );
        assert_eq!(one_line("a\n\u{9b}b"), "a\\n\\u{9b}b");
    }
}
