//! How uploads end before their end.

use std::sync::Mutex;

use futures_util::FutureExt as _;
use tokio::io::{AsyncWriteExt as _, DuplexStream};

use super::*;

#[tokio::test]
async fn nothing_is_read_for_nobody() {
    let (request, uploads) = one(Memory::new(vec![7; 3 * CHUNK_BYTES as usize]));
    let (mut body, sending) = framed(&request, &uploads)
        .unwrap()
        .body(&Pace::default(), limits());
    assert!(body.frame().await.unwrap().is_ok());
    drop(sending);
    assert!(body.frame().await.unwrap().is_err());
}

/// An exchange that takes one piece after each of the pauses, and has no answer.
async fn ended(pauses: &[u64], pieces: u64) -> (Error, Duration) {
    let (request, uploads) = one(Memory::new(vec![7; (pieces * CHUNK_BYTES) as usize]));
    let (mut body, mut sending) = framed(&request, &uploads)
        .unwrap()
        .body(&Pace::default(), limits());
    let began = Instant::now();
    let exchange = async {
        for pause in pauses {
            tokio::time::sleep(Duration::from_secs(*pause)).await;
            body.frame().await.unwrap().unwrap();
        }
        std::future::pending().await
    };
    let error = sending.answered::<()>(exchange).await.unwrap_err();
    (error, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_body_that_moves_has_time_and_one_that_stands_has_not() {
    // The head of the frame is a piece too.
    let (error, took) = ended(&[59, 59, 59, 59], 10).await;
    assert!(
        matches!(error, Error::Stalled(limit) if limit.as_secs() == 60),
        "{error}"
    );
    assert!(error.is_unsent() && !error.is_transient());
    assert_eq!(took.as_secs(), 4 * 59 + 60);
    let (error, took) = ended(&[59, 59, 59], 2).await;
    assert!(
        matches!(error, Error::Timeout(limit) if limit.as_secs() == 300),
        "{error}"
    );
    assert_eq!(took.as_secs(), 3 * 59 + 300);
}

/// What is read as somebody else writes it, once.
#[derive(Debug)]
struct Dripping {
    length: u64,
    reader: Mutex<Option<DuplexStream>>,
}

impl Dripping {
    fn new(length: u64) -> (Self, DuplexStream) {
        let (writer, reader) = tokio::io::duplex(length as usize);
        let content = Self {
            length,
            reader: Mutex::new(Some(reader)),
        };
        (content, writer)
    }
}

#[async_trait]
impl Content for Dripping {
    fn name(&self) -> &str {
        "dripping"
    }

    fn length(&self) -> u64 {
        self.length
    }

    async fn open(&self) -> io::Result<ContentReader> {
        Ok(Box::pin(self.reader.lock().unwrap().take().unwrap()))
    }
}

fn dripping(length: u64) -> (SegmentsBody, Sending, DuplexStream) {
    let (content, writer) = Dripping::new(length);
    let (mut message, mut uploads) = (Message::default(), Uploads::default());
    uploads.attach(&mut message, Part::default(), content);
    let request = SendMessageRequest {
        message: Some(message),
        ..SendMessageRequest::default()
    };
    let segments = framed(&Request::SendMessage(request), &uploads).unwrap();
    let (body, sending) = segments.body(&Pace::default(), limits());
    (body, sending, writer)
}

fn broken<T>() -> Result<T, Error> {
    Err(Error::Interrupted {
        address: String::new(),
        cause: String::new(),
    })
}

#[tokio::test(start_paused = true)]
async fn the_time_that_reading_takes_is_not_the_agents() {
    let (mut body, mut sending, mut writer) = dripping(2 * CHUNK_BYTES);
    let began = Instant::now();
    let exchange = async {
        // The head of the frame.
        body.frame().await.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(40)).await;
        let (frame, ()) = tokio::join!(body.frame(), async {
            tokio::time::sleep(Duration::from_secs(40)).await;
            writer.write_all(&[7; CHUNK_BYTES as usize]).await.unwrap();
        });
        frame.unwrap().unwrap();
        tokio::time::sleep(Duration::from_secs(40)).await;
        body.frame().await;
        std::future::pending().await
    };
    let error = sending.answered::<()>(exchange).await.unwrap_err();
    assert!(
        matches!(&error, Error::Content { name, cause } if name == "dripping" && cause.contains("60s")),
        "{error}"
    );
    assert_eq!(began.elapsed().as_secs(), 3 * 40 + 60);
}

#[tokio::test]
async fn what_was_told_as_unsent_does_not_become_whole() {
    let (mut body, mut sending, mut writer) = dripping(3);
    body.frame().await.unwrap().unwrap();
    // It reads the last piece when the connection breaks.
    assert!(body.frame().now_or_never().is_none());
    let error = sending.answered::<()>(async { broken() }).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    writer.write_all(b"all").await.unwrap();
    drop(writer);
    assert!(body.frame().await.unwrap().is_err());
    assert!(!body.is_end_stream());
}

#[tokio::test]
async fn what_is_whole_is_not_told_as_unsent() {
    let (mut body, mut sending, mut writer) = dripping(3);
    body.frame().await.unwrap().unwrap();
    writer.write_all(b"all").await.unwrap();
    drop(writer);
    body.frame().await.unwrap().unwrap();
    assert!(body.is_end_stream());
    let error = sending.answered::<()>(async { broken() }).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");
}

#[tokio::test]
async fn a_body_that_reads_hears_that_nobody_waits() {
    let (mut body, sending, _writer) = dripping(3);
    body.frame().await.unwrap().unwrap();
    let mut frame = std::pin::pin!(body.frame());
    assert!(frame.as_mut().now_or_never().is_none());
    drop(sending);
    let ended = tokio::time::timeout(Duration::from_secs(20), frame).await;
    assert!(ended.expect("it is woken").unwrap().is_err());
}
