//! The one place where both bindings call the core: a request is read from where the binding keeps it, and the answer
//! is written behind what the binding has written already.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::router::Names;
use crate::api::Api;
use crate::context::CallContext;
use crate::error::{Error, Kind};
use crate::execution::EventStream;
use crate::pb::inspect::inspect_json;
use crate::pb::json::{Empty, ErrorKind, JsonError};
use crate::pb::{
    self, CancelTaskRequest, DeleteTaskPushNotificationConfigRequest, GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest, GetTaskRequest, ListTaskPushNotificationConfigsRequest,
    ListTasksRequest, SendMessageRequest, SubscribeToTaskRequest, TaskPushNotificationConfig,
};
use crate::service::Method;

/// Where the fields of a request stand.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// Nowhere: every field has its default.
    Empty,
    Json(&'a [u8]),
    Query(&'a [(String, String)]),
}

/// One call of the core.
pub(super) struct Operation<'a> {
    pub(super) api: &'a Api,
    pub(super) call: &'a CallContext,
    pub(super) method: Method,
    pub(super) source: Source<'a>,
    /// The ids that the path names.
    pub(super) names: Names<'a>,
}

/// What came of it.
pub(super) struct Outcome {
    pub(super) answer: Answer,
    /// The extensions that were active.
    pub(super) activated: Vec<String>,
}

/// The answer itself.
pub(super) enum Answer {
    /// What was in the buffer before, and JSON behind it.
    Json(Vec<u8>),
    Stream(EventStream),
}

impl Operation<'_> {
    /// Calls the core and writes the answer to the end of `out`.
    ///
    /// # Errors
    /// ParseError and InvalidParams of the reading, and those of the operation.
    pub(super) async fn perform(&self, out: Vec<u8>) -> Result<Outcome, Error> {
        let (service, call) = (self.api.service(), self.call);
        let mut activated = Vec::new();
        let active = &mut activated;
        let guarded = |events| self.api.guarded(events, &call.caller);
        let answer = match self.method {
            Method::SendMessage => json(out, &service.send_message(call, self.read(active)?).await?),
            Method::SendStreamingMessage => Ok(Answer::Stream(guarded(
                service.send_streaming_message(call, self.read(active)?).await?,
            ))),
            Method::GetTask => json(out, &service.get_task(call, self.read(active)?).await?),
            Method::ListTasks => json(out, &service.list_tasks(call, self.read(active)?).await?),
            Method::CancelTask => json(out, &service.cancel_task(call, self.read(active)?).await?),
            Method::SubscribeToTask => Ok(Answer::Stream(guarded(
                service.subscribe_to_task(call, self.read(active)?).await?,
            ))),
            Method::CreateTaskPushNotificationConfig => json(
                out,
                &service
                    .create_task_push_notification_config(call, self.read(active)?)
                    .await?,
            ),
            Method::GetTaskPushNotificationConfig => json(
                out,
                &service
                    .get_task_push_notification_config(call, self.read(active)?)
                    .await?,
            ),
            Method::ListTaskPushNotificationConfigs => json(
                out,
                &service
                    .list_task_push_notification_configs(call, self.read(active)?)
                    .await?,
            ),
            Method::DeleteTaskPushNotificationConfig => {
                service
                    .delete_task_push_notification_config(call, self.read(active)?)
                    .await?;
                json(out, &Empty)
            }
            Method::GetExtendedAgentCard => json(
                out,
                &service.get_extended_agent_card(call, self.read(active)?).await?,
            ),
        }?;
        Ok(Outcome { answer, activated })
    }

    fn read<T: Addressed>(&self, activated: &mut Vec<String>) -> Result<T, Error> {
        let mut request: T = match self.source {
            Source::Empty => T::default(),
            Source::Json(text) => {
                inspect_json(text, self.api.service().inspect_limits()).map_err(Error::violations)?;
                pb::json::from_slice(text).map_err(refused)?
            }
            Source::Query(pairs) => pb::query::from_pairs(pairs).map_err(refused)?,
        };
        request.bind(&self.names)?;
        if !self.call.extensions.is_empty() {
            *activated = self
                .api
                .service()
                .activated_extensions(self.call, request.tenant());
        }
        Ok(request)
    }
}

fn json(mut out: Vec<u8>, message: &impl Serialize) -> Result<Answer, Error> {
    pb::json::to_writer(&mut out, message).map_err(|error| Error::internal(&error))?;
    Ok(Answer::Json(out))
}

fn refused(error: JsonError) -> Error {
    match error.kind {
        ErrorKind::Syntax => Error::new(
            Kind::ParseError,
            format!("the body is not JSON: {}", error.message),
        ),
        ErrorKind::Data => Error::invalid(error.path, error.message),
    }
}

/// A request message, as far as addressing goes.
trait Addressed: DeserializeOwned + Default {
    fn tenant(&self) -> &str;

    /// Fills in what the path names; a message that names others contradicts itself.
    fn bind(&mut self, names: &Names<'_>) -> Result<(), Error>;
}

macro_rules! addressed {
    ($($request:ty { $($field:ident ($json:literal) = $name:ident),* })*) => {$(
        impl Addressed for $request {
            fn tenant(&self) -> &str {
                &self.tenant
            }

            fn bind(&mut self, names: &Names<'_>) -> Result<(), Error> {
                // Whether another one contradicts the path is for the core to say.
                if self.tenant.is_empty() {
                    self.tenant.push_str(&names.tenant);
                }
                $(fill(&mut self.$field, $json, &names.$name)?;)*
                Ok(())
            }
        }
    )*};
}

addressed! {
    SendMessageRequest {}
    GetTaskRequest { id("id") = task }
    ListTasksRequest {}
    CancelTaskRequest { id("id") = task }
    SubscribeToTaskRequest { id("id") = task }
    TaskPushNotificationConfig { task_id("taskId") = task }
    GetTaskPushNotificationConfigRequest { task_id("taskId") = task, id("id") = config }
    ListTaskPushNotificationConfigsRequest { task_id("taskId") = task }
    DeleteTaskPushNotificationConfigRequest { task_id("taskId") = task, id("id") = config }
    GetExtendedAgentCardRequest {}
}

fn fill(field: &mut String, name: &'static str, from_path: &str) -> Result<(), Error> {
    if field.is_empty() {
        from_path.clone_into(field);
    } else if !from_path.is_empty() && field != from_path {
        return Err(Error::invalid(
            name,
            "the value is not the one that the path names; leave it out",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_fills_in_and_never_gives_way() {
        let names = Names {
            tenant: "a".into(),
            task: "t".into(),
            config: "c".into(),
        };
        let mut request = DeleteTaskPushNotificationConfigRequest::default();
        request.bind(&names).unwrap();
        assert_eq!((request.task_id.as_str(), request.id.as_str()), ("t", "c"));
        assert_eq!(request.tenant, "a");
        request.bind(&names).unwrap();
        request.bind(&Names::default()).unwrap();
        assert_eq!(request.id, "c");
        request.task_id = "other".to_owned();
        assert_eq!(request.bind(&names).unwrap_err().violations[0].field, "taskId");
    }
}
