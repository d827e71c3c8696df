//! Which skill a message is for.
//!
//! The protocol has no field for it. Here it is the text `skillId` in the metadata of the message or of the request. A
//! caller whose roles allow all skills need not name one; who is limited to some has to, because what no skill is named
//! for could be for any.

use super::guard::Admission;
use crate::access::Skills;
use crate::agent::SKILL_ID;
use crate::context::CallContext;
use crate::error::Error;
use crate::pb::{SendMessageRequest, Struct, Value, value};

/// Lets a message through that is for a skill which its caller may use.
///
/// # Errors
/// InvalidParams when two skills are named, or one is no text; PERMISSION_DENIED.
pub(super) fn check(
    call: &CallContext,
    admission: &Admission,
    request: &SendMessageRequest,
) -> Result<(), Error> {
    let skills = call.caller.grants.skills(&admission.agent.name, admission.method);
    if skills == Skills::All {
        return Ok(());
    }
    let Some(skill) = named(request)? else {
        return Err(Error::permission_denied(format!(
            "{} may use some skills of {} only; name the skill in the message's metadata as {SKILL_ID}",
            call.caller.principal, admission.agent.name
        )));
    };
    if skills.contains(skill) {
        return Ok(());
    }
    let known: String = skill.chars().take(64).collect();
    Err(Error::permission_denied(format!(
        "{} may not use this skill of {}; ask the operator for a role that allows it",
        call.caller.principal, admission.agent.name
    ))
    .with(SKILL_ID, known))
}

fn named(request: &SendMessageRequest) -> Result<Option<&str>, Error> {
    let of_message = request
        .message
        .as_ref()
        .and_then(|message| message.metadata.as_ref());
    let of_message = text(of_message, "message.metadata.skillId")?;
    let of_request = text(request.metadata.as_ref(), "metadata.skillId")?;
    match (of_message, of_request) {
        (Some(one), Some(other)) if one != other => Err(Error::invalid(
            "metadata.skillId",
            "the message names another skill; name one",
        )),
        (one, other) => Ok(one.or(other)),
    }
}

fn text<'a>(metadata: Option<&'a Struct>, field: &str) -> Result<Option<&'a str>, Error> {
    match metadata.and_then(|metadata| metadata.fields.get(SKILL_ID)) {
        None => Ok(None),
        Some(Value {
            kind: Some(value::Kind::StringValue(skill)),
        }) => Ok(Some(skill)),
        Some(_) => Err(Error::invalid(
            field,
            "must be a text: the id of a skill on the agent's card",
        )),
    }
}
