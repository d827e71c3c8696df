//! Requests as JSON, and answers out of JSON: the same for both JSON bindings (specification 5.5).

use serde::de::DeserializeOwned;

use crate::access::Method;
use crate::client::{Answer, Error, Event, EventStream, Request};
use crate::pb::StreamResponse;
use crate::pb::json;

/// Writes the message of a request as JSON behind what stands in `out`.
///
/// # Errors
/// [`Error::Unsendable`] when it holds what JSON can't: infinite numbers, times out of range.
pub(super) fn write(request: &Request, out: &mut Vec<u8>) -> Result<(), Error> {
    let written = match request {
        Request::SendMessage(message) | Request::SendStreamingMessage(message) => {
            json::to_writer(out, message)
        }
        Request::GetTask(message) => json::to_writer(out, message),
        Request::ListTasks(message) => json::to_writer(out, message),
        Request::CancelTask(message) => json::to_writer(out, message),
        Request::SubscribeToTask(message, _) => json::to_writer(out, message),
        Request::CreateTaskPushNotificationConfig(message) => json::to_writer(out, message),
        Request::GetTaskPushNotificationConfig(message) => json::to_writer(out, message),
        Request::ListTaskPushNotificationConfigs(message) => json::to_writer(out, message),
        Request::DeleteTaskPushNotificationConfig(message) => json::to_writer(out, message),
        Request::GetExtendedAgentCard(message) => json::to_writer(out, message),
    };
    written.map_err(|error| Error::Unsendable(format!("it has no JSON form: {error}")))
}

/// Reads the answer of an operation.
///
/// # Errors
/// [`Error::Malformed`] when it is not one.
pub(super) fn read(method: Method, json: &[u8]) -> Result<Answer, Error> {
    Ok(match method {
        Method::SendMessage => Answer::Sent(parsed(json)?),
        Method::GetTask | Method::CancelTask => Answer::Task(parsed(json)?),
        Method::ListTasks => Answer::Tasks(parsed(json)?),
        Method::CreateTaskPushNotificationConfig | Method::GetTaskPushNotificationConfig => {
            Answer::PushConfig(parsed(json)?)
        }
        Method::ListTaskPushNotificationConfigs => Answer::PushConfigs(parsed(json)?),
        // The binding says that it is done; some write null, some nothing, some an object.
        Method::DeleteTaskPushNotificationConfig => Answer::Deleted,
        Method::GetExtendedAgentCard => Answer::Card(parsed(json)?),
        Method::SendStreamingMessage | Method::SubscribeToTask => Answer::Events(single(json)?),
    })
}

/// Reads an event; `None` if nothing that is known here has happened.
///
/// # Errors
/// [`Error::Malformed`] when it is not one.
pub(super) fn event(json: &[u8]) -> Result<Option<StreamResponse>, Error> {
    let response: StreamResponse = parsed(json)?;
    Ok(response.payload.is_some().then_some(response))
}

/// The stream of an agent that answers at once with all there is.
fn single(json: &[u8]) -> Result<EventStream, Error> {
    let response = event(json)?.ok_or_else(|| Error::Malformed("it is no event of a stream".to_owned()))?;
    let event = Event {
        response,
        generation: None,
    };
    Ok(EventStream::new(futures_util::stream::iter([Ok(event)])))
}

fn parsed<T: DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    json::from_slice(json).map_err(|error| Error::Malformed(error.to_string()))
}
