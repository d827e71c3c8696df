//! Secrets that can be recognised, and the forms in which one may show.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What a message says, to be found in the database.
pub const CONTROL: &str = "control-5f1d0c";

/// A secret, and every form of it that is looked for.
pub struct Canary {
    pub name: &'static str,
    pub text: String,
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Canary {
    /// A new one, with characters that a URL would encode.
    pub fn new(name: &'static str) -> Self {
        Self::exactly(name, &format!("c{}$e'", uuid::Uuid::new_v4().simple()))
    }

    /// 32 bytes in hex.
    pub fn hex(name: &'static str) -> Self {
        let half = || uuid::Uuid::new_v4().simple().to_string();
        let text = half() + &half();
        let bytes: Vec<u8> = (0..32)
            .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let mut canary = Self::exactly(name, &text);
        canary.forms.push(("bytes", bytes.clone()));
        canary
            .forms
            .push(("base64 of its bytes", STANDARD.encode(&bytes).into_bytes()));
        canary.forms.push((
            "list of its bytes",
            format!("{bytes:?}").trim_matches(['[', ']']).into(),
        ));
        canary
    }

    /// The longest line of a private key.
    pub fn of_pem(name: &'static str, pem: &[u8]) -> Self {
        let text = std::str::from_utf8(pem).unwrap();
        let inside = text.lines().filter(|line| !line.starts_with('-'));
        let line = inside.max_by_key(|line| line.len()).unwrap();
        let mut canary = Self::exactly(name, line);
        let bytes = STANDARD_NO_PAD.decode(&line[..line.len() / 4 * 4]).unwrap();
        // What is in the middle of the line is the key, and in no certificate.
        let secret = &bytes[bytes.len() / 3..];
        canary.forms.push(("bytes", secret.to_vec()));
        canary.forms.push(("hex of its bytes", hex(secret)));
        canary.forms.push((
            "list of its bytes",
            format!("{secret:?}").trim_matches(['[', ']']).into(),
        ));
        canary
    }

    pub fn exactly(name: &'static str, text: &str) -> Self {
        let mut forms = vec![
            ("as it is", text.as_bytes().to_vec()),
            ("percent-encoded", percent(text).into_bytes()),
            ("hex", hex(text.as_bytes())),
        ];
        // In the middle of something else it begins at any of three places, and its ends mix with the neighbours.
        for before in 0..3 {
            let shifted = ["\0".repeat(before).as_bytes(), text.as_bytes()].concat();
            for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                let encoded = engine.encode(&shifted);
                let end = encoded.len().saturating_sub(2);
                if let Some(middle) = encoded.get(4..end).filter(|middle| middle.len() > 8) {
                    forms.push(("base64", middle.as_bytes().to_vec()));
                }
            }
        }
        Self {
            name,
            text: text.to_owned(),
            forms,
        }
    }
}

/// Bytes to be searched often: a character for each of them, as it is and in lower case.
pub struct Haystack {
    text: String,
    lower: String,
}

impl Haystack {
    pub fn new(bytes: &[u8]) -> Self {
        let text = characters(bytes);
        Self {
            lower: text.to_ascii_lowercase(),
            text,
        }
    }
}

fn characters(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The form in which a secret stands there, if it does. Letters of hex and percent-encoding count in both cases.
pub fn found_in(bytes: &Haystack, canary: &Canary) -> Option<&'static str> {
    let found = canary.forms.iter().find(|(name, form)| match *name {
        "hex" | "percent-encoded" | "hex of its bytes" => {
            bytes.lower.contains(&characters(form).to_ascii_lowercase())
        }
        _ => bytes.text.contains(&characters(form)),
    });
    found.map(|(name, _)| *name)
}

pub fn percent(text: &str) -> String {
    crate::support::wire::percent(text)
}

pub fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>()
        .into_bytes()
}

#[test]
fn every_form_is_found() {
    let canary = Canary::new("control");
    let text = &canary.text;
    for form in [
        format!("x{text}y"),
        format!("x{}y", percent(text).to_lowercase()),
        String::from_utf8(hex(text.as_bytes())).unwrap().to_uppercase(),
        base64(text),
        base64(&format!("u:{text}")),
        base64(&format!("user:{text}x")),
        URL_SAFE_NO_PAD.encode(format!("ab{text}")),
    ] {
        assert!(
            found_in(&Haystack::new(form.as_bytes()), &canary).is_some(),
            "{form}"
        );
    }
    assert_eq!(found_in(&Haystack::new(b"something else"), &canary), None);
    let key = Canary::hex("key");
    let bytes = key.forms.iter().find(|(name, _)| *name == "bytes").unwrap();
    assert!(found_in(&Haystack::new(&bytes.1), &key).is_some());
}
