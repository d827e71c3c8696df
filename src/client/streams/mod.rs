//! Streams beyond one connection: they go on where they broke ([`ResumeSettings`]), their events add up to a task
//! ([`Accumulator`]), and a task can be waited for in whatever way its agent offers ([`Wait`]) and watched meanwhile
//! ([`Watch`]).

mod accumulate;
mod follow;
mod reconcile;
mod resume;
#[cfg(test)]
mod tests;
mod wait;

pub use accumulate::Accumulator;
pub use follow::{Followed, Following, Told, Watch};
pub use resume::ResumeSettings;
pub use wait::{Wait, WaitError, WaitMode, Waited};

pub(super) use resume::resumed;
