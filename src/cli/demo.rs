//! The example agents, built in for `serve --demo`.

use std::sync::Arc;

use a2ad::app::HostedAgent;

#[path = "../../examples/bench/agent.rs"]
mod bench;
#[path = "../../examples/conformance/agent.rs"]
mod conformance;
#[path = "../../examples/counter/agent.rs"]
mod counter;
#[path = "../../examples/echo/agent.rs"]
mod echo;

/// All example agents; the first one is the default.
pub fn agents() -> Vec<HostedAgent> {
    vec![
        HostedAgent::new("echo", echo::card(), Arc::new(echo::EchoAgent)),
        HostedAgent::new("bench", bench::card(), Arc::new(bench::BenchAgent)),
        HostedAgent::new("counter", counter::card(), Arc::new(counter::CounterAgent)),
        HostedAgent {
            extended_card: Some(conformance::extended_card()),
            ..HostedAgent::new(
                "conformance",
                conformance::card(),
                Arc::new(conformance::ConformanceAgent::default()),
            )
        },
    ]
}
