//! Going through the pages of a list, which an agent may make as long as it likes.

use std::collections::HashSet;

use crate::cli::agent::session::Session;

/// Counts pages, and knows where each began.
#[derive(Debug)]
pub struct Pages {
    left: u32,
    begun: HashSet<String>,
}

/// What comes behind a page.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    End,
    /// The page with this token.
    Page(String),
    /// Pages that are not asked for; the next one has this token.
    Left(String),
    /// A page that was there already: an agent that goes in circles never comes to an end.
    Again,
}

impl Pages {
    /// So many pages at most.
    pub fn new(max: u32) -> Self {
        Self {
            left: max,
            begun: HashSet::new(),
        }
    }

    /// What comes behind the page that began with `token` and names `next`.
    pub fn behind(&mut self, token: &str, next: String) -> Next {
        self.left = self.left.saturating_sub(1);
        self.begun.insert(token.to_owned());
        if next.is_empty() {
            Next::End
        } else if self.begun.contains(&next) {
            Next::Again
        } else if self.left == 0 {
            Next::Left(next)
        } else {
            Next::Page(next)
        }
    }
}

/// Tells of an agent that goes in circles.
pub fn warn_of_circle(session: &Session) {
    session.out.warning(
        "the agent names a page again that was there already: the list ends here, and may lack something",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_where_the_agent_says_where_it_repeats_itself_and_at_the_limit() {
        let mut pages = Pages::new(3);
        assert_eq!(pages.behind("", "a".into()), Next::Page("a".into()));
        assert_eq!(pages.behind("a", "b".into()), Next::Page("b".into()));
        assert_eq!(pages.behind("b", "c".into()), Next::Left("c".into()));
        for next in ["", "a", "b"] {
            let mut pages = Pages::new(9);
            pages.behind("", "a".into());
            pages.behind("a", "b".into());
            let expected = if next.is_empty() { Next::End } else { Next::Again };
            assert_eq!(pages.behind("b", next.into()), expected, "{next}");
        }
    }
}
