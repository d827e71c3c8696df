//! Bodies with uploads, without a connection.

use std::time::Duration;

use http_body::Body as _;
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use prost::Message as _;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::body::{CHUNK_BYTES, Segments};
use super::*;
use crate::pb::{SendMessageConfiguration, Struct, json};

mod ends;
mod files;

/// Bytes in memory, which may be others than it says.
#[derive(Clone, Debug)]
struct Memory {
    length: u64,
    bytes: Vec<u8>,
    fails: bool,
}

impl Memory {
    fn new(bytes: Vec<u8>) -> Self {
        Self {
            length: bytes.len() as u64,
            bytes,
            fails: false,
        }
    }
}

#[async_trait]
impl Content for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn length(&self) -> u64 {
        self.length
    }

    async fn open(&self) -> io::Result<ContentReader> {
        if self.fails {
            return Err(io::Error::other("the disk is gone"));
        }
        // Two bytes at once in the beginning: a piece is filled by as many reads as it takes.
        let (first, rest) = self.bytes.split_at(self.bytes.len().min(2));
        let first = io::Cursor::new(first.to_vec());
        Ok(Box::pin(first.chain(io::Cursor::new(rest.to_vec()))))
    }
}

fn limits() -> Limits {
    Limits {
        idle: Duration::from_secs(60),
        answer: Duration::from_secs(300),
    }
}

/// A message of these parts, as it is sent with uploads, and as it would be sent whole.
fn both(
    parts: &[(Part, Option<Vec<u8>>)],
    more: SendMessageRequest,
) -> (Request, Uploads, SendMessageRequest) {
    let (mut message, mut uploads) = (more.message.clone().unwrap_or_default(), Uploads::default());
    let mut whole = message.clone();
    for (part, bytes) in parts {
        whole.parts.push(part.clone());
        match bytes {
            Some(bytes) => {
                uploads.attach(&mut message, part.clone(), Memory::new(bytes.clone()));
                let raw = part::Content::Raw(bytes.clone().into());
                whole.parts.last_mut().unwrap().content = Some(raw);
            }
            None => message.parts.push(part.clone()),
        }
    }
    let of = |message| SendMessageRequest {
        message: Some(message),
        ..more.clone()
    };
    (Request::SendMessage(of(message)), uploads, of(whole))
}

fn file(filename: &str) -> Part {
    Part {
        filename: filename.to_owned(),
        ..Part::default()
    }
}

/// One upload of a content.
fn one(content: Memory) -> (Request, Uploads) {
    let (mut message, mut uploads) = (Message::default(), Uploads::default());
    uploads.attach(&mut message, file("f"), content);
    let request = SendMessageRequest {
        message: Some(message),
        ..SendMessageRequest::default()
    };
    (Request::SendMessage(request), uploads)
}

fn cut(mut request: Request, uploads: &Uploads) -> Segments {
    let marks = Marks::place(uploads, &mut request).unwrap();
    let Request::SendMessage(request) = request else {
        panic!("it is a send");
    };
    match marks.cut(json::to_vec(&request).unwrap()).unwrap() {
        Text::Pieces(segments) => segments,
        Text::Whole(text) => {
            let mut segments = Segments::default();
            segments.text(text.into());
            segments
        }
    }
}

/// All that goes out, whose length was told beforehand.
async fn collected(segments: Segments) -> Result<Vec<u8>, ContentError> {
    let (body, _sending) = segments.body(&Pace::default(), limits());
    let length = body.size_hint().exact().unwrap();
    let bytes = body.collect().await?.to_bytes();
    assert_eq!(bytes.len() as u64, length);
    Ok(bytes.into())
}

fn parts() -> impl Strategy<Value = Vec<(Part, Option<Vec<u8>>)>> {
    let length = prop_oneof![
        Just(0),
        0..300_usize,
        CHUNK_BYTES as usize - 2..CHUNK_BYTES as usize + 3,
        Just(2 * CHUNK_BYTES as usize),
        Just(200_000),
    ];
    let bytes = (length, any::<u8>()).prop_map(|(length, seed)| {
        let byte = |index: usize| (index as u8).wrapping_mul(31).wrapping_add(seed);
        (0..length).map(byte).collect::<Vec<u8>>()
    });
    let part =
        ("[a-zé\"]{0,9}", "[a-z/]{0,9}", any::<bool>()).prop_map(|(filename, text, has_metadata)| Part {
            content: Some(part::Content::Text(text.clone())),
            media_type: text,
            filename,
            metadata: has_metadata.then(|| Struct {
                fields: [("k".to_owned(), prost_types::Value::from("v"))].into(),
            }),
        });
    prop::collection::vec((part, prop::option::of(bytes)), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_goes_out_is_what_would_go_out_whole(
        parts in parts(),
        (tenant, id) in ("[a-z]{0,5}", "[a-z]{0,200}"),
        is_configured in any::<bool>(),
    ) {
        let more = SendMessageRequest {
            tenant,
            message: Some(Message { message_id: id, ..Message::default() }),
            configuration: is_configured.then(SendMessageConfiguration::default),
            metadata: is_configured.then(Struct::default),
        };
        let (request, uploads, whole) = both(&parts, more);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let frame = runtime.block_on(collected(framed(&request, &uploads).unwrap())).unwrap();
        let (head, message) = frame.split_at(5);
        prop_assert_eq!(head[0], 0);
        prop_assert_eq!(u32::from_be_bytes(head[1..].try_into().unwrap()) as usize, message.len());
        prop_assert_eq!(message.len(), whole.encoded_len());
        prop_assert!(SendMessageRequest::decode(message).unwrap() == whole);
        let text = runtime.block_on(collected(cut(request, &uploads))).unwrap();
        prop_assert!(text == json::to_vec(&whole).unwrap());
    }
}

#[tokio::test]
async fn what_is_not_the_whole_content_never_looks_like_it() {
    let whole = Memory::new(vec![7; 2 * CHUNK_BYTES as usize]);
    for (content, said) in [
        (
            Memory {
                length: whole.length + 1,
                ..whole.clone()
            },
            "less than the 98305 bytes",
        ),
        (
            Memory {
                length: whole.length - 1,
                ..whole.clone()
            },
            "more than the 98303 bytes",
        ),
        (
            Memory {
                length: CHUNK_BYTES,
                ..whole.clone()
            },
            "more than the 49152 bytes",
        ),
        (Memory { fails: true, ..whole }, "the disk is gone"),
    ] {
        let (request, uploads) = one(content);
        for segments in [framed(&request, &uploads).unwrap(), cut(request, &uploads)] {
            let (mut body, mut sending) = segments.body(&Pace::default(), limits());
            let length = body.size_hint().exact().unwrap();
            let mut sent = 0;
            let error = loop {
                match body.frame().await.expect("it does not end well") {
                    Ok(frame) => sent += frame.into_data().unwrap().len() as u64,
                    Err(error) => break error,
                }
            };
            assert!(sent < length, "{said}: {sent}");
            assert!(!body.is_end_stream(), "{said}");
            assert!(error.to_string().contains(said), "{error}");
            // However the exchange ends, the file is what it is about.
            let broken = Error::Interrupted {
                address: String::new(),
                cause: String::new(),
            };
            let ended = sending.answered::<()>(async { Err(broken) }).await.unwrap_err();
            assert!(
                matches!(&ended, Error::Content { name, .. } if name == "memory"),
                "{ended}"
            );
            assert!(ended.is_unsent() && !ended.is_transient());
        }
    }
}

#[test]
fn uploads_belong_to_a_message_and_a_frame_has_its_limit() {
    let (request, uploads) = one(Memory {
        length: u64::from(u32::MAX) - 100,
        ..Memory::new(Vec::new())
    });
    assert!(framed(&request, &uploads).is_ok());
    for length in [u64::from(u32::MAX), u64::MAX] {
        let (request, uploads) = one(Memory {
            length,
            ..Memory::new(Vec::new())
        });
        let error = framed(&request, &uploads).unwrap_err();
        assert!(error.to_string().contains("JSON-RPC"), "{error}");
    }
    let (request, uploads) = one(Memory::new(vec![1]));
    let get = Request::GetTask(crate::pb::GetTaskRequest::default());
    let other = Request::SendMessage(SendMessageRequest::default());
    let mut filled = request.clone();
    uploads
        .message(&mut filled)
        .unwrap()
        .message
        .as_mut()
        .unwrap()
        .parts[0]
        .content = Some(part::Content::Text("x".to_owned()));
    for (mut request, is_sendable) in [(request, true), (get, false), (other, false), (filled, false)] {
        assert_eq!(framed(&request, &uploads).is_ok(), is_sendable);
        assert_eq!(Marks::place(&uploads, &mut request).is_ok(), is_sendable);
    }
}

#[tokio::test(start_paused = true)]
async fn time_counts_from_what_went_out_last() {
    let pace = Pace::default();
    let limit = Duration::from_secs(10);
    let began = Instant::now();
    let work = async {
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_secs(9)).await;
            pace.note();
        }
        std::future::pending::<()>().await;
    };
    assert!(pace.within(limit, work).await.is_none());
    assert_eq!(began.elapsed().as_secs(), 5 * 9 + 10);
    assert_eq!(pace.within(Duration::MAX, async { 1 }).await, Some(1));
    assert!(pace.within(limit, std::future::pending::<()>()).await.is_none());
}
