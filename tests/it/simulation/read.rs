//! Callers that look: tasks, lists, and streams that break off and go on.

use std::collections::BTreeSet;
use std::time::Duration;

use a2ad::context::{CallContext, Scope};
use a2ad::error::Kind;
use a2ad::execution::EventStream;
use a2ad::pb::stream_response::Payload;
use a2ad::pb::{ListTasksRequest, Task, TaskState};
use a2ad::task::{TaskEvent, is_interrupted, is_terminal};
use futures_util::StreamExt as _;

use super::client::{Client, Told};
use super::world::Node;
use crate::support::messages::{get, subscribe};

/// What a reader knows of the stream that it reads.
struct Reading<'a> {
    scope: &'a Scope,
    id: Option<String>,
    /// The last event that the reader has; `None` if the stream begins with the task.
    cursor: Option<u64>,
    state: Option<TaskState>,
}

impl Client {
    pub async fn get(&mut self) {
        let Some((scope, id, own)) = self.any_task() else {
            return;
        };
        let known = self.world.seen(&id);
        let (what, request) = (format!("gets {id}"), get(&scope.agent, &id));
        let told = self
            .call(&what, 500, async move |node: Node, call: CallContext| {
                node.service.get_task(&call, request).await
            })
            .await;
        match told {
            Told::Answer(Ok(task)) => self
                .world
                .saw_task(&self.scope(&scope.agent), &task, known, &what),
            Told::Answer(Err(error)) => self.judge(&what, &error, Some((&scope, &id, own))),
            Told::Nothing => {}
        }
    }

    /// All pages of a listing: nothing twice, everything in order, and whatever did not move meanwhile is there.
    pub async fn list(&mut self) {
        let agent = self.any_agent();
        let scope = self.scope(agent);
        let before: Vec<(String, u64)> = self.owned(&scope);
        let mut request = ListTasksRequest {
            tenant: agent.to_owned(),
            page_size: Some(1 + self.random.below(4) as i32),
            include_artifacts: Some(true),
            ..ListTasksRequest::default()
        };
        let mut tasks: Vec<Task> = Vec::new();
        loop {
            let sent = request.clone();
            let told = self.call("lists", 500, async move |node: Node, call: CallContext| {
                node.service.list_tasks(&call, sent).await
            });
            let page = match told.await {
                Told::Answer(Ok(page)) => page,
                Told::Answer(Err(error)) => return self.judge("lists", &error, None),
                Told::Nothing => return,
            };
            tasks.extend(page.tasks);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
            self.pause(20).await;
        }
        self.world.count("listings");
        self.check_list(&scope, &before, &tasks);
    }

    fn owned(&self, scope: &Scope) -> Vec<(String, u64)> {
        let book = self.world.book.borrow();
        let owned = book.owners.iter().filter(|(_, owner)| *owner == scope);
        owned.map(|(id, _)| (id.clone(), book.seen[id])).collect()
    }

    fn check_list(&self, scope: &Scope, before: &[(String, u64)], tasks: &[Task]) {
        let ids: BTreeSet<&String> = tasks.iter().map(|task| &task.id).collect();
        if ids.len() < tasks.len() {
            self.world.blame(format_args!("a listing has a task twice"));
        }
        for task in tasks {
            self.world.saw_task(scope, task, 0, "lists");
        }
        for (id, known) in before {
            let moved = self.world.log(scope, id).len() as u64 != *known;
            if !moved && !ids.contains(id) {
                self.world.blame(format_args!("a listing lacks task {id}"));
            }
        }
    }

    /// Reads the stream of a task, behind the last event that this caller has or from the task on.
    pub async fn subscribe(&mut self) {
        let Some((scope, id, own)) = self.any_task() else {
            return;
        };
        let cursor = self.cursors.get(&id).copied().filter(|_| self.random.chance(80));
        let (what, request) = (
            format!("reads {id} behind {cursor:?}"),
            subscribe(&scope.agent, &id),
        );
        let sent = cursor.map(|cursor| cursor.saturating_add_signed(self.world.skew));
        let told = self
            .call(&what, 500, async move |node: Node, mut call: CallContext| {
                call.last_generation = sent;
                node.service.subscribe_to_task(&call, request).await
            })
            .await;
        match told {
            Told::Answer(Ok(stream)) => {
                let name = if cursor.is_some() {
                    "resumed streams"
                } else {
                    "streams"
                };
                self.world.count(name);
                let id = Some(id);
                let reading = Reading {
                    scope: &scope,
                    id,
                    cursor,
                    state: None,
                };
                self.follow(reading, stream, None).await;
            }
            Told::Answer(Err(error)) => self.judge(&what, &error, Some((&scope, &id, own))),
            Told::Nothing => {}
        }
    }

    /// Reads the stream that answers a send.
    pub async fn follow_send(
        &mut self,
        scope: &Scope,
        message: &str,
        stream: EventStream,
        cursor: Option<u64>,
    ) {
        // The answer to a repeated send begins with the first event, whatever it was sent to.
        let cursor = cursor.or_else(|| (stream.first_generation() == Some(1)).then_some(0));
        let reading = Reading {
            scope,
            id: None,
            cursor,
            state: None,
        };
        self.follow(reading, stream, Some(message)).await;
    }

    /// Reads some of a stream, or all of it, quickly or slowly.
    async fn follow(&mut self, mut reading: Reading<'_>, mut stream: EventStream, sent: Option<&str>) {
        let most = if self.random.chance(40) {
            self.random.below(6)
        } else {
            u64::MAX
        };
        let killed = match self.world.node() {
            Some(node) => node.killed,
            None => return,
        };
        for read in 0..most {
            let patience = Duration::from_millis(200 + self.random.below(800));
            let next = tokio::select! {
                biased;
                () = killed.cancelled() => return,
                next = tokio::time::timeout(patience, stream.next()) => next,
            };
            match next {
                Err(_) => return,
                Ok(None) => return self.ended(&reading),
                Ok(Some(Err(error))) if error.kind == Kind::Unavailable => return,
                Ok(Some(Err(error))) => {
                    return self.world.blame(format_args!("a stream broke: {error:?}"));
                }
                Ok(Some(Ok(event))) => self.delivered(&mut reading, &event, read, sent),
            }
            if self.random.chance(20) {
                self.pause(80).await;
            }
        }
    }

    fn delivered(&mut self, reading: &mut Reading<'_>, event: &TaskEvent, read: u64, sent: Option<&str>) {
        self.world.count("events");
        let Ok(payload) = event.decode() else {
            return self.world.blame(format_args!("an event does not decode"));
        };
        if let (0, Payload::Message(_)) = (read, &payload) {
            reading.state = Some(TaskState::Completed);
            return self.world.acknowledged(sent.unwrap_or("nothing"), None);
        }
        if let (0, Payload::Task(task)) = (read, &payload) {
            reading.id.get_or_insert_with(|| task.id.clone());
            let opening = reading.cursor.is_none();
            if let Some(message) = sent.filter(|_| opening || reading.cursor == Some(0)) {
                self.heard(message, task, opening);
            }
            if opening {
                self.world.saw_task(reading.scope, task, 0, "opens a stream");
                reading.cursor = Some(event.generation - 1);
            }
        }
        let Some(id) = reading.id.clone() else {
            return self.world.blame(format_args!("a stream began with {payload:?}"));
        };
        let expected = reading.cursor.map(|cursor| cursor + 1);
        if expected != Some(event.generation) {
            let found = event.generation;
            self.world
                .blame(format_args!("a stream of {id} gave {found} for {expected:?}"));
        }
        if read > 0 || !matches!(payload, Payload::Task(_)) {
            self.world.saw_event(reading.scope, &id, event);
        }
        reading.cursor = Some(event.generation);
        reading.state = event.state.or(reading.state);
        self.cursors.insert(id, event.generation);
    }

    /// The first event of a stream that answers a send acknowledges it.
    fn heard(&self, message: &str, task: &Task, opening: bool) {
        let first = task.history.iter().any(|heard| heard.message_id == message);
        // The replay of a task that the message only continued names it later.
        if opening || first {
            self.world.acknowledged(message, Some(task));
        }
    }

    fn ended(&self, reading: &Reading<'_>) {
        let stored = |id: &String| self.world.state(reading.scope, id);
        let state = reading
            .state
            .or_else(|| reading.id.as_ref().map(stored))
            .unwrap_or_default();
        let may_end = is_terminal(state) || (is_interrupted(state) && *reading.scope.agent == *"once");
        if !may_end {
            let id = &reading.id;
            self.world
                .blame(format_args!("a stream of {id:?} ended in {state:?}"));
        }
        self.world.count("streams read to their end");
    }
}
