//! The integration tests, in one binary.

mod demo_agents;
