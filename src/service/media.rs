//! Which media types an agent takes and gives.

use crate::error::{Error, Kind};
use crate::pb::{AgentCard, AgentSkill, Part};

/// Checks the media types of a message's parts; parts without one are taken as they are.
pub(super) fn check_input(card: &AgentCard, parts: &[Part]) -> Result<(), Error> {
    for (index, part) in parts
        .iter()
        .enumerate()
        .filter(|(_, part)| !part.media_type.is_empty())
    {
        if !declares(
            card,
            &card.default_input_modes,
            |skill| &skill.input_modes,
            &part.media_type,
        ) {
            return Err(unsupported(&part.media_type, "take", "defaultInputModes")
                .with("field", format!("message.parts[{index}].mediaType")));
        }
    }
    Ok(())
}

/// Checks that the agent can give at least one of the media types that the caller accepts.
pub(super) fn check_output(card: &AgentCard, accepted: &[String]) -> Result<(), Error> {
    let given = |mode: &String| {
        declares(
            card,
            &card.default_output_modes,
            |skill| &skill.output_modes,
            mode,
        )
    };
    if accepted.is_empty() || accepted.iter().any(given) {
        return Ok(());
    }
    Err(unsupported(&accepted.join(", "), "give", "defaultOutputModes"))
}

fn declares(
    card: &AgentCard,
    modes: &[String],
    of_skill: fn(&AgentSkill) -> &Vec<String>,
    wanted: &str,
) -> bool {
    let mut declared = modes.iter().chain(card.skills.iter().flat_map(of_skill));
    declared.any(|mode| matches(mode, wanted))
}

/// Whether two media types or ranges have something in common; parameters and case don't count.
fn matches(declared: &str, wanted: &str) -> bool {
    let split = |text: &str| -> (String, String) {
        let essence = text
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let (kind, subtype) = essence.split_once('/').unwrap_or((&essence, ""));
        (kind.to_owned(), subtype.to_owned())
    };
    let common = |a: &str, b: &str| a == b || a == "*" || b == "*";
    let (declared, wanted) = (split(declared), split(wanted));
    common(&declared.0, &wanted.0) && common(&declared.1, &wanted.1)
}

fn unsupported(mode: &str, verb: &str, field: &str) -> Error {
    let shown: String = mode.chars().take(120).collect();
    Error::new(
        Kind::ContentTypeNotSupported,
        format!("the agent does not {verb} {shown}; see {field} of its card"),
    )
    .with("mediaType", shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_match_and_parameters_do_not_count() {
        for (declared, wanted) in [
            ("text/plain", "text/plain"),
            ("text/plain", "Text/PLAIN; charset=utf-8"),
            ("*/*", "image/png"),
            ("image/*", "image/png"),
            ("text/plain", "*/*"),
            ("text/plain", "text/*"),
        ] {
            assert!(matches(declared, wanted), "{declared} {wanted}");
        }
        for (declared, wanted) in [
            ("text/plain", "text/html"),
            ("image/*", "text/plain"),
            ("text/plain", "text"),
        ] {
            assert!(!matches(declared, wanted), "{declared} {wanted}");
        }
    }
}
