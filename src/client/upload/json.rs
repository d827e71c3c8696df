//! Uploads in JSON: the request is written with marks in the place of the contents, and cut at them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::body::{Coding, Segments};
use super::{Content, Uploads};
use crate::client::{Error, Request};
use crate::pb::part;

/// Random bytes of a mark. A multiple of three: base64 of them has no padding.
const MARK_BYTES: usize = 24;

/// The text of a request.
pub(in crate::client) enum Text {
    /// All of it.
    Whole(Vec<u8>),
    /// Pieces of it, with contents between them.
    Pieces(Segments),
}

/// What stands in a text for the contents, in their order. Nobody can guess it, so that nothing else in the text is taken for
/// it.
pub(in crate::client) struct Marks(Vec<(String, Arc<dyn Content>)>);

impl Marks {
    /// Puts a mark into each part that is uploaded.
    ///
    /// # Errors
    /// [`Error::Unsendable`] when the uploads are not those of the request.
    pub(in crate::client) fn place(uploads: &Uploads, request: &mut Request) -> Result<Self, Error> {
        if uploads.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let message = &mut uploads.message(request)?.message;
        let parts = message.as_mut().map(|message| &mut message.parts[..]);
        let parts = parts.unwrap_or_default().iter_mut().enumerate();
        let mut marks = Vec::new();
        for (index, part) in parts {
            if let Some(content) = uploads.of(index) {
                let random = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes);
                let mark = Bytes::copy_from_slice(&random.concat()[..MARK_BYTES]);
                marks.push((STANDARD.encode(&mark), content.clone()));
                part.content = Some(part::Content::Raw(mark));
            }
        }
        Ok(Self(marks))
    }

    /// Cuts what was written at the marks.
    ///
    /// # Errors
    /// [`Error::Unsendable`] when a mark is not in it.
    pub(in crate::client) fn cut(self, json: Vec<u8>) -> Result<Text, Error> {
        if self.0.is_empty() {
            return Ok(Text::Whole(json));
        }
        let json = Bytes::from(json);
        let text = std::str::from_utf8(&json).map_err(|_| lost())?;
        let mut segments = Segments::default();
        let mut from = 0;
        for (mark, content) in self.0 {
            let at = from + text[from..].find(&mark).ok_or_else(lost)?;
            segments.text(json.slice(from..at));
            segments.content(content, Coding::Base64);
            from = at + mark.len();
        }
        segments.text(json.slice(from..));
        Ok(Text::Pieces(segments))
    }
}

fn lost() -> Error {
    Error::Unsendable("its JSON has no place for the uploads".to_owned())
}
