//! Floods of frames that cost the client nothing.

use std::time::Duration;

use super::frames::{self, PING};
use super::rude::{CALM, Rude, Said, goaway, resets};
use super::victim::Victim;

/// Repeats an attack on new connections, which all have to end the same way.
const TIMES: usize = 5;

#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let victim = Victim::start(&[]).await;
    victim
        .under(async {
            for _ in 0..TIMES {
                let mut rude = Rude::open(victim.address()).await;
                rude.say(&frames::rapid_reset(100)).await;
                assert_eq!(goaway(&rude.end().await), Some(CALM));
            }
        })
        .await;
}

#[tokio::test]
async fn a_server_that_is_made_to_reset_ends_the_connection() {
    let victim = Victim::start(&[]).await;
    victim
        .under(async {
            for _ in 0..TIMES {
                let mut rude = Rude::open(victim.address()).await;
                rude.say(&frames::made_you_reset(100)).await;
                let said = rude.end().await;
                assert_eq!(goaway(&said), Some(CALM));
                assert!(resets(&said) <= 65, "{} resets", resets(&said));
            }
        })
        .await;
}

#[tokio::test]
async fn a_head_without_end_ends_the_connection() {
    let victim = Victim::start(&[]).await;
    victim
        .under(async {
            for _ in 0..TIMES {
                let mut rude = Rude::open(victim.address()).await;
                rude.say(&frames::continuations(10_000)).await;
                // More was on its way when the server hung up, so its word may be lost.
                let said = goaway(&rude.end().await);
                assert!(matches!(said, None | Some(CALM)), "{said:?}");
            }
        })
        .await;
}

/// PING, SETTINGS and empty DATA: more than a second's worth.
#[tokio::test]
async fn frames_without_a_request_or_data_end_the_connection() {
    let victim = Victim::start(&["server.control_frames_per_s_max=1000"]).await;
    for flood in [
        frames::pings(5_000),
        frames::settings(5_000),
        frames::empty_data(5_000),
    ] {
        victim
            .under(async {
                for _ in 0..TIMES {
                    let mut rude = Rude::open(victim.address()).await;
                    rude.say(&flood).await;
                    rude.end().await;
                }
            })
            .await;
    }
}

/// The same frames at a pace that the fastest honest client has.
#[tokio::test]
async fn frames_at_a_fair_pace_are_answered() {
    let victim = Victim::start(&["server.control_frames_per_s_max=1000"]).await;
    victim
        .under(async {
            let mut rude = Rude::open(victim.address()).await;
            for round in 1..=20 {
                rude.say(&frames::pings(40)).await;
                let pongs = |said: &[Said]| said.iter().filter(|frame| frame.kind == PING).count();
                rude.until("an answer to each ping", |said| pongs(said) >= 40 * round)
                    .await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
}

/// Opens streams as fast as it can and takes no answer: more than may be open are refused, and the rest is served.
#[tokio::test]
async fn streams_beyond_the_limit_are_refused() {
    let victim = Victim::start(&["server.streams_per_connection_max=10"]).await;
    victim
        .under(async {
            let mut rude = Rude::open(victim.address()).await;
            let head = frames::grpc("SendMessage");
            let open = |stream| frames::frame(frames::HEADERS, frames::END_HEADERS, stream, &head);
            let all: Vec<u8> = frames::streams(30).flat_map(open).collect();
            rude.say(&all).await;
            let said = rude.until("refusals", |said| resets(said) == 20).await;
            // REFUSED_STREAM: it was not looked at, and may be sent again.
            assert!(
                said.iter().filter_map(Said::code).all(|code| code == 7),
                "{said:?}"
            );
        })
        .await;
}
