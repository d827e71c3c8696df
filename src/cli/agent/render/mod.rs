//! What the protocol's objects look like as text: the same labels in every command (a2a-cli specification 11.2).

mod card;
mod event;
mod message;
mod task;

pub use card::card;
pub use event::{Shown, event};
pub use message::message;
pub use task::{identifiers, state_name, task};
