//! Cancel Task (specification 3.1.5).

use super::Inner;
use super::guard::Admission;
use crate::context::CallContext;
use crate::error::Error;
use crate::execution::Answer;
use crate::pb::inspect::inspect;
use crate::pb::{CancelTaskRequest, Task};

impl Inner {
    /// A task that is CANCELED already is returned as it is; any other terminal one is TaskNotCancelable.
    pub(super) async fn cancel_task(
        &self,
        call: &CallContext,
        admission: &Admission,
        request: CancelTaskRequest,
    ) -> Result<Task, Error> {
        inspect(&request, &self.settings.inspect).map_err(Error::violations)?;
        self.check_task_id(&request.id, "id", Vec::new())?;
        match self
            .executions
            .cancel(&admission.agent, &admission.scope, &request.id, call)
            .await?
        {
            Answer::Task(task, _) => Ok(*task),
            Answer::Message(_) | Answer::Known(_) => Err(Error::task_not_found(&request.id)),
        }
    }
}
