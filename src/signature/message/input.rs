//! What a signature says of itself: the member of `Signature-Input` (RFC 9421 section 4.1), written and read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sfv::{BareItem, Dictionary, InnerList, Item, ListEntry, ListSerializer, Parameters, Parser};

use super::{Refusal, TAG};

/// The most bytes of `Signature-Input` and of `Signature`.
const FIELD_BYTES_MAX: usize = 8_192;
/// The most signatures that are looked at, those for other purposes among them.
const SIGNATURES_MAX: usize = 8;
/// The most components that one covers.
const COMPONENTS_MAX: usize = 32;
/// The longest key id, in bytes.
const KEY_ID_BYTES_MAX: usize = 256;

/// A signature of ours as it describes itself. Nothing in it is believed yet.
#[derive(Debug)]
pub(super) struct Input {
    /// What it covers, without doubles.
    pub(super) components: Vec<String>,
    /// All of it, as it is signed.
    pub(super) parameters: String,
    pub(super) created: i64,
    pub(super) expires: Option<i64>,
    pub(super) key_id: String,
    pub(super) algorithm: Option<String>,
    /// The signature itself.
    pub(super) signature: Vec<u8>,
}

/// The signatures with our tag, each or why it is none.
pub(super) fn read(inputs: &str, signatures: &str) -> Result<Vec<Result<Input, Refusal>>, Refusal> {
    let (inputs, raw, signatures) = (dictionary(inputs)?, signatures, dictionary(signatures)?);
    if inputs.len() > SIGNATURES_MAX || signatures.len() > SIGNATURES_MAX {
        return Err(Refusal::TooMany);
    }
    let ours = inputs.iter().filter_map(|(label, entry)| match entry {
        ListEntry::InnerList(list) if text(&list.params, "tag") == Ok(Some(TAG.to_owned())) => {
            Some(input(list, signatures.get(label), raw))
        }
        _ => None,
    });
    Ok(ours.collect())
}

fn dictionary(field: &str) -> Result<Dictionary, Refusal> {
    if field.len() > FIELD_BYTES_MAX {
        return Err(Refusal::TooMany);
    }
    Parser::new(field).parse().map_err(|_| Refusal::Malformed)
}

fn input(list: &InnerList, signature: Option<&ListEntry>, raw: &str) -> Result<Input, Refusal> {
    let Some(ListEntry::Item(Item {
        bare_item: BareItem::ByteSequence(signature),
        ..
    })) = signature
    else {
        return Err(Refusal::Malformed);
    };
    // The parser forgives bits that no byte needs; then there would be several texts for one signature.
    if !raw.contains(&format!(":{}:", STANDARD.encode(signature))) {
        return Err(Refusal::Malformed);
    }
    let parameters = &list.params;
    let known = ["created", "expires", "keyid", "alg", "tag", "nonce"];
    if !parameters.keys().all(|name| known.contains(&name.as_str())) {
        return Err(Refusal::Unsupported);
    }
    let key_id = text(parameters, "keyid")?.ok_or(Refusal::NoKeyId)?;
    if key_id.len() > KEY_ID_BYTES_MAX {
        return Err(Refusal::Malformed);
    }
    Ok(Input {
        components: components(list)?,
        parameters: write(list).ok_or(Refusal::Malformed)?,
        created: number(parameters, "created")?.ok_or(Refusal::NoTime)?,
        expires: number(parameters, "expires")?,
        key_id,
        algorithm: text(parameters, "alg")?,
        signature: signature.clone(),
    })
}

/// The names of what is covered: methods and target URIs, and headers whole and as they are. No other component and no
/// parameter of one is supported (RFC 9421 section 2.1).
fn components(list: &InnerList) -> Result<Vec<String>, Refusal> {
    if list.items.len() > COMPONENTS_MAX {
        return Err(Refusal::TooMany);
    }
    let mut names: Vec<String> = Vec::with_capacity(list.items.len());
    for item in &list.items {
        let BareItem::String(name) = &item.bare_item else {
            return Err(Refusal::Malformed);
        };
        let name = name.as_str();
        let is_header = !name.is_empty()
            && name
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_".contains(&c));
        if !item.params.is_empty() || !(is_header || ["@method", "@target-uri"].contains(&name)) {
            return Err(Refusal::Unsupported);
        }
        if names.iter().any(|known| known == name) {
            return Err(Refusal::Malformed);
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// The parameters as they are signed: the canonical form of the list (RFC 9421 section 2.3).
pub(super) fn write(list: &InnerList) -> Option<String> {
    let mut list_of_one = ListSerializer::new();
    list_of_one.members([&ListEntry::InnerList(list.clone())]);
    list_of_one.finish()
}

fn text(parameters: &Parameters, name: &str) -> Result<Option<String>, Refusal> {
    match parameters.get(name) {
        None => Ok(None),
        Some(BareItem::String(text)) => Ok(Some(text.as_str().to_owned())),
        Some(_) => Err(Refusal::Malformed),
    }
}

fn number(parameters: &Parameters, name: &str) -> Result<Option<i64>, Refusal> {
    match parameters.get(name) {
        None => Ok(None),
        Some(BareItem::Integer(number)) => Ok(Some((*number).into())),
        Some(_) => Err(Refusal::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"s=("@method" "content-type");created=1618884473;expires=1618884773;keyid="k";alg="ed25519";tag="a2ad-push""#;

    fn one(inputs: &str) -> Result<Input, Refusal> {
        read(inputs, "s=:AAAA:, t=:AAEC:")?
            .pop()
            .unwrap_or(Err(Refusal::Unsigned))
    }

    #[test]
    fn what_it_says_is_read() {
        let input = one(GOOD).unwrap();
        assert_eq!(input.components, ["@method", "content-type"]);
        assert_eq!(format!("s={}", input.parameters), GOOD);
        assert_eq!(
            (input.created, input.expires),
            (1_618_884_473, Some(1_618_884_773))
        );
        assert_eq!(
            (input.key_id.as_str(), input.algorithm.as_deref()),
            ("k", Some("ed25519"))
        );
        assert_eq!(input.signature, [0, 0, 0]);
    }

    /// Spaces between the parts are not signed, and so are put right.
    #[test]
    fn the_parameters_are_in_their_canonical_form() {
        let spaced = GOOD.replace(" ", "   ").replace(';', ";  ");
        let input = one(&spaced).unwrap();
        assert_eq!(format!("s={}", input.parameters), GOOD);
    }

    #[test]
    fn signatures_for_other_purposes_are_passed_over() {
        let other = GOOD.replace("a2ad-push", "other").replace("s=", "t=");
        assert_eq!(one(&other).err(), Some(Refusal::Unsigned));
        let untagged = r#"t=("@method");created=1;keyid="k""#;
        for both in [
            format!("{other}, {GOOD}"),
            format!("{GOOD}, {untagged}"),
            format!("{GOOD}, t=1"),
        ] {
            assert_eq!(read(&both, "s=:AAAA:").unwrap().len(), 1, "{both}");
        }
        let twice = format!("{GOOD}, {}", GOOD.replace("s=", "t="));
        assert_eq!(read(&twice, "s=:AAAA:, t=:AAEC:").unwrap().len(), 2);
    }

    #[test]
    fn what_is_not_as_it_should_be_is_refused() {
        let with = |from: &str, to: &str| {
            assert!(GOOD.contains(from), "{from}");
            GOOD.replace(from, to)
        };
        for (bad, refusal) in [
            (GOOD[..GOOD.len() - 1].to_owned(), Refusal::Malformed),
            (with(r#"keyid="k";"#, ""), Refusal::NoKeyId),
            (with(r#"keyid="k""#, "keyid=k"), Refusal::Malformed),
            (
                with(r#""k""#, &format!("\"{}\"", "k".repeat(257))),
                Refusal::Malformed,
            ),
            (with("created=1618884473;", ""), Refusal::NoTime),
            (with("created=1618884473", "created=1.5"), Refusal::Malformed),
            (with("expires=1618884773", "expires=\"1\""), Refusal::Malformed),
            (with("expires=1618884773", "other=1"), Refusal::Unsupported),
            (with("alg=\"ed25519\"", "alg=ed25519"), Refusal::Malformed),
            (with("\"@method\"", "\"@path\""), Refusal::Unsupported),
            (with("\"@method\"", "\"@method\";req"), Refusal::Unsupported),
            (
                with("\"content-type\"", "\"content-type\";sf"),
                Refusal::Unsupported,
            ),
            (with("\"content-type\"", "\"Content-Type\""), Refusal::Unsupported),
            (with("\"content-type\"", "\"\""), Refusal::Unsupported),
            (with("\"content-type\"", "\"@method\""), Refusal::Malformed),
            (with("\"content-type\"", "content-type"), Refusal::Malformed),
            (with("s=(", "u=("), Refusal::Malformed),
            (with("tag=\"a2ad-push\"", "tag=a2ad-push"), Refusal::Unsigned),
        ] {
            assert_eq!(one(&bad).err(), Some(refusal), "{bad}");
        }
        assert_eq!(one("").err(), Some(Refusal::Unsigned));
        let not_bytes = read(GOOD, "s=1").unwrap().pop().unwrap();
        assert_eq!(not_bytes.err(), Some(Refusal::Malformed));
    }

    #[test]
    fn there_is_an_end_to_what_is_looked_at() {
        let many: Vec<String> = (0..9).map(|n| format!("s{n}=1")).collect();
        assert_eq!(read(&many.join(","), "").err(), Some(Refusal::TooMany));
        assert_eq!(read(&many[..8].join(","), "").map(|all| all.len()), Ok(0));
        assert_eq!(read("", &many.join(",")).err(), Some(Refusal::TooMany));
        let long = format!("s=\"{}\"", "x".repeat(8_190));
        assert_eq!(read(&long, "").err(), Some(Refusal::TooMany));
        let wide: Vec<String> = (0..33).map(|n| format!("\"x{n}\"")).collect();
        let wide = GOOD.replace("\"@method\" \"content-type\"", &wide.join(" "));
        assert_eq!(one(&wide).err(), Some(Refusal::TooMany));
    }
}
