//! Streams whose readers may use so many bytes.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use tokio_stream::Stream;

use crate::audit::StreamRecord;
use crate::error::Error;
use crate::quota::Account;
use crate::task::TaskEvent;

type Item = Result<Arc<TaskEvent>, Error>;
type Events = Pin<Box<dyn Stream<Item = Item> + Send>>;

/// The same events, as long as bytes are left: then an error instead of the next one, with the cursor of the last, so
/// that nothing is lost; that is recorded. The first event always comes: a reader that comes back gets on, however little
/// it may use.
pub(super) fn metered(events: Events, account: Account, record: StreamRecord) -> Events {
    let begin = (Some(events), None::<u64>);
    let metered = stream::unfold(begin, move |(events, last)| {
        let (account, record) = (account.clone(), record.clone());
        async move {
            let mut events = events?;
            let item = events.next().await?;
            let spent = last.and_then(|last| Some((last, account.check_bytes().err()?)));
            match (item, spent) {
                (Ok(_), Some((last, error))) => {
                    record.ended(error.kind.reason());
                    Some((Err(error.with("lastGeneration", last.to_string())), (None, None)))
                }
                (Ok(event), None) => {
                    let last = Some(event.generation);
                    Some((Ok(event), (Some(events), last)))
                }
                (Err(error), _) => Some((Err(error), (Some(events), last))),
            }
        }
    });
    Box::pin(metered)
}
