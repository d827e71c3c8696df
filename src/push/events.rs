//! Which events a configuration wants.
//!
//! The protocol has no field for it. A caller that knows the extension [`EVENTS_EXTENSION`] says it in the fragment of the
//! webhook's URL: `https://example.com/hook#a2ad-push-events=artifact,terminal`. A fragment is never sent (RFC 9110, 7.1),
//! is stored and shown with the URL, and works on every binding and for a configuration within a message.

use crate::pb::stream_response::Payload;
use crate::task::is_terminal;

/// The extension by which a card says that a webhook's URL may choose events.
pub const EVENTS_EXTENSION: &str = "urn:a2ad:extension:push-events:v1";

/// How the fragment begins.
const KEY: &str = "a2ad-push-events=";

/// The words and what they stand for.
const WORDS: [(&str, u8); 5] = [
    ("task", TASK),
    ("status", STATUS),
    ("artifact", ARTIFACT),
    ("message", MESSAGE),
    ("terminal", TERMINAL),
];

const TASK: u8 = 1;
const STATUS: u8 = 1 << 1;
const ARTIFACT: u8 = 1 << 2;
const MESSAGE: u8 = 1 << 3;
const TERMINAL: u8 = 1 << 4;

/// The kinds of events that a configuration wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted(u8);

impl Wanted {
    /// All events: what is wanted where nothing is chosen.
    pub const ALL: Self = Self(u8::MAX);

    /// What the fragment of a URL chooses; `None` when it chooses nothing.
    ///
    /// # Errors
    /// When it names no kind, or one that there is not; the text goes on behind the name of the field.
    pub fn of_url(url: &str) -> Result<Option<Self>, String> {
        let chosen = url
            .split_once('#')
            .and_then(|(_, fragment)| fragment.strip_prefix(KEY));
        let Some(chosen) = chosen else { return Ok(None) };
        let mut kinds = 0;
        for word in chosen.split(',') {
            let known = WORDS.iter().find(|(name, _)| *name == word);
            kinds |= known.map(|(_, kind)| kind).ok_or_else(|| {
                format!("choose events behind #{KEY} as a list of task, status, artifact, message, terminal")
            })?;
        }
        Ok(Some(Self(kinds)))
    }

    /// Whether an event is wanted. `terminal` stands for the event that ends the task, whatever kind it is of.
    pub fn includes(self, event: &Payload) -> bool {
        let status = match event {
            Payload::Task(task) => task.status.as_ref(),
            Payload::StatusUpdate(update) => update.status.as_ref(),
            Payload::Message(_) | Payload::ArtifactUpdate(_) => None,
        };
        let kind = match event {
            Payload::Task(_) => TASK,
            Payload::StatusUpdate(_) => STATUS,
            Payload::ArtifactUpdate(_) => ARTIFACT,
            Payload::Message(_) => MESSAGE,
        };
        let ends = status.is_some_and(|status| is_terminal(status.state()));
        self.0 & kind != 0 || (ends && self.0 & TERMINAL != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::{Message, Task, TaskArtifactUpdateEvent, TaskState, TaskStatus, TaskStatusUpdateEvent};

    fn status(state: TaskState) -> Option<TaskStatus> {
        Some(TaskStatus {
            state: state.into(),
            ..TaskStatus::default()
        })
    }

    #[test]
    fn a_fragment_chooses() {
        for url in [
            "https://a.example/",
            "https://a.example/#part",
            "https://a.example/?a2ad-push-events=x",
        ] {
            assert_eq!(Wanted::of_url(url), Ok(None), "{url}");
        }
        let of = |list: &str| Wanted::of_url(&format!("https://a.example/h#a2ad-push-events={list}"));
        assert_eq!(of("status,terminal"), Ok(Some(Wanted(STATUS | TERMINAL))));
        for wrong in [
            "",
            "nothing",
            "status,",
            "Status",
            "status terminal",
            "status#task",
        ] {
            let error = of(wrong).unwrap_err();
            assert!(error.contains("task, status, artifact"), "{wrong}: {error}");
        }
    }

    #[test]
    fn events_are_of_their_kind() {
        let update = |state| {
            Payload::StatusUpdate(TaskStatusUpdateEvent {
                status: status(state),
                ..TaskStatusUpdateEvent::default()
            })
        };
        let task = |state| {
            Payload::Task(Task {
                status: status(state),
                ..Task::default()
            })
        };
        let events = [
            task(TaskState::Submitted),
            update(TaskState::Working),
            Payload::ArtifactUpdate(TaskArtifactUpdateEvent::default()),
            Payload::Message(Message::default()),
            update(TaskState::Completed),
            task(TaskState::Completed),
        ];
        for (kinds, expected) in [
            (Wanted::ALL, [true; 6]),
            (Wanted(TASK), [true, false, false, false, false, true]),
            (Wanted(STATUS), [false, true, false, false, true, false]),
            (Wanted(ARTIFACT), [false, false, true, false, false, false]),
            (Wanted(MESSAGE), [false, false, false, true, false, false]),
            (Wanted(TERMINAL), [false, false, false, false, true, true]),
        ] {
            assert_eq!(
                events.each_ref().map(|event| kinds.includes(event)),
                expected,
                "{kinds:?}"
            );
        }
    }
}
