//! The agents in `examples/`, run without a runtime: which updates they write, in which order and when.

mod bench;
mod conformance;
mod counter;
mod echo;
mod harness;

#[path = "../../examples/bench/agent.rs"]
mod bench_agent;
#[path = "../../examples/conformance/agent.rs"]
pub mod conformance_agent;
#[path = "../../examples/counter/agent.rs"]
pub mod counter_agent;
#[path = "../../examples/echo/agent.rs"]
pub mod echo_agent;
