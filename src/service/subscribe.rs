//! Subscribe to Task (specification 3.1.6).

use super::Inner;
use super::guard::Admission;
use crate::context::CallContext;
use crate::error::Error;
use crate::execution::EventStream;
use crate::pb::SubscribeToTaskRequest;

/// The extension by which a card says that streams can be resumed from a generation, which is the id of every event.
pub const RESUME_EXTENSION: &str = "urn:a2ad:extension:resume:v1";

impl Inner {
    /// A reader that names the last generation it has seen gets exactly what came after; any other gets the task first.
    pub(super) async fn subscribe_to_task(
        &self,
        call: &CallContext,
        admission: &Admission,
        request: SubscribeToTaskRequest,
    ) -> Result<EventStream, Error> {
        self.check_task_id(&request.id, "id", Vec::new())?;
        self.executions
            .subscribe(
                &admission.agent,
                &admission.scope,
                &request.id,
                call.last_generation,
            )
            .await
    }
}
