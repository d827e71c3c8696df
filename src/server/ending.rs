//! When a connection has to end: draining, age, abort, a certificate that no longer holds.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::AsyncWrite;

use super::cork::Cork;
use super::settings::ServerSettings;
use crate::shutdown::Shutdown;

enum Event {
    /// Take no more requests, finish the open ones.
    Finish,
    /// The connection is old: as above, but not for ever.
    Aged,
    /// Close now.
    Cut,
}

/// The events that end one connection.
///
/// They stand in a set because a set gives each its own waker: a busy connection is polled several times per
/// request, and to poll these along with it would take the shutdown tokens' locks, which all connections share,
/// each time.
pub(super) struct Ending {
    events: FuturesUnordered<Pin<Box<dyn Future<Output = Event> + Send>>>,
    grace: Duration,
}

impl Ending {
    /// The end of the connection that is the `number`th of its listener.
    pub(super) fn new(settings: &ServerSettings, shutdown: &Shutdown, number: u64) -> Self {
        let ending = Self {
            events: FuturesUnordered::new(),
            grace: Duration::from_millis(settings.connection_age_grace_ms),
        };
        let (drain, abort) = (shutdown.clone(), shutdown.clone());
        ending.push(async move {
            drain.draining().await;
            Event::Finish
        });
        ending.push(async move {
            abort.aborted().await;
            Event::Cut
        });
        if settings.connection_age_ms > 0 {
            ending.push_after(spread(settings.connection_age_ms, number), Event::Aged);
        }
        ending
    }

    /// Cuts the connection as soon as this resolves, without a word to its requests.
    pub(super) fn cut_at(&self, end: impl Future<Output = ()> + Send + 'static) {
        self.push(async move {
            end.await;
            Event::Cut
        });
    }

    /// Takes no more requests as soon as this resolves; those that are open are finished.
    pub(super) fn finish_at(&self, end: impl Future<Output = ()> + Send + 'static) {
        self.push(async move {
            end.await;
            Event::Finish
        });
    }

    fn push(&self, event: impl Future<Output = Event> + Send + 'static) {
        self.events.push(Box::pin(event));
    }

    fn push_after(&self, delay: Duration, event: Event) {
        self.push(async move {
            tokio::time::sleep(delay).await;
            event
        });
    }

    /// Runs a connection until it closes by itself or has to, and lets go at the end of each turn what it has
    /// written. An error is the client's or the network's.
    pub(super) async fn drive<C, IO>(mut self, connection: C, mut cork: Cork<IO>) -> Result<(), C::Error>
    where
        C: GracefulConnection,
        IO: AsyncWrite + Unpin,
    {
        let mut connection = std::pin::pin!(connection);
        loop {
            let turn = poll_fn(|cx| {
                let closed = connection.as_mut().poll(cx);
                if closed.is_ready() {
                    cork.end(cx);
                } else {
                    cork.poll_turn(cx);
                }
                closed
            });
            tokio::select! {
                biased;
                closed = turn => return closed,
                Some(event) = self.events.next() => match event {
                    Event::Cut => return Ok(()),
                    Event::Finish => connection.as_mut().graceful_shutdown(),
                    Event::Aged => {
                        connection.as_mut().graceful_shutdown();
                        if !self.grace.is_zero() {
                            self.push_after(self.grace, Event::Cut);
                        }
                    }
                },
            }
        }
    }
}

/// `age_ms` give or take a tenth, so that connections that came together do not all come back together. Steps of
/// the golden ratio spread consecutive numbers evenly.
fn spread(age_ms: u64, number: u64) -> Duration {
    const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;
    let thousandths = (number.wrapping_mul(GOLDEN_RATIO) >> 32) % 201;
    Duration::from_millis(age_ms / 1_000 * (900 + thousandths) + age_ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_spread_over_a_tenth_to_either_side() {
        let ages: Vec<u64> = (0..1_000)
            .map(|n| spread(1_800_000, n).as_millis() as u64)
            .collect();
        assert!(ages.iter().all(|age| (1_620_000..=1_980_000).contains(age)));
        let low = ages.iter().filter(|age| **age < 1_710_000).count();
        assert!(
            (200..300).contains(&low),
            "a quarter of the ages lies in the lowest quarter, not {low}"
        );
        assert_eq!(spread(50, 3), Duration::from_millis(50));
    }
}
