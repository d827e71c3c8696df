//! The reports of the checks: YAML for programs, Markdown for people, in the form of the a2a-cli compliance report.

use std::fmt::Write as _;
use std::path::Path;

use super::registry::{CODES, DEFAULTS, REQUIREMENTS, area};
use super::world::Checked;

/// When the checks were last read against the specification; a run changes nothing in a report but outcomes.
const DATE: &str = "2026-11-22";
const SPEC_VERSION: &str = "0.2";
const SPEC_REVISION: &str = "2026-08-17";
const AGENT: &str = "a2ad demo-server (agents echo, bench and conformance) and scripted servers of the tests";
const HOW: &str = "cargo nextest run -E 'test(cli::compliance)'";
/// Requirements of each tier.
const TIERS: [(u8, &str, usize); 3] = [(1, "Core", 39), (2, "Standard", 15), (3, "Advanced", 12)];

/// What all checks came to, in the order of the registry.
pub struct Results {
    pub requirements: Vec<Checked>,
    pub defaults: Vec<Checked>,
    pub codes: Vec<Checked>,
}

impl Results {
    /// What did not pass, each in a line.
    pub fn failures(&self) -> Vec<String> {
        let ids = REQUIREMENTS.iter().map(|one| one.id);
        let names = DEFAULTS.iter().map(|(key, ..)| *key);
        let codes = CODES.iter().map(|(code, _)| *code);
        let all = ids.zip(&self.requirements).chain(names.zip(&self.defaults));
        all.chain(codes.zip(&self.codes))
            .filter_map(|(name, result)| Some(format!("{name}: {}", result.as_ref().err()?)))
            .collect()
    }

    /// How many of a tier passed.
    fn passed(&self, tier: u8) -> usize {
        let pairs = REQUIREMENTS.iter().zip(&self.requirements);
        pairs
            .filter(|(one, result)| one.tier == tier && result.is_ok())
            .count()
    }

    /// Whether a tier and all below it are satisfied. What is missing does not count as passed.
    fn is_satisfied(&self, tier: u8) -> bool {
        TIERS
            .iter()
            .filter(|(number, ..)| *number <= tier)
            .all(|(number, _, total)| self.passed(*number) == *total)
    }

    /// The highest tier that is satisfied.
    fn tier(&self) -> u8 {
        (1..=3).rev().find(|tier| self.is_satisfied(*tier)).unwrap_or(0)
    }
}

/// The report for programs.
pub fn yaml(results: &Results) -> String {
    let mut text = format!(
        "# Written by the tests of the command line ({HOW}); don't edit.\nreport:\n  tool: a2ad\n  tool_version: {}\n  \
         language: Rust\n  repository: {}\n  maintainer: the a2ad project\n  report_date: {DATE}\n  spec_version: \
         \"{SPEC_VERSION}\"\n  spec_revision: {SPEC_REVISION}\n  a2a_versions: [\"1.0\"]\n  agent_tested: {AGENT}\n  \
         agent_tck_conformant: unknown\n  transports_covered: [HTTP+JSON, JSON-RPC, gRPC]\n  tier_claimed: {}\n\nsummary:\n",
        env!("CARGO_PKG_VERSION"),
        repository(),
        results.tier(),
    );
    for (tier, _, total) in TIERS {
        let passed = results.passed(tier);
        let _ = writeln!(
            text,
            "  tier_{tier}: {{total: {total}, pass: {passed}, partial: 0, fail: {}, not_measured: 0, na: 0, satisfied: {}}}",
            total - passed,
            results.is_satisfied(tier)
        );
    }
    text.push_str("\nrequirements:\n");
    for (one, result) in REQUIREMENTS.iter().zip(&results.requirements) {
        let _ = writeln!(
            text,
            "  {}:\n    tier: {}\n    area: {}\n    spec: {:?}\n    requirement: {:?}\n    status: {}\n    note: {}",
            one.id,
            one.tier,
            area(one.id),
            one.spec,
            one.line,
            if result.is_ok() { "pass" } else { "fail" },
            note(result)
        );
    }
    text.push_str("\ndefault_001_breakdown:\n");
    for ((key, ..), result) in DEFAULTS.iter().zip(&results.defaults) {
        let word = yes(result);
        let _ = writeln!(
            text,
            "  {key}: {{shipped: {word}, overridable: {word}, note: {}}}",
            note(result)
        );
    }
    text.push_str("\nerror_codes:\n");
    for ((code, _), result) in CODES.iter().zip(&results.codes) {
        let _ = writeln!(
            text,
            "  {code}: {{emitted: {}, note: {}}}",
            yes(result),
            note(result)
        );
    }
    let _ = write!(
        text,
        "\nattestation:\n  reported_by: the tests of a2ad\n  date: {DATE}\n  statement: \"The tier claimed reflects the \
         evidence recorded above.\"\n"
    );
    text
}

/// The report for people.
pub fn markdown(results: &Results) -> String {
    let mut text = format!(
        "# a2ad: a2a-cli compliance report\n\nWritten by the tests of the command line; don't edit. Each line is a check \
         through the program itself: `{HOW}`.\n\n## Summary\n\n| Field | Value |\n| --- | --- |\n| Tool | a2ad {} |\n| \
         Language | Rust |\n| Report date | {DATE} |\n| a2a-cli specification | {SPEC_VERSION}, revision {SPEC_REVISION} |\n\
         | Tier claimed | {} |\n| A2A protocol version | 1.0 |\n| Agent | {AGENT} |\n| That agent is TCK-conformant? | \
         unknown |\n| Transports | HTTP+JSON, JSON-RPC, gRPC |\n\n## Results\n\n| Tier | Requirements | Pass | Fail | \
         Satisfied |\n| --- | --- | --- | --- | --- |\n",
        env!("CARGO_PKG_VERSION"),
        results.tier(),
    );
    for (tier, name, total) in TIERS {
        let passed = results.passed(tier);
        let satisfied = if results.is_satisfied(tier) { "yes" } else { "no" };
        let _ = writeln!(
            text,
            "| {tier}, {name} | {total} | {passed} | {} | {satisfied} |",
            total - passed
        );
    }
    for (tier, name, _) in TIERS {
        let _ = write!(
            text,
            "\n## Tier {tier}: {name}\n\n| ID | Requirement | Sections | Status |\n| --- | --- | --- | --- |\n"
        );
        for (one, result) in REQUIREMENTS.iter().zip(&results.requirements) {
            if one.tier == tier {
                let _ = writeln!(
                    text,
                    "| `{}` | {} | {} | {} |",
                    one.id,
                    one.line,
                    one.spec,
                    mark(result)
                );
            }
        }
    }
    text.push_str(
        "\n## Defaults (`A2ACLI_DEFAULT_001`)\n\n| Default | Shipped | Overridable |\n| --- | --- | --- |\n",
    );
    for ((_, name, _), result) in DEFAULTS.iter().zip(&results.defaults) {
        let _ = writeln!(text, "| {name} | {0} | {0} |", yes(result));
    }
    text.push_str("\n## Error codes\n\n| Code | Emitted |\n| --- | --- |\n");
    for ((code, _), result) in CODES.iter().zip(&results.codes) {
        let _ = writeln!(text, "| `{code}` | {} |", yes(result));
    }
    let _ = write!(
        text,
        "\n## Attestation\n\nReported by the tests of a2ad on {DATE}.\n"
    );
    text
}

fn repository() -> &'static str {
    match env!("CARGO_PKG_REPOSITORY") {
        "" => "not published",
        url => url,
    }
}

fn yes(result: &Checked) -> &'static str {
    if result.is_ok() { "yes" } else { "no" }
}

fn mark(result: &Checked) -> String {
    match result {
        Ok(()) => "\u{2705} Pass".to_owned(),
        Err(why) => format!("\u{274c} Fail: {}", why.replace(['\n', '|'], " ")),
    }
}

fn note(result: &Checked) -> String {
    match result {
        Ok(()) => "null".to_owned(),
        Err(why) => format!("{why:?}"),
    }
}

/// Compares with what is committed.
pub fn compare(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("A2AD_BLESS").is_some_and(|value| value == "1") {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "{file} is not what the checks say now; A2AD_BLESS=1 writes it anew"
    );
}
