//! Get Task (specification 3.1.3).

use super::guard::Admission;
use super::{Inner, history};
use crate::error::{Error, Violation};
use crate::pb::{GetTaskRequest, Task};
use crate::task::check_id;

impl Inner {
    pub(super) async fn get_task(
        &self,
        admission: &Admission,
        request: GetTaskRequest,
    ) -> Result<Task, Error> {
        let mut violations = Vec::new();
        history::check(request.history_length, "historyLength", &mut violations);
        self.check_task_id(&request.id, "id", violations)?;
        let stored = self.repository.get(&admission.scope, &request.id).await?;
        let mut task = stored.ok_or_else(|| Error::task_not_found(&request.id))?.task;
        history::trim(
            &mut task,
            request.history_length,
            self.settings.history_length_max,
        );
        Ok(task)
    }

    /// Refuses an id that can't be one, together with what else was found wrong.
    pub(super) fn check_task_id(
        &self,
        id: &str,
        field: &str,
        mut violations: Vec<Violation>,
    ) -> Result<(), Error> {
        if let Err(description) = check_id(id, self.settings.id_bytes_max) {
            violations.push(Violation {
                field: field.to_owned(),
                description,
            });
        }
        if violations.is_empty() {
            Ok(())
        } else {
            Err(Error::violations(violations))
        }
    }
}
