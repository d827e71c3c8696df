//! Requests that go out: what they reach, and what their answers may do.

mod answers;
mod corpus;
mod spellings;
pub mod world;
