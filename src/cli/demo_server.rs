//! `a2ad demo-server`: agents to try the commands on (a2a-cli specification 7.1).

use std::io::Write as _;

use a2ad::app::Runtime;
use a2ad::config::Loader;
use clap::Args;

use super::{Outcome, serve};

/// Run agents on this machine to try the commands on; nothing is kept, nothing has to be configured
#[derive(Args)]
pub struct DemoServer {
    /// Address and port to listen on; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: String,
    /// The agent that answers when a card reference names none: echo, bench, counter or conformance
    #[arg(long, value_name = "NAME", default_value = "echo")]
    agent: String,
}

impl DemoServer {
    pub async fn run(self) -> Outcome {
        // No file and no environment: it is the same server wherever somebody tries something.
        let loader = Loader::new()
            .set_text("server.listen", self.listen)
            .set_text("default_agent", self.agent)
            .set_text("database.url", "memory")
            .set_text("log.filter", "warn")
            .set("demo", true)
            .set("push.allow_loopback_webhooks", true);
        serve::serve(loader, |runtime, agent| {
            let greeting = greeting(runtime, agent);
            move || {
                // Who started it may read the first line and no more.
                let _ = std::io::stdout().write_all(greeting.as_bytes());
            }
        })
        .await
    }
}

/// The card reference, and a command that works as it stands, in the form of all text output.
fn greeting(runtime: &Runtime, agent: &str) -> String {
    let url = runtime.base_url();
    format!(
        "Agent card: {url}\nAgent: {agent}\nOther agents: {url}/NAME with echo, bench, counter or conformance\n\
         Try: a2ad send -a {url} 'hello world'\nEnd: Ctrl-C\n"
    )
}
