//! Request bodies: read whole, within a limit, and without a copy when they come in one piece.

use std::io::Read as _;
use std::pin::pin;

use bytes::{Buf as _, Bytes};
use flate2::read::MultiGzDecoder;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use tower::BoxError;

use super::media;
use crate::error::{Error, Kind};

/// How much larger than its compressed form a body may be. JSON text seldom shrinks to less than a twentieth.
const RATIO_MAX: usize = 100;

/// Reads a body of at most `bytes_max` bytes and undoes its compression, if it has one.
///
/// # Errors
/// Those of [`read`] and [`gunzip`]; UnsupportedMediaType for an encoding that is not known.
pub(super) async fn read_plain<B>(headers: &HeaderMap, body: B, bytes_max: usize) -> Result<Bytes, Error>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    let is_gzip = media::is_gzip(headers)?;
    let sent = read(body, bytes_max).await?;
    if is_gzip {
        gunzip(&sent, bytes_max)
    } else {
        Ok(sent)
    }
}

/// Reads a body of at most `bytes_max` bytes.
///
/// # Errors
/// RESOURCE_EXHAUSTED (413) beyond the limit; ParseError when the connection breaks off.
async fn read<B>(body: B, bytes_max: usize) -> Result<Bytes, Error>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BoxError>,
{
    let mut body = pin!(body);
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large(bytes_max));
    }
    let mut first = Bytes::new();
    let mut joined = Vec::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| broken(error.into()))?.into_data() else {
            continue;
        };
        length += data.len();
        if length > bytes_max {
            return Err(too_large(bytes_max));
        }
        if first.is_empty() {
            first = data;
        } else {
            if joined.is_empty() {
                joined.extend_from_slice(&first);
            }
            joined.extend_from_slice(data.chunk());
        }
    }
    Ok(if joined.is_empty() {
        first
    } else {
        Bytes::from(joined)
    })
}

/// Decompresses a body of at most `bytes_max` bytes, and no more than a hundred times what was sent.
///
/// # Errors
/// RESOURCE_EXHAUSTED (413) beyond either limit; ParseError when it is not gzip.
fn gunzip(compressed: &[u8], bytes_max: usize) -> Result<Bytes, Error> {
    let limit = bytes_max.min(compressed.len().saturating_mul(RATIO_MAX));
    let mut plain = Vec::new();
    let mut reader = MultiGzDecoder::new(compressed).take(limit as u64 + 1);
    reader.read_to_end(&mut plain).map_err(|_| {
        Error::new(
            Kind::ParseError,
            "the body is not gzip, as its content-encoding says",
        )
    })?;
    if plain.len() > limit {
        return Err(too_large(limit));
    }
    Ok(Bytes::from(plain))
}

fn too_large(bytes_max: usize) -> Error {
    Error::too_large(format!("the body is larger than {bytes_max} bytes"))
        .with("bytesMax", bytes_max.to_string())
}

fn broken(cause: BoxError) -> Error {
    tracing::debug!(%cause, "a request body broke off");
    Error::new(Kind::ParseError, "the body ended before it was complete")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    fn pieces(
        pieces: &[&'static str],
    ) -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send + use<> {
        let frames: Vec<_> = pieces
            .iter()
            .map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))))
            .collect();
        StreamBody::new(stream::iter(frames))
    }

    #[tokio::test]
    async fn one_piece_is_not_copied_and_many_are_joined() {
        let whole = Bytes::from_static(b"abcdef");
        let read_back = read(Full::new(whole.clone()), 6).await.unwrap();
        assert_eq!(read_back.as_ptr(), whole.as_ptr());
        assert_eq!(read(pieces(&["", "ab", "", "cd", "ef"]), 6).await.unwrap(), whole);
        assert_eq!(read(pieces(&[]), 0).await.unwrap(), "");
    }

    #[tokio::test]
    async fn the_limit_is_exact() {
        assert_eq!(
            read(Full::new(Bytes::from_static(b"abcdef")), 5)
                .await
                .unwrap_err()
                .http_status(),
            413
        );
        assert_eq!(
            read(pieces(&["abc", "def"]), 5).await.unwrap_err().http_status(),
            413
        );
    }

    #[test]
    fn bombs_do_not_go_off() {
        let pack = |plain: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(gunzip(&pack(b"{}"), 100).unwrap(), "{}");
        assert_eq!(gunzip(&pack(b"abc"), 2).unwrap_err().http_status(), 413);
        assert_eq!(
            gunzip(&pack(&vec![b' '; 3 << 20]), 4 << 20)
                .unwrap_err()
                .http_status(),
            413
        );
        assert_eq!(gunzip(b"{}", 100).unwrap_err().kind, Kind::ParseError);
        assert_eq!(
            gunzip(&pack(b"{\"a\":1}")[..15], 100).unwrap_err().kind,
            Kind::ParseError
        );
    }
}
