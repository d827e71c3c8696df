//! Exchanges of HTTP, as they are sent and as they come.

use std::sync::{Mutex, PoisonError};

use a2ad::client::wire::{Exchange, Seen, Way};
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::Wire;
use super::text::Text;

/// Tells one exchange.
pub struct Wiretap {
    wire: Wire,
    out: Mutex<Body>,
    back: Mutex<Body>,
}

/// How a body is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// As one text, when all of it is there.
    #[default]
    Whole,
    /// Line by line, as they come: a stream.
    Lines,
    /// By its size: the messages in it are told beside it.
    Frames,
}

/// A body that is on its way.
#[derive(Debug, Default)]
struct Body {
    form: Form,
    text: Text,
    bytes: usize,
}

impl Wiretap {
    pub fn new(wire: Wire) -> Self {
        Self {
            wire,
            out: Mutex::default(),
            back: Mutex::default(),
        }
    }

    fn body(&self, way: Way, then: impl FnOnce(&mut Body)) {
        let body = match way {
            Way::Out => &self.out,
            Way::In => &self.back,
        };
        then(&mut body.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn begin(&self, way: Way, headers: &HeaderMap) {
        self.wire.say_headers(sign(way), headers);
        let kind = headers
            .get(CONTENT_TYPE)
            .map_or(&b""[..], |value| value.as_bytes());
        self.body(way, |body| {
            body.form = match kind {
                kind if kind.starts_with(b"application/grpc") => Form::Frames,
                kind if kind.starts_with(b"text/event-stream") => Form::Lines,
                _ => Form::Whole,
            };
        });
    }

    fn data(&self, way: Way, data: &[u8]) {
        self.body(way, |body| {
            body.bytes += data.len();
            match body.form {
                Form::Frames => {}
                Form::Whole => body.text.push(data, &self.wire.secrets),
                Form::Lines => {
                    for piece in data.split_inclusive(|byte| *byte == b'\n') {
                        let line = piece.strip_suffix(b"\n");
                        let text = line.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
                        body.text.push(text.unwrap_or(piece), &self.wire.secrets);
                        if line.is_some() {
                            self.tell(way, &mut body.text);
                        }
                    }
                }
            }
        });
    }

    fn end(&self, way: Way) {
        self.body(way, |body| {
            self.tell(way, &mut body.text);
            if body.form == Form::Frames && body.bytes > 0 {
                self.wire
                    .say(&format!("{} frames of gRPC, {} bytes", sign(way), body.bytes));
            }
        });
    }

    fn tell(&self, way: Way, text: &mut Text) {
        if let Some(text) = text.take(&self.wire.secrets) {
            self.wire.say(&format!("{} {text}", sign(way)));
        }
    }
}

impl Exchange for Wiretap {
    fn see(&self, seen: Seen<'_>) {
        match seen {
            Seen::Request(head) => {
                self.wire.say(&format!("> {} {}", head.method, head.uri));
                self.begin(Way::Out, &head.headers);
            }
            Seen::Response(head) => {
                self.wire.say(&format!("< {:?} {}", head.version, head.status));
                self.begin(Way::In, &head.headers);
            }
            Seen::Data(way, data) => self.data(way, data),
            Seen::Trailers(trailers) => self.wire.say_headers('<', trailers),
            Seen::End(way) => self.end(way),
        }
    }
}

fn sign(way: Way) -> char {
    match way {
        Way::Out => '>',
        Way::In => '<',
    }
}
