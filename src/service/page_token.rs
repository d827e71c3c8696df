//! Page tokens: where a listing goes on, sealed so that only the same caller can use them for the same listing.

use aws_lc_rs::{hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::context::Scope;
use crate::error::Error;
use crate::repository::{ListCursor, ListQuery};

/// Bytes of the authentication tag that go out: 128 bits.
const TAG_BYTES: usize = 16;
const TIME_BYTES: usize = 8;

/// Seals and opens page tokens.
pub(super) struct PageTokens(hmac::Key);

impl PageTokens {
    /// With the configured key, or with a random one: tokens then end with the process.
    pub(super) fn new(key: Option<[u8; 32]>) -> Result<Self, Error> {
        let key = match key {
            Some(key) => key,
            None => {
                let mut random = [0; 32];
                rand::fill(&mut random).map_err(|error| Error::internal(&error))?;
                random
            }
        };
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    /// The token that goes on behind `cursor`: time and id of the last task seen, then a tag over these, the caller
    /// and the filters.
    pub(super) fn seal(&self, scope: &Scope, query: &ListQuery, cursor: &ListCursor) -> String {
        let mut token = cursor.status_ms.to_be_bytes().to_vec();
        token.extend_from_slice(cursor.task_id.as_bytes());
        let tag = hmac::sign(&self.0, &bound(scope, query, &token));
        token.extend_from_slice(&tag.as_ref()[..TAG_BYTES]);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The place of a token; `None` unless it was made here, for this caller and these filters.
    pub(super) fn open(&self, scope: &Scope, query: &ListQuery, token: &str) -> Option<ListCursor> {
        let token = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (place, tag) = token.split_at_checked(token.len().checked_sub(TAG_BYTES)?)?;
        let expected = hmac::sign(&self.0, &bound(scope, query, place));
        aws_lc_rs::constant_time::verify_slices_are_equal(&expected.as_ref()[..TAG_BYTES], tag).ok()?;
        let (time, id) = place.split_at_checked(TIME_BYTES)?;
        Some(ListCursor {
            status_ms: i64::from_be_bytes(time.try_into().ok()?),
            task_id: String::from_utf8(id.to_vec()).ok()?,
        })
    }
}

/// What the tag covers. Every field is preceded by its length, so that no two listings look the same.
fn bound(scope: &Scope, query: &ListQuery, place: &[u8]) -> Vec<u8> {
    let state = query.state.map(i32::from).unwrap_or_default().to_be_bytes();
    let after = query.status_after_ms.unwrap_or(i64::MIN).to_be_bytes();
    let context = query.context_id.as_deref().unwrap_or_default().as_bytes();
    let fields = [
        scope.agent.as_bytes(),
        scope.owner.as_str().as_bytes(),
        context,
        &state,
        &after,
        place,
    ];
    let mut covered = Vec::with_capacity(fields.iter().map(|field| field.len() + 8).sum());
    for field in fields {
        covered.extend_from_slice(&(field.len() as u64).to_be_bytes());
        covered.extend_from_slice(field);
    }
    covered
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::context::Principal;

    fn scope(owner: &str) -> Scope {
        Scope {
            agent: Arc::from("echo"),
            owner: Principal::verified(owner),
        }
    }

    #[test]
    fn a_token_opens_only_for_its_caller_its_filters_and_unchanged() {
        let tokens = PageTokens::new(None).unwrap();
        let query = ListQuery {
            context_id: Some("c".into()),
            ..ListQuery::default()
        };
        let cursor = ListCursor {
            status_ms: 1_700_000_000_123,
            task_id: "t-1".into(),
        };
        let token = tokens.seal(&scope("a"), &query, &cursor);
        assert_eq!(tokens.open(&scope("a"), &query, &token), Some(cursor));
        assert_eq!(tokens.open(&scope("b"), &query, &token), None);
        assert_eq!(tokens.open(&scope("a"), &ListQuery::default(), &token), None);
        assert_eq!(
            PageTokens::new(None).unwrap().open(&scope("a"), &query, &token),
            None
        );
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                tokens.open(&scope("a"), &query, &URL_SAFE_NO_PAD.encode(flipped)),
                None,
                "bit {bit}"
            );
        }
        for junk in ["", "a", "====", "AAAA", &"A".repeat(10_000)] {
            assert_eq!(tokens.open(&scope("a"), &query, junk), None);
        }
    }
}
