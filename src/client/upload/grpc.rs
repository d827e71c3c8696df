//! Uploads in gRPC: a message of protobuf around contents that are not there. The fields of a message may come in any order,
//! and lengths can be told beforehand.

use std::mem::take;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use prost::encoding::{encode_varint, encoded_len_varint};

use super::body::{Coding, Segments};
use super::{Content, Uploads};
use crate::client::{Error, Request};
use crate::pb::{Message, Part, SendMessageRequest, part};

/// The most bytes of a message: its frame tells the length in four bytes.
const MESSAGE_BYTES_MAX: u64 = u32::MAX as u64;

/// The request in its frame, with the contents in their places.
///
/// # Errors
/// [`Error::Unsendable`] when the uploads are not those of the request, or all of it is too long for a frame.
pub(in crate::client) fn framed(request: &Request, uploads: &Uploads) -> Result<Segments, Error> {
    let mut request = request.clone();
    let rest = uploads.message(&mut request)?;
    let mut message = rest.message.take().unwrap_or_default();
    let parts = parts(take(&mut message.parts), uploads);
    let message_bytes = (message.encoded_len() as u64).saturating_add(parts.length);
    let mut head = BytesMut::new();
    rest.encode_raw(&mut head);
    head.put(key(&SendMessageRequest {
        message: Some(Message::default()),
        ..SendMessageRequest::default()
    }));
    encode_varint(message_bytes, &mut head);
    message.encode_raw(&mut head);
    let length = (head.len() as u64).saturating_add(parts.length);
    let length = u32::try_from(length).map_err(|_| too_long(length))?;
    let mut frame = BytesMut::new();
    // Not compressed.
    frame.put_u8(0);
    frame.put_u32(length);
    frame.put(head);
    let mut segments = Segments::default();
    for piece in parts.list {
        match piece {
            Piece::Text(text) => frame.put(text),
            Piece::Content(content) => {
                segments.text(take(&mut frame).freeze());
                segments.content(content, Coding::Plain);
            }
        }
    }
    segments.text(frame.freeze());
    Ok(segments)
}

enum Piece {
    Text(BytesMut),
    Content(Arc<dyn Content>),
}

struct Pieces {
    list: Vec<Piece>,
    length: u64,
}

/// The parts as they stand in a message, each with its key and its length.
fn parts(parts: Vec<Part>, uploads: &Uploads) -> Pieces {
    let part_key = key(&Message {
        parts: vec![Part::default()],
        ..Message::default()
    });
    let raw_key = key(&Part {
        content: Some(part::Content::Raw(Bytes::new())),
        ..Part::default()
    });
    let (mut list, mut text, mut length) = (Vec::new(), BytesMut::new(), 0_u64);
    for (index, mut part) in parts.into_iter().enumerate() {
        text.put(part_key.clone());
        let Some(content) = uploads.of(index) else {
            encode_varint(part.encoded_len() as u64, &mut text);
            part.encode_raw(&mut text);
            continue;
        };
        part.content = None;
        let raw = content.length();
        let around = part.encoded_len() + raw_key.len() + encoded_len_varint(raw);
        encode_varint(raw.saturating_add(around as u64), &mut text);
        part.encode_raw(&mut text);
        text.put(raw_key.clone());
        encode_varint(raw, &mut text);
        length = length.saturating_add(text.len() as u64).saturating_add(raw);
        list.push(Piece::Text(take(&mut text)));
        list.push(Piece::Content(content.clone()));
    }
    length = length.saturating_add(text.len() as u64);
    list.push(Piece::Text(text));
    Pieces { list, length }
}

/// The key of the one field that is set, and empty: the number and kind of the field, as it is written before its length.
fn key(message: &impl prost::Message) -> Bytes {
    let mut bytes = message.encode_to_vec();
    // The length of nothing.
    bytes.pop();
    bytes.into()
}

fn too_long(length: u64) -> Error {
    Error::Unsendable(format!(
        "it has {length} bytes, and a message of gRPC at most {MESSAGE_BYTES_MAX}; send it by JSON-RPC or HTTP+JSON, or give \
         the agent a URL of the file"
    ))
}
