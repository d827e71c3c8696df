//! That checks can fail: for each requirement a program that gets it wrong, and the words in which the check says so. A
//! program that stands in faithfully passes them all, so that it is not the standing in that fails.

use super::all;
use super::registry::{CODES, DEFAULTS, REQUIREMENTS, area};
use super::report::{Results, yaml};
use super::stand_ins::Wrong::{self, Before, Behind, Prints, Takes, Without, WithoutValues};
use super::stand_ins::stand_in;
use super::world::{Checked, World};

const NO_BINDING: Wrong = WithoutValues(&["--transport"]);
const NO_VERSION: Wrong = WithoutValues(&["--a2a-version"]);
const NO_LOGIN: Wrong = Before("[ \"$1 $2\" = 'auth login' ] && exit 0");
const NO_DIAGNOSTICS: Wrong = Before("exec 2> /dev/null");
const NO_WAITING: Wrong = Before("export A2ACLI_ASYNC=true");
const ANY_CERTIFICATE: Wrong = Before("[ \"$1\" = send ] && set -- \"$@\" --insecure");
const ONE_BINDING: Wrong = Before("[ \"$1\" = send ] && set -- \"$@\" --transport http+json");
const GOOD_END: Wrong = Behind("cat \"$out\"; cat \"$err\" >&2; code=0");

/// A requirement, a program that does not meet it, and a part of what the check says of it.
type Control = (&'static str, Wrong, &'static str);

#[rustfmt::skip]
const CONTROLS: [Control; 65] = [
    ("A2ACLI_CARD_GET_001", Prints("/^Skill: /d"), "no field Skill"),
    ("A2ACLI_SEND_001", Prints("s/\"hello\"/\"bye\"/g"), "bye"),
    ("A2ACLI_SEND_002", Before("case \" $* \" in *' hold:1 '*) set -- \"$@\" --async;; esac"), "grpc: {"),
    ("A2ACLI_SEND_003", Without(&["--stream"]), "grpc: ["),
    ("A2ACLI_SEND_004", Prints("/^File: /d"), "is missing"),
    ("A2ACLI_SEND_005", WithoutValues(&["--media-type"]), "image/png"),
    ("A2ACLI_SEND_006", Before("exec < /dev/null"), "A2ACLI_ERR_USAGE"),
    ("A2ACLI_TASK_GET_001", WithoutValues(&["--history"]), "grpc: {"),
    ("A2ACLI_TASK_CANCEL_001", Takes("cancel", "get"), "State: WORKING"),
    ("A2ACLI_INTERACT_001", WithoutValues(&["--context-id"]), "grpc: Task: "),
    ("A2ACLI_INTERACT_002", Behind("if [ $code = 1 ] && [ \"$1\" = send ]; then \"$A2AD\" send -a \"$3\" again -o json; code=$?; else cat \"$out\"; fi"), "ended with 0"),
    ("A2ACLI_INTERACT_003", Before("[ \"$1\" = send ] && set -- \"$@\" --context-id invented"), "contextId is \"invented\""),
    ("A2ACLI_INTERACT_004", Prints("/^Next: /d"), "no field Next"),
    ("A2ACLI_INTERACT_005", Behind("cat \"$out\"; sed -n \"s/^Task: //p\" \"$out\" > last"), "stands in"),
    ("A2ACLI_TASK_POLL_001", Without(&["--wait"]), "TASK_STATE_WORKING"),
    ("A2ACLI_TASK_POLL_002", Takes("200ms", "1ms"), "times in a second"),
    ("A2ACLI_TASK_POLL_003", Behind("cat \"$out\"; grep -q 'State: INPUT_REQUIRED' \"$out\" && code=1"), "ended with 1"),
    ("A2ACLI_TASK_POLL_004", Prints("/^State: /q"), "[\"--stream\"]"),
    ("A2ACLI_OUT_001", Before("exec 2>&1"), "no warning in"),
    ("A2ACLI_OUT_002", Behind("cat \"$out\" \"$out\""), "trailing characters"),
    ("A2ACLI_OUT_003", Prints("$d"), "grpc: {"),
    ("A2ACLI_OUT_004", Prints("s/TaskNotFoundError/NotFound/"), "expected 1 and TaskNotFoundError"),
    ("A2ACLI_OUT_005", Behind("cat \"$out\"; printf '\\033[0m'"), "'\\u{1b}') in"),
    ("A2ACLI_OUT_006", Prints("s/\"contextId\":\"[^\"]*\",//g"), "no contextId in"),
    ("A2ACLI_EXIT_001", GOOD_END, "ended with 0 and not 1"),
    ("A2ACLI_EXIT_002", Behind("cat \"$out\"; grep -q FAILED \"$out\" && code=1"), "ended with 1"),
    ("A2ACLI_AUTH_001", Before("unset A2ACLI_BEARER"), "ended with 4"),
    ("A2ACLI_AUTH_002", WithoutValues(&["--bearer"]), "Bearer lower"),
    ("A2ACLI_AUTH_003", ANY_CERTIFICATE, "warning: --insecure"),
    ("A2ACLI_AUTH_004", Before("env | grep A2ACLI_ >&2"), "secret-token-4711 in"),
    ("A2ACLI_TX_001", ONE_BINDING, "/rpc was not asked"),
    ("A2ACLI_TX_002", NO_BINDING, "was not asked"),
    ("A2ACLI_TX_003", Before("[ \"$1\" = send ] && { \"$A2AD\" card get -a \"$3\" -o json | sed 's/\"tenant\":\"[^\"]*\"/\"tenant\":\"\"/' > card.json; shift 3; set -- send -a ./card.json \"$@\"; }"), "SendMessage"),
    ("A2ACLI_VER_001", NO_VERSION, "ended with 0"),
    ("A2ACLI_DEFAULT_001", NO_WAITING, "grpc: {"),
    ("A2ACLI_CONFIG_001", NO_DIAGNOSTICS, "no warning: "),
    ("A2ACLI_CLI_001", Prints("s/\\[default: [^]]*\\]//"), "[default: text] is not in"),
    ("A2ACLI_SKILL_001", Behind("cat \"$out\"; [ \"$1\" = skill ] && echo more"), "the program prints another one"),
    ("A2ACLI_CARD_GET_002", Without(&["--validate"]), "expected 1 and A2ACLI_ERR_CARD_INVALID"),
    ("A2ACLI_TASK_LIST_001", WithoutValues(&["--status"]), "grpc: {"),
    ("A2ACLI_TASK_SUBSCRIBE_001", Takes("subscribe", "get"), "grpc: ["),
    ("A2ACLI_TASK_SUBSCRIBE_002", Prints("1q"), "TASK_STATE_WORKING"),
    ("A2ACLI_AUTH_005", NO_DIAGNOSTICS, "nobody is told where to sign in"),
    ("A2ACLI_AUTH_006", NO_LOGIN, "EOF while parsing"),
    ("A2ACLI_AUTH_007", Behind("cat \"$out\"; chmod -R a+rX \"$HOME/.config\""), "644"),
    ("A2ACLI_TX_004", NO_BINDING, "jsonrpc: {"),
    ("A2ACLI_VER_003", Before("[ \"$1\" = send ] && { \"$A2AD\" card get -a \"$3\" -o json | sed 's/\"capabilities\":{}/\"capabilities\":{\"streaming\":true}/' > card.json; shift 3; set -- send -a ./card.json \"$@\"; }"), "ended with 1"),
    ("A2ACLI_CONFIG_002", Before("unset A2ACLI_TIMEOUT"), "agent.env"),
    ("A2ACLI_DOWNLOAD_001", Before("[ \"$1 $2\" = 'task download' ] && set -- \"$@\" --force"), "files were overwritten"),
    ("A2ACLI_OUT_007", NO_DIAGNOSTICS, "grpc: "),
    ("A2ACLI_CONFORM_001", GOOD_END, "--strict ended with 0"),
    ("A2ACLI_CLI_002", GOOD_END, "any shell is taken"),
    ("A2ACLI_PUSH_001", Before("[ \"$1 $2 $3\" = 'task push-config delete' ] && { echo '{}'; exit 0; }"), "grpc: {"),
    ("A2ACLI_CARD_GET_003", Without(&["--extended"]), "expected 4 and A2ACLI_ERR_CREDENTIALS_MISSING"),
    ("A2ACLI_AUTH_008", Before("[ \"$1\" = card ] && set -- \"$@\" --svc-param \"x-any:$A2ACLI_API_KEY\""), "it was shown"),
    ("A2ACLI_CARD_GET_004", Prints("s/^Signature: .*/Signature: verified/"), "other.json: verified"),
    ("A2ACLI_CARD_GET_005", Takes("./catalog.json#second", "./catalog.json#first"), "second: \"Echo\""),
    ("A2ACLI_PUSH_002", Before("case \"$*\" in *'push-config listen'*--create*) exit 0;; esac"), "[] "),
    ("A2ACLI_CHAT_001", Before("if [ \"$1\" = chat ]; then shift; while read -r line; do case \"$line\" in /*) ;; *) \"$A2AD\" send \"$@\" \"$line\";; esac; done; exit 0; fi"), "grpc: contexts"),
    ("A2ACLI_TX_005", Takes("grpc", "jsonrpc"), "JSONRPC"),
    ("A2ACLI_AUTH_009", WithoutValues(&["--cert", "--key"]), "grpc: error: "),
    ("A2ACLI_AUTH_010", NO_LOGIN, "not discovered"),
    ("A2ACLI_AUTH_011", NO_DIAGNOSTICS, "is not in"),
    ("A2ACLI_DEMO_SERVER_001", Before("[ \"$1\" = demo-server ] && exit 0"), "it is not ready"),
    ("A2ACLI_VER_002", WithoutValues(&["--extension"]), "None"),
];

/// Its check reads what is shipped, and no program.
const WITHOUT_PROGRAM: &str = "A2ACLI_SKILL_002";

const CONTROLS_OF_DEFAULTS: [Control; 6] = [
    (
        "transport_server_preference_order",
        ONE_BINDING,
        "/rpc was not asked",
    ),
    ("task_completion_wait", NO_WAITING, "grpc: {"),
    ("output_text", Before("export A2ACLI_OUTPUT=json"), "not text"),
    (
        "detail_concise",
        Before("export A2ACLI_VERBOSE=true"),
        "Artifact id: ",
    ),
    ("protocol_version_highest_mutual", NO_VERSION, "ended with 0"),
    (
        "transport_security_tls_verification",
        ANY_CERTIFICATE,
        "warning: --insecure",
    ),
];

const ANOTHER_CODE: Wrong = Prints("s/A2ACLI_ERR_[A-Z_]*/A2ACLI_ERR_ANOTHER/");

/// A check by its name.
type Named = (&'static str, fn(&World) -> Checked);

/// What is wrong with a control: the check passes, or it fails for another reason.
fn judged(world: &World, (name, check): Named, wrong: &Wrong, why: &str) -> Checked {
    let folder = tempfile::tempdir().unwrap();
    let world = world.with(&stand_in(&folder, &wrong.script()));
    match super::caught(|| check(&world)) {
        Ok(()) => Err(format!("{name} passes a program that does not meet it")),
        Err(said) if said.contains(why) => Ok(()),
        Err(said) => Err(format!("{name} fails, and does not say {why:?}: {said}")),
    }
}

/// Judges each control by the check of its name.
fn assert_all_fail(controls: &[Control], checks: &[Named]) {
    let world = World::new();
    let found = all(controls.len(), |number| {
        let (name, wrong, why) = &controls[number];
        let check = checks.iter().find(|(known, _)| known == name);
        let check = check.ok_or_else(|| format!("there is no check {name}"))?;
        judged(&world, *check, wrong, why)
    });
    let bad: Vec<String> = found.into_iter().filter_map(Result::err).collect();
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
}

fn requirements() -> Vec<Named> {
    REQUIREMENTS.iter().map(|one| (one.id, one.check)).collect()
}

#[test]
fn each_check_fails_a_program_that_does_not_meet_its_requirement() {
    assert_all_fail(&CONTROLS, &requirements());
    let mut controlled: Vec<&str> = CONTROLS.iter().map(|(id, ..)| *id).collect();
    controlled.push(WITHOUT_PROGRAM);
    controlled.sort_unstable();
    let mut ids: Vec<&str> = REQUIREMENTS.iter().map(|one| one.id).collect();
    ids.sort_unstable();
    assert_eq!(controlled, ids);
}

#[test]
fn each_check_of_a_default_and_of_a_code_can_fail_too() {
    let defaults: Vec<Named> = DEFAULTS.iter().map(|(key, _, check)| (*key, *check)).collect();
    assert_eq!(CONTROLS_OF_DEFAULTS.len(), defaults.len());
    assert_all_fail(&CONTROLS_OF_DEFAULTS, &defaults);
    let codes = CODES.map(|(code, _)| (code, ANOTHER_CODE, "A2ACLI_ERR_ANOTHER"));
    assert_all_fail(&codes, &CODES);
}

#[test]
fn a_program_that_stands_in_faithfully_passes_every_check() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new().with(&stand_in(&folder, &Before(":").script()));
    let found = all(REQUIREMENTS.len(), |number| {
        let one = &REQUIREMENTS[number];
        super::caught(|| (one.check)(&world)).map_err(|why| format!("{}: {why}", one.id))
    });
    let bad: Vec<String> = found.into_iter().filter_map(Result::err).collect();
    assert!(bad.is_empty(), "\n{}", bad.join("\n"));
}

#[test]
fn a_skill_that_restates_a_requirement_fails() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::new();
    let shipped = world.skill.join("a2ad");
    let doctored = folder.path().join("a2ad");
    std::fs::create_dir_all(doctored.join("references")).unwrap();
    for file in ["SKILL.md", "references/examples.md"] {
        std::fs::copy(shipped.join(file), doctored.join(file)).unwrap();
    }
    world.skill = folder.path().to_owned();
    let check = REQUIREMENTS
        .iter()
        .find(|one| one.id == WITHOUT_PROGRAM)
        .unwrap()
        .check;
    assert_eq!(check(&world), Ok(()));
    let text = std::fs::read_to_string(doctored.join("SKILL.md")).unwrap();
    std::fs::write(doctored.join("SKILL.md"), text + "A tool MUST wait.\n").unwrap();
    let why = check(&world).unwrap_err();
    assert!(why.contains("restates a requirement: MUST"), "{why}");
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
