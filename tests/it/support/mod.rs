//! What several tests need.

pub mod agents;
pub mod backend;
pub mod cutter;
pub mod database;
pub mod engine;
pub mod faulty;
pub mod insistent;
pub mod messages;
pub mod observed;
pub mod postgres;
pub mod puppet;
pub mod random;
pub mod raw;
pub mod stalled;
pub mod webhook;
pub mod wire;
pub mod world;
