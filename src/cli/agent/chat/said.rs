//! What a line of a chat means.

/// The commands, in one line.
pub const HELP: &str =
    "/task shows the task, /cancel cancels it, /quit ends; //TEXT sends what begins with a slash";

/// A line that somebody wrote.
#[derive(Debug, PartialEq, Eq)]
pub enum Said<'a> {
    Nothing,
    Message(&'a str),
    Task,
    Cancel,
    Quit,
    /// It looks like a command and is none: not sent, because it was not meant for the agent.
    Unknown(&'a str),
}

impl<'a> Said<'a> {
    pub fn of(line: &'a str) -> Self {
        let text = line.trim();
        match text {
            "" => Self::Nothing,
            "/task" => Self::Task,
            "/cancel" => Self::Cancel,
            "/quit" | "/exit" => Self::Quit,
            _ if text.starts_with("//") => Self::Message(&text[1..]),
            _ if text.starts_with('/') => Self::Unknown(text),
            _ => Self::Message(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_begin_with_one_slash() {
        for (line, said) in [
            ("", Said::Nothing),
            ("  \n", Said::Nothing),
            (" hello \n", Said::Message("hello")),
            ("/task", Said::Task),
            ("/cancel\n", Said::Cancel),
            ("/quit", Said::Quit),
            ("/exit", Said::Quit),
            ("//quit", Said::Message("/quit")),
            ("/qiut now", Said::Unknown("/qiut now")),
        ] {
            assert_eq!(Said::of(line), said, "{line:?}");
        }
    }
}
