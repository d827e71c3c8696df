//! Streams of agents with little to say, on a clock that stands still.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tower::service_fn;

use super::resume::{all, reply, send};
use super::{status, task};
use crate::client::layers::ClientMetrics;
use crate::client::layers::scripted::interrupted;
use crate::client::streams::{ResumeSettings, resumed};
use crate::client::{Answer, Call, Error, Event, EventStream};
use crate::pb::TaskState;

/// An agent with little to say, whose connections end before it has: what lasted is no attempt that came to nothing. One that
/// accepts and never speaks is away.
#[tokio::test(start_paused = true)]
async fn a_stream_that_lasted_begins_the_attempts_anew() {
    for (speaks, lasts, opened) in [(true, true, 30), (true, false, 9), (false, true, 9)] {
        let settings = ResumeSettings::default();
        let open = settings.backoff_max + Duration::from_millis(u64::from(lasts));
        let calls = Arc::new(Mutex::new(0));
        let counted = calls.clone();
        let step = service_fn(move |_: Call| {
            let mut calls = counted.lock().unwrap();
            *calls += 1;
            let event = |response| Event {
                response,
                generation: None,
            };
            let is_told = speaks || *calls == 1;
            let first = is_told.then(|| Ok(event(task("t"))));
            let last = match *calls {
                30 => Ok(event(status(TaskState::Completed, None))),
                _ => Err(interrupted()),
            };
            let late = stream::once(async move {
                tokio::time::sleep(open).await;
                last
            });
            let events = EventStream::new(stream::iter(first).chain(late));
            std::future::ready(Ok::<_, Error>(reply(Answer::Events(events))))
        });
        let transport = resumed(step, &settings, false, &ClientMetrics::default());
        let (_, error) = all(transport, send()).await;
        assert_eq!(error.is_none(), opened == 30, "{error:?}");
        assert_eq!(*calls.lock().unwrap(), opened, "{speaks} {lasts}");
    }
}
