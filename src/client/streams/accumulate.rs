//! What the events of a stream add up to.

use crate::client::Error;
use crate::pb::stream_response::Payload;
use crate::pb::{
    Artifact, Message, StreamResponse, Task, TaskArtifactUpdateEvent, TaskState, TaskStatusUpdateEvent,
};
use crate::task::join_chunk;

/// Builds a task, or the one message of an agent that made none, out of events (specification 3.5.2).
///
/// A whole task stands for all events before it. The message of a status that is replaced moves into the history; a chunk
/// joins its artifact, or begins it; an artifact that is no chunk takes the place of the one with its id.
#[derive(Clone, Debug)]
pub struct Accumulator {
    task: Option<Task>,
    message: Option<Message>,
    bytes: usize,
    bytes_max: usize,
}

impl Accumulator {
    /// Of events that have no more than this many bytes in all.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            task: None,
            message: None,
            bytes: 0,
            bytes_max,
        }
    }

    /// Adds an event.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when that would be too much; [`Error::Malformed`] when the event is empty or of another task.
    /// What was there stays.
    pub fn add(&mut self, event: StreamResponse) -> Result<(), Error> {
        let payload = event
            .payload
            .ok_or_else(|| malformed("an event without content"))?;
        let before = match payload {
            Payload::Task(_) | Payload::Message(_) => 0,
            Payload::StatusUpdate(_) | Payload::ArtifactUpdate(_) => self.bytes,
        };
        let bytes = before.saturating_add(payload.encoded_len());
        if bytes > self.bytes_max {
            return Err(Error::TooLarge {
                what: "the task of a stream",
                limit: self.bytes_max,
            });
        }
        match payload {
            Payload::Task(task) => {
                self.check(&task.id)?;
                self.task = Some(task);
            }
            Payload::Message(message) => self.message = Some(message),
            Payload::StatusUpdate(update) => self.add_status(update)?,
            Payload::ArtifactUpdate(update) => self.add_artifact(update)?,
        }
        self.bytes = bytes;
        Ok(())
    }

    /// The task so far; `None` before its first event, and when there is none.
    pub fn task(&self) -> Option<&Task> {
        self.task.as_ref()
    }

    /// The state of the task; UNSPECIFIED without one.
    pub fn state(&self) -> TaskState {
        let status = self.task.as_ref().and_then(|task| task.status.as_ref());
        status.map_or(TaskState::Unspecified, |status| status.state())
    }

    /// The task that was built.
    pub fn into_task(self) -> Option<Task> {
        self.task
    }

    /// The message that an agent answered with instead of a task.
    pub fn into_message(self) -> Option<Message> {
        self.message
    }

    fn check(&self, task_id: &str) -> Result<(), Error> {
        match &self.task {
            Some(task) if !task_id.is_empty() && task.id != task_id => {
                Err(malformed("an event of another task"))
            }
            _ => Ok(()),
        }
    }

    /// The task that an update is of; agents need not send it first.
    fn task_of(&mut self, task_id: String, context_id: String) -> Result<&mut Task, Error> {
        self.check(&task_id)?;
        Ok(self.task.get_or_insert_with(|| Task {
            id: task_id,
            context_id,
            ..Task::default()
        }))
    }

    fn add_status(&mut self, update: TaskStatusUpdateEvent) -> Result<(), Error> {
        let status = update
            .status
            .ok_or_else(|| malformed("a status update without a status"))?;
        let task = self.task_of(update.task_id, update.context_id)?;
        if let Some(said) = task.status.replace(status).and_then(|before| before.message) {
            task.history.push(said);
        }
        Ok(())
    }

    fn add_artifact(&mut self, update: TaskArtifactUpdateEvent) -> Result<(), Error> {
        let artifact = update
            .artifact
            .ok_or_else(|| malformed("an artifact update without an artifact"))?;
        let task = self.task_of(update.task_id, update.context_id)?;
        match find(&mut task.artifacts, &artifact.artifact_id) {
            Some(known) if update.append => join_chunk(known, artifact),
            Some(known) => *known = artifact,
            None => task.artifacts.push(artifact),
        }
        Ok(())
    }
}

fn find<'a>(artifacts: &'a mut [Artifact], id: &str) -> Option<&'a mut Artifact> {
    artifacts.iter_mut().rev().find(|known| known.artifact_id == id)
}

fn malformed(what: &str) -> Error {
    Error::Malformed(format!("{what} came by a stream"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::client::streams::tests::{chunk, run, status, sum, task};

    #[test]
    fn an_agent_need_not_send_the_task_first() {
        let task = sum(&[status(TaskState::Working, None), chunk("x", &["1"], true)]);
        assert_eq!((task.id.as_str(), task.context_id.as_str()), ("t", "c"));
        assert_eq!(
            task.artifacts.len(),
            1,
            "a chunk of an unknown artifact begins it"
        );
    }

    #[test]
    fn a_whole_task_stands_for_all_before_it() {
        let last = sum(&[task("t"), chunk("y", &["2"], false)]);
        let whole = StreamResponse {
            payload: Some(Payload::Task(last.clone())),
        };
        assert_eq!(sum(&[task("t"), chunk("x", &["1"], false), whole]), last);
    }

    #[test]
    fn what_can_not_be_added_changes_nothing() {
        let mut all = Accumulator::new(200);
        all.add(task("t")).unwrap();
        let before = all.clone();
        let empty = |payload| StreamResponse {
            payload: Some(payload),
        };
        for event in [
            task("other"),
            StreamResponse { payload: None },
            empty(Payload::StatusUpdate(TaskStatusUpdateEvent::default())),
            empty(Payload::ArtifactUpdate(TaskArtifactUpdateEvent::default())),
        ] {
            assert!(matches!(all.add(event), Err(Error::Malformed(_))));
            assert_eq!(all.task(), before.task());
        }
        let long = chunk("x", &["1234567890"; 20], false);
        assert!(matches!(all.add(long), Err(Error::TooLarge { limit: 200, .. })));
        let few = (0..1_000)
            .take_while(|_| all.add(chunk("x", &["1"], true)).is_ok())
            .count();
        assert!((2..20).contains(&few), "{few}");
    }

    proptest! {
        /// The same task as the runtime's own reducer, wherever that takes the events.
        #[test]
        fn it_adds_up_as_the_runtime_does(events in run()) {
            let mut expected: Option<Task> = None;
            let mut taken = Vec::new();
            for event in events {
                let payload = event.payload.clone().unwrap();
                let is_taken = match (&mut expected, payload) {
                    (None, Payload::Task(task)) => expected.replace(task).is_none(),
                    (Some(task), payload) => crate::task::apply(task, payload, usize::MAX).is_ok(),
                    (None, _) => false,
                };
                if !is_taken {
                    continue;
                }
                taken.push(event);
            }
            prop_assert_eq!(Some(sum(&taken)), expected);
        }
    }
}
