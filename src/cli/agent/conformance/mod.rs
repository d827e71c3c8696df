//! `a2ad conformance`: what an agent that runs can be asked about its own conformance, interface by interface.
//!
//! It is a look, and no replacement for the A2A Technology Compatibility Kit, whose subjects it follows: the card, sends,
//! tasks, lists, cancels, streams, push configurations, errors by their names, the version. What an agent does not declare is
//! skipped. The agent's failures are the result of the command and not its failure: they end it with 0, unless `--strict`
//! says otherwise.

mod probe;
mod report;

use std::time::Duration;

use a2ad::client::Target;
use a2ad::context::Binding;
use a2ad::pb::AgentCard;
use clap::Args;

use self::probe::Probe;
use self::report::{Report, Verdict};
use super::connect::Agent;
use super::failure::Failure;
use super::options::{Options, duration};
use super::session::Session;

/// Check how well an agent keeps to the protocol, by every interface of its card; it makes tasks
#[derive(Args)]
pub struct Conformance {
    #[command(flatten)]
    pub options: Options,
    /// The text that is sent; one that the agent answers at once
    #[arg(long, value_name = "TEXT", default_value = "hello")]
    text: String,
    /// How long one check may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    check_timeout: Duration,
    /// End with 1 when a check fails
    #[arg(long)]
    strict: bool,
}

impl Conformance {
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let agent = session.connect().await?;
        let mut report = Report::of(&agent.card.name);
        let card = &agent.card;
        report
            .check(
                self.check_timeout,
                "card",
                ("has what a card must have", "4.4.1"),
                async { complete(card) },
            )
            .await;
        for (binding, on) in bindings(&agent.card) {
            let by_binding = session.by(binding);
            let limit = self.check_timeout;
            match by(&by_binding, binding).await {
                Ok(agent) => Probe::new(&agent, on, &self.text, limit).run(&mut report).await,
                Err(verdict) => {
                    let checked = async { Err(verdict) };
                    report.check(limit, on, ("can be reached", "8.3"), checked).await;
                }
            }
        }
        // It is this program's word on what the agent said, and no result of the agent.
        report.hide(&session.out.secrets);
        session
            .out
            .result(&report, |page, report| report.describe(page))?;
        match self.strict && !report.is_clean() {
            true => Err(Failure::internal(
                "checks failed; they are listed on standard output",
            )),
            false => Ok(()),
        }
    }
}

/// The agent by this binding, and by no other in its place: what is told of one is not to be what another did.
async fn by(session: &Session, binding: Binding) -> Result<Agent, Verdict> {
    let agent = session.connect().await;
    let agent = agent.map_err(|failure| Verdict::Fail(failure.message))?;
    let used = agent.client.target().binding;
    match used == binding {
        true => Ok(agent),
        false => Err(Verdict::Skip(format!(
            "none of its interfaces by {} can be used, so that calls go by {}",
            binding.as_str(),
            used.as_str()
        ))),
    }
}

/// The bindings of a card that this program speaks, each once, in the card's order.
fn bindings(card: &AgentCard) -> Vec<(Binding, &'static str)> {
    let mut found = Vec::new();
    for interface in &card.supported_interfaces {
        if let Some(binding) = Target::binding_of(interface)
            && !found.iter().any(|(known, _)| *known == binding)
        {
            found.push((binding, binding.as_str()));
        }
    }
    found
}

/// What the specification requires of every card.
fn complete(card: &AgentCard) -> Result<(), Verdict> {
    let mut missing = Vec::new();
    for (field, text) in [
        ("name", &card.name),
        ("description", &card.description),
        ("version", &card.version),
    ] {
        if text.is_empty() {
            missing.push(field);
        }
    }
    for (field, is_empty) in [
        ("supportedInterfaces", card.supported_interfaces.is_empty()),
        ("capabilities", card.capabilities.is_none()),
        ("defaultInputModes", card.default_input_modes.is_empty()),
        ("defaultOutputModes", card.default_output_modes.is_empty()),
        ("skills", card.skills.is_empty()),
    ] {
        if is_empty {
            missing.push(field);
        }
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Verdict::Fail(format!("it lacks {}", missing.join(", ")))),
    }
}
