//! What several tests need.

#[allow(missing_docs)]
pub mod engine;
pub mod observed;
