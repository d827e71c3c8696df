//! The official Python SDK, in both directions: it verifies our cards, and we verify what it signs.

use std::path::Path;

use a2ad::pb::{AgentCard, json};
use a2ad::signature::{Form, Forms, jwk_set, verify};

use super::{ALGORITHMS, Pen, rich_card};
use crate::binary::Server;
use crate::peers::python_passes;
use crate::python;

const CHECKS: &[&str] = &["public_cards", "extended_card", "changed_cards_are_refused"];

#[test]
fn the_python_sdk_verifies_our_cards() {
    for algorithm in ALGORITHMS {
        let pen = Pen::new(algorithm);
        let key_file = format!("card.signing_key_file={}", pen.path().display());
        let server = Server::start(&["--database", "memory", "--set", &key_file]);
        python_passes("signed_card.py", &[&server.url()], CHECKS);
    }
}

/// The card as the SDK signs it.
fn signed_by_sdk(card: &AgentCard, key: &Path, algorithm: &str) -> AgentCard {
    let text = String::from_utf8(json::to_vec(card).unwrap()).unwrap();
    let key = key.to_str().unwrap();
    json::from_slice(&python::run(&["tests/peers/sign_card.py", key, algorithm], &text)).unwrap()
}

#[test]
fn we_verify_what_the_python_sdk_signs() {
    let full: AgentCard = json::from_str(
        r#"{"name": "Ö", "description": "d", "version": "1", "defaultInputModes": ["a"], "defaultOutputModes": ["b"],
            "supportedInterfaces": [{"url": "https://a.example", "protocolBinding": "GRPC", "protocolVersion": "1.0"}],
            "capabilities": {"streaming": false, "extensions": [{"uri": "u", "params": {"\ud83d\ude00": 1.5, "\ufb33": [1, 1e300]}}]},
            "skills": [{"id": "s", "name": "n", "description": "d", "tags": ["t"]}]}"#,
    )
    .unwrap();
    for algorithm in ALGORITHMS {
        let pen = Pen::new(algorithm);
        let keys = pen.keys("k");
        assert!(jwk_set([&pen.key("k")]).contains(algorithm));
        let card = signed_by_sdk(&full, &pen.path(), algorithm);
        assert_eq!(
            verify(&card, &keys, Forms::Specification).unwrap().form,
            Form::Specification
        );
        // What is required and empty tells the forms apart.
        let card = signed_by_sdk(&rich_card(), &pen.path(), algorithm);
        verify(&card, &keys, Forms::Specification).unwrap_err();
        assert_eq!(verify(&card, &keys, Forms::OrSdks).unwrap().form, Form::Sdks);
    }
}
