//! `a2ad card --verify` against a server that signs.

use std::path::Path;
use std::process::{Command, Output};

use a2ad::signature::jwk_set;

use super::Pen;
use crate::binary::{PROGRAM, Server};

fn card(server: &Server, keys: &Path, more: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(["card", &server.url(), "--verify"])
        .arg(keys)
        .args(more)
        .output()
        .unwrap()
}

#[test]
fn the_program_shows_a_card_only_if_its_signature_is_good() {
    let (pen, other) = (Pen::new("ES256"), Pen::new("ES256"));
    let key_file = format!("card.signing_key_file={}", pen.path().display());
    let signing = [
        "--database",
        "memory",
        "--set",
        &key_file,
        "--set",
        "card.signing_key_id=k",
    ];
    let (signed, unsigned) = (Server::start(&signing), Server::start(&["--database", "memory"]));
    let keys = |pen: &Pen, id: &str| {
        let file = pen.folder.path().join(format!("{id}.json"));
        std::fs::write(&file, jwk_set([&pen.key(id)])).unwrap();
        file
    };
    for more in [&[][..], &["--sdk-form"], &["--tenant", "conformance"]] {
        let good = card(&signed, &keys(&pen, "k"), more);
        assert!(good.status.success() && !good.stdout.is_empty());
        assert_eq!(
            String::from_utf8(good.stderr).unwrap(),
            "signed with the key \"k\"\n"
        );
    }
    for (server, keys, why) in [
        (&unsigned, keys(&pen, "k"), "is not signed"),
        (&signed, keys(&other, "k"), "did not sign this card"),
        (&signed, keys(&pen, "x"), "is not in the set"),
        (&signed, pen.path(), "is no JWK set"),
        (&signed, pen.path().with_extension("none"), "No such file"),
    ] {
        let bad = card(server, &keys, &["--sdk-form"]);
        let text = String::from_utf8(bad.stderr).unwrap();
        assert_eq!(bad.status.code(), Some(1), "{text}");
        assert!(bad.stdout.is_empty() && text.contains(why), "{text}");
    }
}
