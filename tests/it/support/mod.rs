//! What several tests need.

pub mod database;
pub mod engine;
pub mod messages;
pub mod observed;
pub mod postgres;
pub mod puppet;
pub mod wire;
pub mod world;
