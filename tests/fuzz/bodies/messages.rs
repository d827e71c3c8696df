//! Messages in both of their forms.

use std::fmt::Debug;

use a2ad::pb::inspect::{Inspect, InspectLimits, inspect};
use a2ad::pb::{self, json};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Every message that a stranger may send, and those that contain all others.
macro_rules! each_message {
    ($which:expr, $body:ident, $input:expr) => {
        match $which % 14 {
            0 => $body::<pb::SendMessageRequest>($input),
            1 => $body::<pb::GetTaskRequest>($input),
            2 => $body::<pb::ListTasksRequest>($input),
            3 => $body::<pb::CancelTaskRequest>($input),
            4 => $body::<pb::SubscribeToTaskRequest>($input),
            5 => $body::<pb::TaskPushNotificationConfig>($input),
            6 => $body::<pb::GetTaskPushNotificationConfigRequest>($input),
            7 => $body::<pb::ListTaskPushNotificationConfigsRequest>($input),
            8 => $body::<pb::DeleteTaskPushNotificationConfigRequest>($input),
            9 => $body::<pb::GetExtendedAgentCardRequest>($input),
            10 => $body::<pb::Task>($input),
            11 => $body::<pb::StreamResponse>($input),
            12 => $body::<pb::AgentCard>($input),
            _ => $body::<pb::SendMessageResponse>($input),
        }
    };
}

/// The first byte says which message the rest is. What is decoded and good is the same after each form.
pub fn protobuf(input: &[u8]) {
    let Some((which, rest)) = input.split_first() else {
        return;
    };
    each_message!(*which, one_protobuf, rest);
}

/// The same with text.
pub fn proto_json(input: &[u8]) {
    let Some((which, rest)) = input.split_first() else {
        return;
    };
    each_message!(*which, one_json, rest);
}

fn one_protobuf<M>(input: &[u8])
where
    M: Message + Default + PartialEq + Debug + Inspect + Serialize + DeserializeOwned,
{
    let Ok(message) = M::decode(input) else { return };
    if inspect(&message, &InspectLimits::default()).is_err() {
        // What is refused is never written, but must not hurt whoever says why.
        let _ = json::to_vec(&message);
        return;
    }
    check(&message);
}

fn one_json<M>(input: &[u8])
where
    M: Message + Default + PartialEq + Debug + Inspect + Serialize + DeserializeOwned,
{
    let Ok(message) = json::from_slice::<M>(input) else {
        return;
    };
    if inspect(&message, &InspectLimits::default()).is_ok() {
        check(&message);
    }
}

/// A good message survives both forms: what one binding takes, another can carry.
fn check<M>(message: &M)
where
    M: Message + Default + PartialEq + Debug + Inspect + Serialize + DeserializeOwned,
{
    let again = M::decode(message.encode_to_vec().as_slice()).expect("what was encoded decodes");
    assert_eq!(&again, message);
    let text = json::to_vec(message).expect("a good message has a form in JSON");
    let again: M =
        json::from_slice(&text).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&text)));
    // Compared as text: JSON has times in milliseconds.
    let again_text = json::to_vec(&again).expect("a good message has a form in JSON");
    assert_eq!(again_text, text, "{}", String::from_utf8_lossy(&text));
    assert!(inspect(&again, &InspectLimits::default()).is_ok());
}
