//! What several tests need.

pub mod database;
pub mod engine;
pub mod faulty;
pub mod insistent;
pub mod messages;
pub mod observed;
pub mod puppet;
pub mod random;
pub mod wire;
pub mod world;
