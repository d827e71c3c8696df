//! Send Message: waiting, not waiting, and direct messages.

use a2ad::pb::TaskState;
use a2ad::pb::send_message_response::Payload;

use crate::support::messages::{at_once, history, message, send, send_of, state, task};
use crate::support::wire::{Wire, for_each_binding};
use crate::support::world::World;

for_each_binding!(a_send_waits_for_the_end, a_send_may_return_at_once, an_answer_may_be_a_message);

async fn a_send_waits_for_the_end(wire: Wire) {
    let world = World::new().await;
    let done = task(world.client(wire).call(send("conformance", "tck-artifact-text", "x")).await.unwrap());
    assert_eq!(state(&done), TaskState::Completed);
    assert_eq!((history(&done), done.artifacts.len()), (vec!["tck-artifact-text"], 1));
}

async fn a_send_may_return_at_once(wire: Wire) {
    let world = World::new().await;
    let client = world.client(wire);
    let begun = task(client.call(at_once(send("puppet", "m", "hold"))).await.unwrap());
    assert!(matches!(state(&begun), TaskState::Submitted | TaskState::Working), "{begun:?}");
}

async fn an_answer_may_be_a_message(wire: Wire) {
    let world = World::new().await;
    let answer = world.client(wire).call(send_of("conformance", message("tck-message-response", "x"))).await;
    let Some(Payload::Message(said)) = answer.unwrap().payload else { panic!("not a message") };
    assert_eq!((said.task_id.as_str(), said.context_id.is_empty()), ("", false));
}
