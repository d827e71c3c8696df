//! The corpus of the fuzz targets, replayed by their own bodies: what once broke one of them is tried in every run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::demo_agents::echo_agent as echo;

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// The seeds and the finds of a target, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz().join("corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(&path).unwrap())
        })
        .collect();
    inputs.sort();
    inputs
}

fn replay(target: &str) {
    let inputs = corpus(target);
    assert!(inputs.len() >= 3, "{target} has {} seeds", inputs.len());
    for (name, input) in inputs {
        eprintln!("{target}/{name}");
        bodies::run(target, &input);
        // Whatever stands in front of it or is cut off, too.
        bodies::run(target, &input[..input.len() / 2]);
    }
    bodies::run(target, b"");
}

macro_rules! replays {
    ($($target:ident),*) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target));
        })*

        const REPLAYED: &[&str] = &[$(stringify!($target)),*];
    };
}

replays!(
    protobuf,
    proto_json,
    json_rpc,
    rest,
    headers,
    page_token,
    grpc,
    webhook,
    sse,
    reducer,
    certificate,
    forwarded,
    http1,
    http2,
    jwt,
    api_key,
    audit,
    signature
);

/// A target is written down in five places.
#[test]
fn every_target_is_built_has_seeds_and_is_replayed() {
    let targets: BTreeSet<String> = bodies::TARGETS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(targets.len(), bodies::TARGETS.len());
    let folders = std::fs::read_dir(fuzz().join("corpus")).unwrap();
    let folders: BTreeSet<String> = folders
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(folders, targets);
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let built: BTreeSet<String> = manifest
        .split("[[bin]]")
        .skip(1)
        .map(|binary| {
            let name = binary.split_once("name = \"").unwrap().1;
            name.split_once('"').unwrap().0.to_owned()
        })
        .collect();
    assert_eq!(built, targets);
    assert_eq!(
        REPLAYED
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<BTreeSet<_>>(),
        targets
    );
    let readme = std::fs::read_to_string(fuzz().join("../README.md")).unwrap();
    for target in targets {
        assert!(
            readme.contains(&format!("| `{target}`")),
            "{target} is not in tests/README.md"
        );
    }
}
