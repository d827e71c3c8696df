//! The bench agent.

use a2ad::agent::TaskUpdate;

use super::bench_agent::{BenchAgent, card};
use super::harness::{Seen, answers, check_card, lines, request, run, text, times_ms, user_message};

async fn order(said: &str) -> Vec<Seen> {
    run(&BenchAgent, request(vec![user_message("m", vec![text(said)])])).await
}

#[tokio::test]
async fn any_text_is_echoed() {
    assert_eq!(
        answers(&BenchAgent, "m", "hi there").await,
        ["Working", "Artifact: echo: hi there", "Completed"]
    );
    assert_eq!(
        answers(&BenchAgent, "m", "").await,
        ["Working", "Artifact: echo: ", "Completed"]
    );
}

#[tokio::test]
async fn turns_ask_for_more_until_another_text_comes() {
    let turn = user_message("m", vec![text("turn:a")]);
    let first = run(&BenchAgent, request(vec![turn.clone()])).await;
    let second = run(&BenchAgent, request(vec![turn.clone(), turn.clone()])).await;
    for seen in [&first, &second] {
        assert_eq!(lines(seen), ["Artifact: echo: turn:a", "InputRequired"]);
    }
    assert_ne!(artifact_id(&first[0]), artifact_id(&second[0]));
    let last = run(
        &BenchAgent,
        request(vec![turn, user_message("m", vec![text("b")])]),
    )
    .await;
    assert_eq!(lines(&last), ["Working", "Artifact: echo: b", "Completed"]);
}

fn artifact_id(seen: &Seen) -> &str {
    match &seen.update {
        TaskUpdate::Artifact { artifact, .. } => &artifact.artifact_id,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_silent_for_its_time() {
    for (said, ms) in [
        ("hold:2", 2_000),
        ("hold:0.25", 250),
        ("hold:0", 0),
        ("hold:86400", 86_400_000),
    ] {
        let seen = order(said).await;
        assert_eq!(lines(&seen), ["Working", "Completed"]);
        assert!(times_ms(&seen)[1] - ms <= 1, "{said}: {:?}", times_ms(&seen));
    }
}

#[tokio::test(start_paused = true)]
async fn ticks_keep_their_pace_and_do_not_drift() {
    let seen = order("ticks:4:2500:1000:3").await;
    let kinds: Vec<String> = lines(&seen)
        .iter()
        .map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        kinds,
        [
            "Working",
            "First: tick 0",
            "Next: tick 1",
            "Next: tick 2",
            "Last: tick 3",
            "Completed"
        ]
    );
    let expected = [0, 1_000, 1_002, 1_005, 1_007, 1_007];
    for (ms, expected) in times_ms(&seen).into_iter().zip(expected) {
        assert!(ms >= expected && ms <= expected + 2, "{:?}", times_ms(&seen));
    }
}

#[tokio::test(start_paused = true)]
async fn ticks_closer_than_the_timer_go_out_together() {
    let seen = order("ticks:10000:100:0:0").await;
    let total_ms = seen.last().map(|last| last.after.as_millis()).unwrap_or_default();
    assert_eq!(seen.len(), 10_002);
    assert!((999..=1_003).contains(&total_ms), "{total_ms}");
}

#[tokio::test(start_paused = true)]
async fn ticks_without_spacing_take_no_time() {
    let seen = order("ticks:1000:0:0:5").await;
    assert_eq!(seen.len(), 1_002);
    assert_eq!(seen[1_001].after.as_millis(), seen[1].after.as_millis());
}

#[tokio::test(start_paused = true)]
async fn a_tick_carries_its_number_the_time_and_the_padding() {
    let seen = order("ticks:1:0:0:3").await;
    let line = &lines(&seen)[1];
    let fields: Vec<&str> = line.split(' ').collect();
    assert_eq!(
        (fields.len(), fields[..3].join(" "), fields[4]),
        (5, "Artifact: tick 0".to_owned(), "xxx")
    );
    assert!(fields[3].parse::<u64>().unwrap() > 1_700_000_000_000_000_000);
}

#[tokio::test(start_paused = true)]
async fn bad_orders_are_rejected_with_the_right_form() {
    for said in ["hold:", "hold:x", "hold:-1", "hold:nan", "hold:inf", "hold:86401"] {
        let lines = answers(&BenchAgent, "m", said).await;
        assert!(
            lines.len() == 1 && lines[0].starts_with("Rejected: the form is hold:SECONDS"),
            "{said}: {lines:?}"
        );
    }
    for said in [
        "ticks:",
        "ticks:1",
        "ticks:1:1:1",
        "ticks:1:1:1:1:1",
        "ticks:a:1:1:1",
        "ticks:-1:1:1:1",
        "ticks:0:1:1:1",
        "ticks:1000001:1:1:1",
        "ticks:1:1:1:65537",
        "ticks:1000000:86401:0:0",
        "ticks:1:1:86400001:0",
        "ticks:2:18446744073709551615:1:1",
        "ticks:1:1:18446744073709551615:1",
    ] {
        let lines = answers(&BenchAgent, "m", said).await;
        assert!(
            lines.len() == 1 && lines[0].starts_with("Rejected: the form is ticks:N:US"),
            "{said}: {lines:?}"
        );
    }
}

#[test]
fn the_card_is_complete() {
    check_card(&card());
}
