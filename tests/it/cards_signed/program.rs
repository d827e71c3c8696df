//! `a2ad card get --verify` against a server that signs.

use std::path::Path;
use std::process::{Command, Output};

use a2ad::signature::jwk_set;

use super::Pen;
use crate::binary::{PROGRAM, Server};

fn card(agent: &str, keys: &Path, more: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(["card", "get", "-a", agent, "-o", "json", "--verify"])
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
    let address = signed.addr.to_string();
    let agent = format!("{address}/conformance");
    for (agent, more) in [
        (&address, &[][..]),
        (&address, &["--sdk-form"]),
        (&agent, &["--require-signature"]),
    ] {
        let good = card(agent, &keys(&pen, "k"), more);
        assert!(good.status.success() && !good.stdout.is_empty());
        assert_eq!(
            String::from_utf8(good.stderr).unwrap(),
            "the card's signature is verified with the key \"k\"\n"
        );
    }
    for (server, keys, why, refusal) in [
        (&unsigned, keys(&pen, "k"), "is absent", "is not signed"),
        (
            &signed,
            keys(&other, "k"),
            "did not sign this card",
            "did not sign this card",
        ),
        (&signed, keys(&pen, "x"), "is not in the set", "is not in the set"),
    ] {
        let agent = server.addr.to_string();
        // Who did not ask for more sees the card, and is told.
        let told = card(&agent, &keys, &["--sdk-form"]);
        let text = String::from_utf8(told.stderr).unwrap();
        assert!(told.status.success() && text.starts_with("warning: "), "{text}");
        assert!(text.contains(why) && !text.contains("is verified"), "{text}");
        let refused = card(&agent, &keys, &["--sdk-form", "--require-signature"]);
        let text = String::from_utf8(refused.stdout).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{text}");
        assert!(
            text.contains("A2ACLI_ERR_CARD_INVALID") && text.contains(refusal),
            "{text}"
        );
    }
    for (file, why) in [
        (pen.path(), "is no JWK set"),
        (pen.path().with_extension("none"), "No such file"),
    ] {
        let bad = card(&address, &file, &[]);
        let text = String::from_utf8(bad.stdout).unwrap();
        assert_eq!(bad.status.code(), Some(2), "{text}");
        assert!(text.contains("A2ACLI_ERR_USAGE") && text.contains(why), "{text}");
    }
}
