//! The record of a stream that is ended for its reader. Most never are, so none holds a place in the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::entry::{Call, What};
use super::handle::{Audit, Shared};
use super::record::Kind;
use crate::access::Method;
use crate::context::CallContext;

/// Takes the reason for which a stream is ended, once. Cheap to clone.
#[derive(Clone, Default)]
pub struct StreamRecord(Option<Arc<Open>>);

struct Open {
    shared: Arc<Shared>,
    call: Call,
    is_ended: AtomicBool,
}

impl Audit {
    /// The record that a stream has if its reader's credential, or what it may use, ends before the task does.
    pub fn stream(
        &self,
        call: &CallContext,
        method: Method,
        agent: &Arc<str>,
        task_id: Option<&str>,
    ) -> StreamRecord {
        StreamRecord(self.0.as_ref().map(|shared| {
            let call = Call {
                task_id: task_id.unwrap_or_default().to_owned(),
                ..Call::of(call, Kind::Stream, Some(method.as_str()), agent.clone())
            };
            Arc::new(Open {
                shared: shared.clone(),
                call,
                is_ended: AtomicBool::new(false),
            })
        }))
    }
}

impl StreamRecord {
    /// Records that the stream is ended, and why, as a fixed word. It never fails: the stream has to end, and a record that
    /// there is no room for is counted as dropped.
    pub fn ended(&self, reason: &'static str) {
        let Some(open) = &self.0 else { return };
        if !open.is_ended.swap(true, Ordering::AcqRel) {
            let call = Call {
                outcome: reason,
                ..open.call.clone()
            };
            open.shared.note(What::Call(Box::new(call), None));
        }
    }
}
