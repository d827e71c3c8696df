//! Files that are not what they were, or not what they say.

use std::os::unix::fs::FileExt as _;
use std::process::Command;
use std::time::SystemTime;

use super::*;

#[tokio::test]
async fn a_file_that_changed_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    std::fs::write(&path, "one").unwrap();
    let content = FileContent::of(&path).await.unwrap();
    let mut text = String::new();
    content
        .open()
        .await
        .unwrap()
        .read_to_string(&mut text)
        .await
        .unwrap();
    assert_eq!((&*text, content.length()), ("one", 3));
    std::fs::write(&path, "more").unwrap();
    let error = content.open().await.err().unwrap();
    assert!(error.to_string().contains("has changed"), "{error}");
    assert!(FileContent::of(folder.path()).await.is_err());
    assert!(FileContent::of(folder.path().join("none")).await.is_err());
}

/// Long past, so that what is written now has another time however coarse the clock of the file system is.
fn aged(path: &std::path::Path) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
}

#[tokio::test]
async fn a_file_that_is_overwritten_while_it_is_read_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    for length in [1, CHUNK_BYTES, 3 * CHUNK_BYTES] {
        for overwritten in [false, true] {
            std::fs::write(&path, vec![1; length as usize]).unwrap();
            aged(&path);
            let content = FileContent::of(&path).await.unwrap();
            let mut reader = content.open().await.unwrap();
            let mut read = vec![0; length as usize];
            reader.read_exact(&mut read).await.unwrap();
            if overwritten {
                let file = std::fs::File::options().write(true).open(&path).unwrap();
                file.write_all_at(&[2], length - 1).unwrap();
            }
            let ended = reader.read(&mut [0]).await;
            assert_eq!(ended.is_err(), overwritten, "{length}: {ended:?}");
        }
    }
}

#[tokio::test]
async fn a_mixture_of_two_files_never_looks_like_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    std::fs::write(&path, vec![1; 3 * CHUNK_BYTES as usize]).unwrap();
    aged(&path);
    let (mut message, mut uploads) = (Message::default(), Uploads::default());
    uploads.attach(&mut message, file("f"), FileContent::of(&path).await.unwrap());
    let request = SendMessageRequest {
        message: Some(message),
        ..SendMessageRequest::default()
    };
    let segments = framed(&Request::SendMessage(request), &uploads).unwrap();
    let (mut body, _sending) = segments.body(&Pace::default(), limits());
    for _ in 0..2 {
        body.frame().await.unwrap().unwrap();
    }
    std::fs::write(&path, vec![2; 3 * CHUNK_BYTES as usize]).unwrap();
    let error = loop {
        if let Err(error) = body.frame().await.expect("it does not end well") {
            break error;
        }
    };
    assert!(error.to_string().contains("has changed"), "{error}");
    assert!(!body.is_end_stream());
}

#[tokio::test]
async fn what_has_not_the_length_that_it_says_is_none() {
    let error = FileContent::of("/sys/devices/system/cpu/online")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    let error = FileContent::of("/proc/self/cmdline").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    let folder = tempfile::tempdir().unwrap();
    for length in [0, 1, 2, 5_000] {
        let path = folder.path().join("f");
        std::fs::write(&path, vec![1; length]).unwrap();
        assert_eq!(FileContent::of(&path).await.unwrap().length(), length as u64);
    }
}

#[tokio::test]
async fn a_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let looked = tokio::time::timeout(Duration::from_secs(20), FileContent::of(&path)).await;
    assert!(looked.expect("it does not wait").is_err());
    let path = folder.path().join("f");
    std::fs::write(&path, "one").unwrap();
    let content = FileContent::of(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let opened = tokio::time::timeout(Duration::from_secs(20), content.open()).await;
    assert!(opened.expect("it does not wait").is_err());
}
