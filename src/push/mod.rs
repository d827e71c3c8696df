//! Delivering push notifications: from the outbox of the repository to webhooks (specification 3.5, 4.3).
//!
//! This room owns when a delivery is sent, to whom, in which form, and what its answer means. It must not know where the
//! outbox is kept, nor how requests leave the machine. At least once, and for one configuration of one task in order.
//!
//! - [`Dispatcher`] claims streams that are due, as many as [`PushSettings`] allow for each owner and host (`shares`) and
//!   for hosts that are not left alone (`breaker`), and starts a `lane` for each.
//! - A lane sends the deliveries of its stream one after the other: `request` says what is sent, `outcome` what an answer
//!   means, `backoff` when a failure is tried again. What became of it goes through the `settler` into the outbox.
//! - [`Pushes`] is the handle of everybody else: it wakes the dispatcher and stops deliveries.

mod backoff;
mod breaker;
pub mod credentials;
mod delivery_id;
mod dispatcher;
mod events;
mod lane;
mod metrics;
mod outcome;
mod pushes;
mod request;
mod settings;
mod settler;
mod shares;
#[cfg(test)]
mod tests;
mod transport;

pub use delivery_id::delivery_id;
pub use dispatcher::{Dispatcher, Needs};
pub use events::{EVENTS_EXTENSION, Wanted};
pub use metrics::{LATENCY_MS, PushReport};
pub use pushes::Pushes;
pub use settings::PushSettings;
pub use transport::{Answer, Transport};
