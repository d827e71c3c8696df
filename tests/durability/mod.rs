//! The durability harness: a recorder outside the server, a checker that reads only what was recorded and what the
//! database holds, and the ways to end a server. `tests/README.md` tells how it works and what it found.
//!
//! It is compiled twice: into the ordinary tests with small sizes, and into the example `durability`, whose flags
//! take any size.

pub mod check;
pub mod dump;
pub mod fleet;
pub mod history;
pub mod kills;
mod order;
pub mod outage;
pub mod power;
pub mod process;
pub mod random;
mod streams;
pub mod wire;
