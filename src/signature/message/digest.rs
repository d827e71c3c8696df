//! The digest of a body in a header (RFC 9530).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sfv::{BareItem, Dictionary, ListEntry, Parser};

/// The digest of a body.
pub(super) fn of(body: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, body).as_ref());
    bytes
}

/// The header for a digest.
pub(super) fn write(digest: &[u8; 32]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(digest))
}

/// The SHA-256 of a header; other algorithms may stand beside it.
pub(super) fn read(text: &str) -> Option<[u8; 32]> {
    let members: Dictionary = Parser::new(text).parse().ok()?;
    match members.get("sha-256")? {
        ListEntry::Item(item) if item.params.is_empty() => match &item.bare_item {
            BareItem::ByteSequence(bytes) => bytes.as_slice().try_into().ok(),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9530 appendix B and RFC 9421 appendix B.2.
    #[test]
    fn the_digest_of_the_example_is_that_of_the_rfc() {
        let digest = of(br#"{"hello": "world"}"#);
        assert_eq!(
            write(&digest),
            "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"
        );
        assert_eq!(read(&write(&digest)), Some(digest));
        let more = format!("md5=:AAAA:, {}, x=1", write(&digest));
        assert_eq!(read(&more), Some(digest));
    }

    #[test]
    fn what_is_no_digest_is_none() {
        let good = write(&of(b""));
        for bad in [
            "",
            "sha-256",
            "sha-256=1",
            "sha-256=:AAAA:",
            "sha-512=:AAAA:",
            "sha-256=(:AAAA:)",
            &good[..good.len() - 1],
            &format!("{good};a"),
            &format!("{good},"),
            &good.to_uppercase(),
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
