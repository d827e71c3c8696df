//! How messages get on and off the wire.

use std::marker::PhantomData;

use bytes::{Buf as _, BufMut, Bytes};
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::status;
use crate::error::{Error, Kind};
use crate::fault;
use crate::pb::inspect::{InspectLimits, Shaped, inspect_wire};

/// Decodes `D`, encodes `E`.
pub(super) struct ProtoCodec<E, D>(InspectLimits, PhantomData<(E, D)>);

/// Decodes `D`, and sends messages that are encoded already.
pub(super) struct EncodedCodec<D>(InspectLimits, PhantomData<D>);

pub(super) struct ProtoEncoder<E>(PhantomData<E>);
pub(super) struct ProtoDecoder<D>(InspectLimits, PhantomData<D>);
pub(super) struct EncodedEncoder;

impl<E, D> ProtoCodec<E, D> {
    pub(super) fn new(limits: InspectLimits) -> Self {
        Self(limits, PhantomData)
    }
}

impl<D> EncodedCodec<D> {
    pub(super) fn new(limits: InspectLimits) -> Self {
        Self(limits, PhantomData)
    }
}

impl<E, D> Codec for ProtoCodec<E, D>
where
    E: Message + 'static,
    D: Message + Default + Shaped + 'static,
{
    type Encode = E;
    type Decode = D;
    type Encoder = ProtoEncoder<E>;
    type Decoder = ProtoDecoder<D>;

    fn encoder(&mut self) -> Self::Encoder {
        ProtoEncoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProtoDecoder(self.0.clone(), PhantomData)
    }
}

impl<D: Message + Default + Shaped + 'static> Codec for EncodedCodec<D> {
    type Encode = Bytes;
    type Decode = D;
    type Encoder = EncodedEncoder;
    type Decoder = ProtoDecoder<D>;

    fn encoder(&mut self) -> Self::Encoder {
        EncodedEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProtoDecoder(self.0.clone(), PhantomData)
    }
}

impl<E: Message> Encoder for ProtoEncoder<E> {
    type Item = E;
    type Error = Status;

    fn encode(&mut self, item: E, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer)
            .map_err(|error| status::of(&Error::internal(&error), ""))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(2 * 1024, 32 * 1024)
    }
}

impl<D: Message + Default + Shaped> Decoder for ProtoDecoder<D> {
    type Item = D;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<D>, Status> {
        // What prost says about a damaged message is a kilobyte of field names; nobody is helped by it.
        let malformed = |_| {
            Error::new(
                Kind::ParseError,
                "the message is not valid protobuf, or nested too deeply",
            )
        };
        // The buffer is one piece.
        inspect_wire::<D>(buffer.chunk(), &self.0)
            .map_err(|violations| status::of(&Error::violations(violations), ""))?;
        D::decode(buffer)
            .map(Some)
            .map_err(malformed)
            .map_err(|error| status::of(&error, ""))
    }
}

impl Encoder for EncodedEncoder {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(item.len());
        fault::point("mid_stream_frame");
        buffer.put(item);
        Ok(())
    }

    /// Thousands of quiet streams must not hold a buffer of kilobytes each.
    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(0, 32 * 1024)
    }
}
