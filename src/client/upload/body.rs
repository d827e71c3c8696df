//! A request as segments: text that is there, and contents that are read while they are sent.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use http_body::{Body, Frame, SizeHint};
use tokio::io::AsyncReadExt as _;

use super::sending::{Limits, Progress, Sending};
use super::{Content, ContentReader, Pace};

/// Bytes that are read at once. A multiple of three, so that pieces of base64 fit together; as text they are 64 KiB.
pub(super) const CHUNK_BYTES: u64 = 48 << 10;

/// Why a content is not sent to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} can't be sent: {cause}")]
pub(in crate::client) struct ContentError {
    pub(in crate::client) name: String,
    pub(in crate::client) cause: String,
}

/// How the bytes of a content are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    Base64,
}

#[derive(Debug)]
enum Segment {
    Text(Bytes),
    Content(Arc<dyn Content>, Coding),
}

/// What a request consists of, in order.
#[derive(Debug, Default)]
pub(in crate::client) struct Segments {
    list: VecDeque<Segment>,
    length: u64,
}

impl Segments {
    pub(super) fn text(&mut self, text: Bytes) {
        self.length += text.len() as u64;
        self.list.push_back(Segment::Text(text));
    }

    pub(super) fn content(&mut self, content: Arc<dyn Content>, coding: Coding) {
        let length = content.length();
        self.length = self.length.saturating_add(match coding {
            Coding::Plain => length,
            Coding::Base64 => length.div_ceil(3).saturating_mul(4),
        });
        self.list.push_back(Segment::Content(content, coding));
    }

    /// All of them as a body, and who watches it. It is read no further once nobody watches any more.
    pub(in crate::client) fn body(self, pace: &Pace, limits: Limits) -> (SegmentsBody, Sending) {
        let (progress, sending) = Progress::begin(pace.clone(), limits);
        let left = self.length;
        let source = Source {
            segments: self.list,
            open: None,
            left,
            progress,
        };
        let chunks = unfold(source, |mut source| async move {
            let item = source.next().await?;
            Some((item, source))
        });
        let body = SegmentsBody {
            chunks: Box::pin(chunks),
            left,
        };
        (body, sending)
    }
}

/// A body that is read while it is sent. Its length is known.
pub(in crate::client) struct SegmentsBody {
    chunks: Pin<Box<dyn Stream<Item = Result<Bytes, ContentError>> + Send>>,
    left: u64,
}

impl Body for SegmentsBody {
    type Data = Bytes;
    type Error = ContentError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ContentError>>> {
        let item = std::task::ready!(self.chunks.as_mut().poll_next(context));
        if let Some(Ok(bytes)) = &item {
            self.left = self.left.saturating_sub(bytes.len() as u64);
        }
        Poll::Ready(item.map(|chunk| chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Where the chunks of a body come from.
struct Source {
    segments: VecDeque<Segment>,
    open: Option<Open>,
    left: u64,
    progress: Progress,
}

impl Source {
    async fn next(&mut self) -> Option<Result<Bytes, ContentError>> {
        let progress = self.progress.clone();
        let chunk = tokio::select! {
            biased;
            () = progress.given_up() => return Some(Err(unwanted())),
            chunk = self.chunk() => chunk,
        };
        match chunk {
            Ok(None) => None,
            Ok(Some(chunk)) => {
                self.left = self.left.saturating_sub(chunk.len() as u64);
                // It may have been given up while the piece was read.
                Some(
                    self.progress
                        .moved(self.left == 0)
                        .then_some(chunk)
                        .ok_or_else(unwanted),
                )
            }
            Err(error) => {
                self.progress.failed(error.clone());
                Some(Err(error))
            }
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, ContentError> {
        loop {
            let chunk = match &mut self.open {
                Some(open) => {
                    self.progress.reading(&open.content);
                    let chunk = open.chunk().await?;
                    if open.left == 0 {
                        self.open = None;
                    }
                    chunk
                }
                None => match self.segments.pop_front() {
                    None => return Ok(None),
                    Some(Segment::Text(text)) => text,
                    Some(Segment::Content(content, coding)) => {
                        self.progress.reading(&content);
                        self.open = Some(Open::begin(content, coding).await?);
                        continue;
                    }
                },
            };
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
        }
    }
}

/// A content that is being read.
struct Open {
    content: Arc<dyn Content>,
    coding: Coding,
    reader: ContentReader,
    left: u64,
}

impl Open {
    async fn begin(content: Arc<dyn Content>, coding: Coding) -> Result<Self, ContentError> {
        let opened = content.open().await;
        let reader = opened.map_err(|error| broken(&*content, &error))?;
        Ok(Self {
            left: content.length(),
            content,
            coding,
            reader,
        })
    }

    /// The next piece. The last one is given away only when nothing comes behind it, so that what is not the whole content
    /// never looks like it.
    async fn chunk(&mut self) -> Result<Bytes, ContentError> {
        let mut piece = vec![0; self.left.min(CHUNK_BYTES) as usize];
        let read = self.reader.read_exact(&mut piece).await;
        read.map_err(|error| broken(&*self.content, &error))?;
        self.left -= piece.len() as u64;
        if self.left == 0 {
            let more = self.reader.read(&mut [0]).await;
            if more.map_err(|error| broken(&*self.content, &error))? > 0 {
                return Err(changed(&*self.content, "more"));
            }
        }
        Ok(match self.coding {
            Coding::Plain => piece.into(),
            Coding::Base64 => STANDARD.encode(piece).into(),
        })
    }
}

fn unwanted() -> ContentError {
    ContentError {
        name: "the request".to_owned(),
        cause: "nobody waits for its answer any more".to_owned(),
    }
}

fn broken(content: &dyn Content, error: &io::Error) -> ContentError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return changed(content, "less");
    }
    ContentError {
        name: content.name().to_owned(),
        cause: error.to_string(),
    }
}

fn changed(content: &dyn Content, how: &str) -> ContentError {
    let length = content.length();
    ContentError {
        name: content.name().to_owned(),
        cause: format!(
            "it has {how} than the {length} bytes that it had before; send it again when nothing writes to it"
        ),
    }
}
