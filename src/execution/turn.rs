//! One execution of an agent: its future, and the updates that come out of it.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;

use super::ExecutionSettings;
use super::threads::{off_thread, watched};
use crate::agent::{Agent, AgentError, RequestContext, Slot, TaskUpdate, UpdateReceiver, channel};
use crate::quota::Permit;

/// Updates that are taken from an agent at once.
const UPDATES_AT_ONCE: usize = 64;

/// How an execution ended.
#[derive(Debug)]
pub(super) enum Ended {
    Returned,
    Failed(AgentError),
    Panicked,
}

/// What an execution does next.
pub(super) enum Progress {
    #[expect(clippy::vec_box, reason = "updates come boxed out of the queue")]
    Updates(Vec<Box<TaskUpdate>>),
    Ended(Ended),
}

type Execution = Pin<Box<dyn Future<Output = Ended> + Send>>;

pub(super) struct Turn {
    pub(super) request: RequestContext,
    execution: Option<Execution>,
    updates: UpdateReceiver,
    ended: Option<Ended>,
    /// The agent's last word in this turn was a terminal or interrupted state.
    pub(super) settled: bool,
    /// The agent has written something in this turn.
    pub(super) spoken: bool,
    #[expect(clippy::vec_box, reason = "updates come boxed out of the queue")]
    buffer: Vec<Box<TaskUpdate>>,
    _slot: Slot,
    _permit: Option<Arc<Permit>>,
}

impl Turn {
    /// Prepares an execution; the agent's code runs when [`Turn::next`] is polled.
    pub(super) fn new(
        agent: &Arc<Agent>,
        mut request: RequestContext,
        slot: Slot,
        settings: &ExecutionSettings,
    ) -> Self {
        let (updater, updates) = channel(
            request.task_id.clone(),
            request.context_id.clone(),
            settings.updates_queue_max,
        );
        let executor = agent.executor.clone();
        let permit = request.permit.take();
        let handed = request.clone();
        let execution = async move {
            let run = AssertUnwindSafe(async move { executor.execute(handed, updater).await }).catch_unwind();
            match run.await {
                Ok(Ok(())) => Ended::Returned,
                Ok(Err(error)) => Ended::Failed(error),
                Err(_) => Ended::Panicked,
            }
        };
        let execution: Execution = if agent.runs_off_thread() {
            let ran = off_thread(execution, slot.clone());
            Box::pin(async { ran.await.unwrap_or_else(Ended::Failed) })
        } else {
            Box::pin(watched(execution, agent.clone(), settings.poll_max))
        };
        Self {
            request,
            execution: Some(execution),
            updates,
            ended: None,
            settled: false,
            spoken: false,
            buffer: Vec::new(),
            _slot: slot,
            _permit: permit,
        }
    }

    /// Runs the agent until it has updates or has ended; updates come first. Safe to cancel.
    pub(super) async fn next(&mut self) -> Progress {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// What [`Turn::next`] has right now; `None` if the agent waits for something. When it waits, it is woken through
    /// the waker of whoever asked last.
    pub(super) async fn try_next(&mut self) -> Option<Progress> {
        poll_fn(|cx| match self.poll_next(cx) {
            Poll::Ready(progress) => Poll::Ready(Some(progress)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// Takes no more updates; the agent is told with its next one.
    pub(super) fn mute(&mut self) {
        self.updates.close();
    }

    fn poll_execution(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        match &mut self.execution {
            Some(execution) => execution.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Progress> {
        if let Poll::Ready(ended) = self.poll_execution(cx) {
            self.execution = None;
            self.ended = Some(ended);
            // Updaters that the agent left behind elsewhere write nothing more.
            self.updates.close();
        }
        if let Poll::Ready(1..) = self.updates.poll_recv_many(cx, &mut self.buffer, UPDATES_AT_ONCE) {
            return Poll::Ready(Progress::Updates(std::mem::take(&mut self.buffer)));
        }
        match self.ended.take() {
            Some(ended) => Poll::Ready(Progress::Ended(ended)),
            None => Poll::Pending,
        }
    }
}
