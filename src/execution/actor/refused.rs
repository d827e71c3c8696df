//! The actor and a write that the database refuses for good: the execution ends, and so does its task.

use super::Actor;
use crate::bus::Doorbell;
use crate::error::Error;
use crate::execution::commit::Commit;
use crate::execution::outcome::fail;
use crate::execution::trail::Trail;
use crate::execution::writer::Writer;
use crate::repository;

impl Actor {
    /// No repetition of this write can succeed: whoever waits is told so, and nothing more is written of it.
    pub(super) fn refused(&mut self, mut commit: Commit, error: repository::Error) {
        tracing::error!(agent = %self.agent.name, task.id = %self.writer.task_id(), %error, "what was to be written can't be stored; the execution ends");
        self.callers.take_back(&mut commit);
        self.is_refused = !commit.creates();
        let error = Error::from(error);
        self.lose(|| Err(error.clone()));
    }

    /// Fails the task as it stands in the database, where nothing of the refused write is. When that can't be done now,
    /// the task is taken up when its lease runs out, like any other that nobody works on.
    pub(super) async fn fail_what_is_stored(&mut self) {
        if let Err(error) = self.try_to_fail().await {
            tracing::error!(agent = %self.agent.name, task.id = %self.writer.task_id(), %error, "a task whose execution ended could not be failed");
        }
    }

    async fn try_to_fail(&mut self) -> Result<(), repository::Error> {
        let (shared, task_id) = (self.executions.0.clone(), self.writer.task_id().clone());
        let stored = shared.repository.get(&self.scope, &task_id).await?;
        let ours = self.writer.fence().epoch();
        let Some(stored) = stored.filter(|stored| stored.epoch <= ours) else {
            return Ok(());
        };
        let clock = shared.clock.clone();
        let mut writer = Writer::load(self.scope.clone(), stored, clock, &shared.settings);
        fail(
            &mut writer,
            "the database could not store what came next, and the task ends here",
        );
        let Some(write) = writer.take_write(None) else {
            return Ok(());
        };
        let (generation, events) = (write.generation(), write.events.clone());
        let trail = Trail::of(&shared.audit, &write, writer.take_changes());
        trail.along_once(shared.repository.commit(write)).await?;
        if let Some(live) = &self.live {
            live.keep(&events);
        }
        shared.bus.publish(&Doorbell { task_id, generation });
        Ok(())
    }
}
