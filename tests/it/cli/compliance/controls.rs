//! That checks can fail: with programs that stand in for ours and get one thing wrong, each fails that is about it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::checks::{auth, cards, interaction, output, sending, tasks, tools};
use super::registry::{CODES, DEFAULTS, REQUIREMENTS, area};
use super::report::{Results, yaml};
use super::world::{Checked, World};
use crate::binary::PROGRAM;

/// A program that does what `script` says; `$A2AD` is ours.
fn stand_in(folder: &tempfile::TempDir, script: &str) -> PathBuf {
    let path = folder.path().join("a2ad");
    std::fs::write(&path, format!("#!/bin/sh\nA2AD='{PROGRAM}'\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_program_that_gets_it_wrong_fails() {
    type Check = fn(&World) -> Checked;
    let rows: [(&str, &str, &[Check]); 8] = [
        (
            "names no context",
            "\"$A2AD\" \"$@\" > out; code=$?; sed '/^Context: /d; s/\"contextId\":\"[^\"]*\",//g' out; rm out; exit $code",
            &[tasks::identified_everywhere, interaction::by_context],
        ),
        (
            "ends well whatever happens",
            "\"$A2AD\" \"$@\"; exit 0",
            &[output::exit_codes, interaction::by_task],
        ),
        (
            "prints its log among the data",
            "\"$A2AD\" \"$@\" 2>&1",
            &[tasks::identified_everywhere, tools::debug],
        ),
        (
            "takes a failed task for a failure",
            "\"$A2AD\" \"$@\" > out; code=$?; cat out; grep -q FAILED out && code=1; rm out; exit $code",
            &[output::outcomes],
        ),
        (
            "leaves artifacts out",
            "\"$A2AD\" \"$@\" > out; code=$?; sed '/^Artifact: /,$d; s/\"artifacts\":/\"x\":/' out; rm out; exit $code",
            &[sending::renders, tasks::get],
        ),
        (
            "writes many documents for one",
            "\"$A2AD\" \"$@\" > out; code=$?; cat out out; rm out; exit $code",
            &[output::one_document, cards::validate],
        ),
        (
            "tells secrets",
            "env | grep A2ACLI_ >&2; exec \"$A2AD\" \"$@\"",
            &[auth::redacted],
        ),
        (
            "remembers",
            "\"$A2AD\" \"$@\" > out; code=$?; cat out; sed -n 's/^Task: //p' out > last; rm out; exit $code",
            &[interaction::is_stateless],
        ),
    ];
    for (wrong, script, checks) in rows {
        let folder = tempfile::tempdir().unwrap();
        let world = World::of(&stand_in(&folder, script));
        for (number, check) in checks.iter().enumerate() {
            let result = super::caught(|| check(&world));
            assert!(result.is_err(), "check {number} passes a program that {wrong}");
        }
    }
}

/// Ids, tiers and areas as they are registered: nothing is left out, and nothing is there twice.
#[test]
fn the_registry_is_complete() {
    let mut ids: Vec<&str> = REQUIREMENTS.iter().map(|one| one.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 66);
    for (tier, total) in [(1, 39), (2, 15), (3, 12)] {
        assert_eq!(
            REQUIREMENTS.iter().filter(|one| one.tier == tier).count(),
            total,
            "tier {tier}"
        );
    }
    let mut areas: Vec<&str> = ids.iter().map(|id| area(id)).collect();
    areas.dedup();
    assert_eq!(areas.len(), 22, "{areas:?}");
    for id in ids {
        let number = id.rsplit('_').next().unwrap();
        assert!(number.len() == 3 && number.parse::<u16>().is_ok(), "{id}");
    }
}

#[test]
fn a_report_with_a_failure_claims_no_more_than_what_passed() {
    let failing = |id: &str| {
        let requirements = REQUIREMENTS.iter().map(|one| match one.id == id {
            true => Err("not so".to_owned()),
            false => Ok(()),
        });
        yaml(&Results {
            requirements: requirements.collect(),
            defaults: vec![Ok(()); DEFAULTS.len()],
            codes: vec![Ok(()); CODES.len()],
        })
    };
    for (id, tier) in [
        ("", 3),
        ("A2ACLI_CHAT_001", 2),
        ("A2ACLI_PUSH_001", 1),
        ("A2ACLI_EXIT_001", 0),
    ] {
        let text = failing(id);
        assert!(text.contains(&format!("tier_claimed: {tier}\n")), "{id}");
        assert_eq!(
            text.contains("status: fail\n    note: \"not so\""),
            !id.is_empty(),
            "{id}"
        );
    }
}
