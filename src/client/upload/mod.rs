//! Parts whose bytes are not in memory: a file of any size goes out in chunks, on every binding.
//!
//! A call carries its [`Uploads`] beside the request, whose parts are empty, so that copies, layers and interceptors cost
//! nothing. The JSON bindings (`json`) write the request with marks in the place of the parts and cut it there, gRPC (`grpc`)
//! frames it around them; both make a list of segments, of which one chunk at a time is read when the connection has room
//! (`body`). `sending` watches a body go out, and [`Pace`] is what limits of time count from.

mod body;
mod file;
mod grpc;
mod json;
mod pace;
mod sending;

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncRead;

use super::{Call, Client, Error, EventStream, Request};
use crate::pb::{Message, Part, SendMessageRequest, SendMessageResponse, part};

pub use file::FileContent;
pub use pace::Pace;

pub(super) use body::{ContentError, SegmentsBody};
pub(super) use grpc::framed;
pub(super) use json::{Marks, Text};
pub(super) use sending::{Limits, Sending, SwappedBody};

/// What the bytes of a content are read from.
pub type ContentReader = Pin<Box<dyn AsyncRead + Send>>;

/// The bytes of one part, which are read while they are sent.
#[async_trait]
pub trait Content: fmt::Debug + Send + Sync + 'static {
    /// What it is called in errors: the path of a file.
    fn name(&self) -> &str;

    /// How many bytes it has. It does not change.
    fn length(&self) -> u64;

    /// Begins to read it, from its start. That is done once for each attempt; a call may be made again. Its end is read
    /// before its last piece is given away: what is found out there still keeps the request from becoming whole.
    ///
    /// # Errors
    /// Why it can't be read, or is no longer what it was. The call ends with it ([`Error::Content`]).
    async fn open(&self) -> io::Result<ContentReader>;
}

/// The parts of one message that are read while they are sent. Clones share their contents.
///
/// ```no_run
/// # use a2ad::client::upload::{FileContent, Uploads};
/// # use a2ad::client::{Client, Error};
/// # use a2ad::pb::{Message, Part, Role, SendMessageRequest};
/// # async fn send(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let mut message = Message {
///     message_id: "m-1".to_owned(),
///     role: Role::User.into(),
///     ..Message::default()
/// };
/// let part = Part {
///     filename: "video.mp4".to_owned(),
///     media_type: "video/mp4".to_owned(),
///     ..Part::default()
/// };
/// let mut uploads = Uploads::default();
/// uploads.attach(&mut message, part, FileContent::of("video.mp4").await?);
/// let request = SendMessageRequest {
///     message: Some(message),
///     ..SendMessageRequest::default()
/// };
/// client.send_with(request, uploads).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Uploads {
    /// By the index of the part, in ascending order.
    list: Vec<(usize, Arc<dyn Content>)>,
    pace: Pace,
}

impl Uploads {
    /// Adds `part` to the message: its name, media type and metadata, with the bytes of `content` as its `raw`.
    pub fn attach(&mut self, message: &mut Message, part: Part, content: impl Content) {
        let index = message.parts.len();
        message.parts.push(Part {
            content: Some(part::Content::Raw(Bytes::new())),
            ..part
        });
        self.list.push((index, Arc::new(content)));
        self.list.sort_by_key(|(index, _)| *index);
    }

    /// The same, telling `pace` what goes out.
    #[must_use]
    pub fn paced(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Each content with the index of its part.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Arc<dyn Content>)> {
        self.list.iter().map(|(index, content)| (*index, content))
    }

    /// What the time of the call counts from.
    pub(super) fn pace(&self) -> &Pace {
        &self.pace
    }

    fn of(&self, part: usize) -> Option<&Arc<dyn Content>> {
        let found = self.list.binary_search_by_key(&part, |(index, _)| *index).ok()?;
        Some(&self.list[found].1)
    }

    /// The message that they belong to.
    ///
    /// # Errors
    /// [`Error::Unsendable`] when a part is missing or holds something of its own.
    fn message<'a>(&self, request: &'a mut Request) -> Result<&'a mut SendMessageRequest, Error> {
        let wrong =
            |what: String| Error::Unsendable(format!("{what}; attach uploads to the message that is sent"));
        let method = request.method();
        let (Request::SendMessage(request) | Request::SendStreamingMessage(request)) = request else {
            return Err(wrong(format!("{} has no parts to upload", method.as_str())));
        };
        let parts = request.message.as_ref().map_or(&[][..], |message| &message.parts);
        let is_empty = |index: usize| {
            let content = parts.get(index).and_then(|part| part.content.as_ref());
            matches!(content, Some(part::Content::Raw(raw)) if raw.is_empty())
        };
        let is_twice = self.list.windows(2).any(|pair| pair[0].0 == pair[1].0);
        match self.list.iter().find(|(index, _)| !is_empty(*index)) {
            Some((index, _)) => Err(wrong(format!("part {index} of the message is not one to upload"))),
            None if is_twice => Err(wrong("a part is to be uploaded twice".to_owned())),
            None => Ok(request),
        }
    }
}

impl Client {
    /// Sends a message with uploads, and waits as the request says. Their bytes are read while they are sent, a few chunks
    /// of 48 KiB ahead of what the agent has taken. By gRPC the whole request has at most 4 GiB - 1 byte; the JSON
    /// bindings have no limit on this side.
    ///
    /// The time of the call ([`ClientSettings::timeout`](super::ClientSettings::timeout)) counts from the last piece that
    /// went out; while pieces go out, none may take longer than
    /// [`ClientSettings::upload_idle_timeout`](super::ClientSettings::upload_idle_timeout). It has a connection of its own,
    /// which is one of [`ClientSettings::connections_max`](super::ClientSettings::connections_max).
    ///
    /// # Errors
    /// See [`Error`]; [`Error::Content`] when a content can't be read, takes too long to be, or has changed,
    /// [`Error::Stalled`] when the agent takes no more of it for too long, [`Error::Unsendable`] when the request is too large for the binding.
    pub async fn send_with(
        &self,
        request: SendMessageRequest,
        uploads: Uploads,
    ) -> Result<SendMessageResponse, Error> {
        let call = with(Request::SendMessage(request), uploads);
        self.call(call).await?.answer.sent()
    }

    /// Sends a message with uploads, as [`Client::send_with`] does, and streams what happens.
    ///
    /// # Errors
    /// As for [`Client::send_with`].
    pub async fn send_streaming_with(
        &self,
        request: SendMessageRequest,
        uploads: Uploads,
    ) -> Result<EventStream, Error> {
        let call = with(Request::SendStreamingMessage(request), uploads);
        self.call(call).await?.answer.events()
    }
}

fn with(request: Request, uploads: Uploads) -> Call {
    Call {
        uploads,
        ..Call::new(request)
    }
}

#[cfg(test)]
mod tests;
