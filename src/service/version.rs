//! Which protocol versions are served (specification 3.6).

use crate::context::{Binding, CallContext};
use crate::error::{Error, Kind};

/// The version that is served.
pub const VERSION: &str = "1.0";

/// Checks the version that a call names. None at all means 0.3 on the HTTP bindings, as the specification demands; on
/// gRPC the package name already says 1.0, unless `strict` asks for the metadata as well.
pub(super) fn check(call: &CallContext, strict: bool) -> Result<(), Error> {
    match call.version.as_deref() {
        Some(version) if is_served(version) => Ok(()),
        None if call.binding == Binding::Grpc && !strict => Ok(()),
        None | Some("") => Err(refusal("no A2A-Version was sent, which means 0.3", "0.3")),
        Some(named) => Err(refusal(
            &format!("version {:?} is not supported", excerpt(named)),
            named,
        )),
    }
}

/// `1.0`, with or without a patch number, which does not count.
fn is_served(version: &str) -> bool {
    match version.trim().strip_prefix(VERSION) {
        Some("") => true,
        Some(rest) => rest.strip_prefix('.').is_some_and(|patch| {
            (1..=4).contains(&patch.len()) && patch.bytes().all(|digit| digit.is_ascii_digit())
        }),
        None => false,
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(32).collect()
}

fn refusal(what: &str, requested: &str) -> Error {
    Error::new(
        Kind::VersionNotSupported,
        format!("{what}; this server speaks {VERSION}: send the header or metadata A2A-Version: {VERSION}"),
    )
    .with("requestedVersion", excerpt(requested))
    .with("supportedVersions", VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_numbers_do_not_count() {
        for served in ["1.0", "1.0.0", "1.0.17", " 1.0 "] {
            assert!(is_served(served), "{served:?}");
        }
        for other in [
            "",
            "1",
            "0.3",
            "1.1",
            "1.00",
            "1.0.",
            "1.0.x",
            "1.0.12345",
            "11.0",
            "v1.0",
        ] {
            assert!(!is_served(other), "{other:?}");
        }
    }
}
