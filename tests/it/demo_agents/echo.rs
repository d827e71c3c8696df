//! The echo agent.

use std::sync::Arc;

use a2ad::agent::{AgentExecutor as _, TaskUpdate, channel};
use a2ad::pb::part::Content;
use a2ad::pb::value::Kind;
use a2ad::pb::{Part, Struct, Value};
use bytes::Bytes;
use futures_util::FutureExt as _;

use super::echo_agent::{EchoAgent, card};
use super::harness::{answers, check_card, lines, part, request, run, text, user_message};

#[tokio::test]
async fn text_comes_back_with_its_characters_and_words() {
    for (said, analysis) in [
        ("hello world", "echo: 11 characters, 2 words"),
        ("ä", "echo: 1 character, 1 word"),
        ("", "echo: 0 characters, 0 words"),
    ] {
        let expected = [format!("Artifact: {said}"), format!("Completed: {analysis}")];
        assert_eq!(answers(&EchoAgent, "m", said).await, expected);
    }
}

#[tokio::test]
async fn every_kind_of_part_comes_back_unchanged() {
    let null = Value {
        kind: Some(Kind::NullValue(0)),
    };
    let metadata = Struct {
        fields: [("k".to_owned(), null.clone())].into_iter().collect(),
    };
    let decorated = |content| Part {
        filename: "f.bin".to_owned(),
        media_type: "x/y".to_owned(),
        metadata: Some(metadata.clone()),
        ..part(content)
    };
    let parts = vec![
        text("a b"),
        decorated(Content::Raw(Bytes::from_static(b"\0\x01"))),
        decorated(Content::Url("https://example.com".to_owned())),
        decorated(Content::Url("https://example.org".to_owned())),
        decorated(Content::Data(null.clone())),
    ];
    let seen = run(&EchoAgent, request(vec![user_message("m", parts.clone())])).await;
    assert_eq!(
        lines(&seen)[1..],
        ["Completed: echo: 3 characters, 2 words, 1 raw part, 2 url parts, 1 data part"]
    );
    match &seen[0].update {
        TaskUpdate::Artifact {
            artifact,
            append: false,
            last_chunk: true,
            ..
        } => {
            assert_eq!((artifact.name.as_str(), &artifact.parts), ("echo", &parts));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn parts_that_are_no_text_are_counted_alone() {
    let raw = part(Content::Raw(Bytes::from_static(b"x")));
    let seen = run(&EchoAgent, request(vec![user_message("m", vec![raw])])).await;
    assert_eq!(lines(&seen)[1], "Completed: echo: 1 raw part");
}

#[test]
fn the_whole_execution_takes_one_poll() {
    let (updater, mut updates) = channel(Arc::from("t"), Arc::from("c"), 2);
    let request = request(vec![user_message("m", vec![text("x")])]);
    let result = EchoAgent.execute(request, updater).now_or_never();
    assert!(matches!(result, Some(Ok(()))));
    assert!(updates.try_recv().is_ok() && updates.try_recv().is_ok() && updates.try_recv().is_err());
}

#[test]
fn the_card_takes_any_media_type() {
    check_card(&card());
    assert_eq!(card().default_input_modes, ["*/*"]);
}
