//! What is written of each entry, field by field.

use std::sync::Arc;

use super::chain::Chain;
use super::entry::{
    Author, BadCertificate, Call, Entry, Pass, PushEnd, StateChange, Stranger, TaskChanges, What,
};
use super::line::Line;
use super::record::{Kind, Outcome, at};
use crate::access::{Caller, CredentialKind};
use crate::context::TraceContext;

/// The name of the runtime itself, as one that does something.
const RUNTIME: &str = "runtime";

impl Entry {
    /// Puts the records of this entry at the end of a chain: one, or one for each change of a task.
    pub(super) fn add_to(&self, chain: &mut Chain) {
        let at_ms = self.at_ms;
        match &self.what {
            What::Call(call, _) => chain.add(at_ms, call.kind, |line| call.write(at_ms, line)),
            What::Stranger(stranger) => chain.add(at_ms, Kind::Authentication, |line| stranger.write(line)),
            What::Refused(certificate) => {
                chain.add(at_ms, Kind::Authentication, |line| {
                    certificate.write("claims", line)
                });
            }
            What::Cut(certificate) => {
                chain.add(at_ms, Kind::Connection, |line| {
                    certificate.write("principal", line)
                });
            }
            What::Retention(pass) => chain.add(at_ms, Kind::Retention, |line| pass.write(line)),
            What::Changes(task, outcome) => {
                for change in &task.changes {
                    chain.add(at_ms, Kind::State, |line| task.write(change, *outcome, line));
                }
            }
            What::PushEnd(end) => chain.add(at_ms, Kind::Push, |line| end.write(line)),
            What::Gathered => {}
        }
    }
}

impl Author {
    fn write(&self, line: &mut Line<'_>) {
        match self {
            Self::Runtime => line.text("principal", RUNTIME),
            Self::Agent(name, _) => line.prefixed("principal", "agent:", name),
            Self::Caller(caller, _) => write_caller(caller, line),
        }
        if let Some(request) = self.request() {
            line.text("request_id", &request.id);
            write_trace(&request.trace, line);
        }
    }

    /// For a change in the record of a call: its caller needs no mention.
    fn write_beside(&self, caller: &Arc<Caller>, line: &mut Line<'_>) {
        match self {
            Self::Runtime => line.text("by", RUNTIME),
            Self::Agent(name, _) => line.prefixed("by", "agent:", name),
            Self::Caller(author, _) if author.principal == caller.principal => {}
            Self::Caller(author, _) => line.text("by", author.principal.as_str()),
        }
    }
}

impl Call {
    fn write(&self, at_ms: i64, line: &mut Line<'_>) {
        write_caller(&self.caller, line);
        if self.kind != Kind::Admin {
            line.text("owner", self.caller.owner.as_str());
        }
        line.plain("peer", self.peer);
        line.text("binding", self.binding.as_str());
        line.text("method", self.method.unwrap_or_default());
        line.text("filter", &self.filter);
        line.text("agent", &self.agent);
        line.text("task_id", &self.task_id);
        line.text("context_id", &self.context_id);
        line.list("changes", self.all_changes(), |out, (changed_ms, change)| {
            let changed_ms = (changed_ms != at_ms).then_some(changed_ms);
            self.write_change(changed_ms, change, out);
        });
        line.text("outcome", self.outcome);
        line.text("request_id", &self.request_id);
        write_trace(&self.trace, line);
    }

    fn all_changes(&self) -> impl Iterator<Item = (i64, &StateChange)> {
        self.changes
            .iter()
            .flat_map(|(at_ms, task)| task.changes.iter().map(|change| (*at_ms, change)))
    }

    fn write_change(&self, at_ms: Option<i64>, change: &StateChange, out: &mut String) {
        let mut line = Line::begin(out, "to", change.to.as_str_name());
        line.text("from", change.from.map_or("", |state| state.as_str_name()));
        line.number("generation", Some(change.generation));
        change.author.write_beside(&self.caller, &mut line);
        line.plain("at", at_ms.map(at));
        line.end();
    }
}

impl TaskChanges {
    fn write(&self, change: &StateChange, outcome: Outcome, line: &mut Line<'_>) {
        change.author.write(line);
        line.text("owner", self.scope.owner.as_str());
        line.text("agent", &self.scope.agent);
        line.text("task_id", &self.task_id);
        line.text("context_id", &self.context_id);
        line.text("from", change.from.map_or("", |state| state.as_str_name()));
        line.text("to", change.to.as_str_name());
        line.number("generation", Some(change.generation));
        line.text("outcome", outcome.as_str());
    }
}

impl Stranger {
    fn write(&self, line: &mut Line<'_>) {
        line.text("credential", self.credential.as_str());
        line.plain("peer", self.peer);
        line.text("binding", self.binding.as_str());
        line.text("outcome", self.reason);
        line.text("request_id", &self.request_id);
        write_trace(&self.trace, line);
    }
}

impl BadCertificate {
    /// The name in a certificate that was refused is a claim and nothing more.
    fn write(&self, name: &str, line: &mut Line<'_>) {
        let credential = match self.fingerprint.is_empty() {
            true => CredentialKind::None,
            false => CredentialKind::Certificate,
        };
        line.text(name, self.name.as_ref().map_or("", |name| name.as_str()));
        line.text("credential", credential.as_str());
        line.text("credential_id", &self.fingerprint);
        line.plain("peer", Some(self.peer));
        line.text("outcome", self.reason);
    }
}

impl Pass {
    fn write(&self, line: &mut Line<'_>) {
        line.text("principal", RUNTIME);
        line.object("removed", Some(&self.removed));
        line.text("outcome", self.outcome.as_str());
    }
}

impl PushEnd {
    fn write(&self, line: &mut Line<'_>) {
        line.text("principal", RUNTIME);
        line.text("owner", self.owner.as_str());
        line.text("agent", &self.agent);
        line.text("task_id", &self.task_id);
        line.text("config_id", &self.config_id);
        line.text("outcome", Outcome::Ok.as_str());
    }
}

fn write_caller(caller: &Caller, line: &mut Line<'_>) {
    line.text("principal", caller.principal.as_str());
    line.text("organisation", caller.organisation.as_deref().unwrap_or_default());
    line.text("credential", caller.credential.kind.as_str());
    line.text("credential_id", &caller.credential.id);
}

fn write_trace(trace: &Option<Arc<TraceContext>>, line: &mut Line<'_>) {
    line.text("trace_id", trace.as_ref().map_or("", |trace| trace.trace_id()));
}
