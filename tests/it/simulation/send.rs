//! Callers that send: blocking, at once, streaming; with keys and without.

use a2ad::context::{CallContext, Scope};
use a2ad::error::{Error, Kind};
use a2ad::execution::EventStream;
use a2ad::pb::send_message_response::Payload;
use a2ad::pb::{Message, SendMessageRequest, Task};
use a2ad::task::is_settled;

use super::agent::script;
use super::client::{Client, Told};
use super::world::Node;
use crate::support::messages::{at_once, message, send_of, state};

/// How often a send under a key is repeated before its caller gives up.
const ATTEMPTS_MAX: usize = 60;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Blocking,
    AtOnce,
    Streaming,
}

/// One message, however often it is sent.
#[derive(Clone)]
struct Sending {
    what: String,
    id: String,
    scope: Scope,
    /// The task that it continues, and whether that is the caller's own.
    target: Option<(String, bool)>,
    key: Option<String>,
    way: Way,
    request: SendMessageRequest,
}

enum Answer {
    Task(Box<Task>),
    Message,
    Stream(EventStream),
}

impl Client {
    pub async fn send(&mut self) {
        let sending = self.sending();
        for attempt in 0.. {
            let known = sending.target.as_ref().map_or(0, |(id, _)| self.world.seen(id));
            let patience = self.random.below(600);
            let told = self.attempt(&sending, patience).await;
            if attempt > 0 && matches!(told, Told::Answer(Ok(_))) {
                self.world.count("answered when repeated");
            }
            match told {
                Told::Answer(Ok(Answer::Stream(stream))) => {
                    let cursor = sending.target.is_none().then_some(0);
                    return self
                        .follow_send(&sending.scope, &sending.id, stream, cursor)
                        .await;
                }
                Told::Answer(Ok(Answer::Task(task))) => return self.taken(&sending, &task, known),
                Told::Answer(Ok(Answer::Message)) => {
                    self.world.count("direct answers");
                    return self.world.acknowledged(&sending.id, None);
                }
                Told::Answer(Err(error)) => return self.refused(&sending, &error),
                Told::Nothing if sending.key.is_none() || attempt >= ATTEMPTS_MAX => return,
                Told::Nothing => self.pause(150).await,
            }
        }
    }

    fn sending(&mut self) -> Sending {
        self.sent += 1;
        let id = format!("m-{}-{}", self.name, self.sent);
        let target = if self.random.chance(40) {
            self.any_task()
        } else {
            None
        };
        let key = self.random.chance(55).then(|| format!("key-{id}"));
        let way = *self.random.pick(&[Way::Blocking, Way::AtOnce, Way::Streaming]);
        let said = script(&mut self.random);
        let (scope, target) = match target {
            Some((scope, task, own)) => (self.scope(&scope.agent), Some((task, own))),
            None => {
                let agent = self.any_agent();
                (self.scope(agent), None)
            }
        };
        let sent = Message {
            task_id: target.as_ref().map(|(task, _)| task.clone()).unwrap_or_default(),
            ..message(&id, &said)
        };
        let request = send_of(&scope.agent, sent);
        let keyed = key.as_deref().unwrap_or("no k");
        let what = format!("sends {id} {way:?} {keyed} to {} {target:?}: {said}", scope.agent);
        let request = if way == Way::AtOnce {
            at_once(request)
        } else {
            request
        };
        Sending {
            what,
            id,
            scope,
            target,
            key,
            way,
            request,
        }
    }

    async fn attempt(&mut self, sending: &Sending, patience_ms: u64) -> Told<Answer> {
        let sent = sending.clone();
        let twice = sent.key.is_some() && self.random.chance(15);
        self.call(
            &sending.what,
            patience_ms,
            async move |node: Node, mut call: CallContext| {
                call.idempotency_key = sent.key.as_deref().map(Into::into);
                let first = deliver(&node, &call, sent.way, sent.request.clone());
                if !twice {
                    return first.await;
                }
                // Two at once under one key, as a proxy may send them.
                let (first, second) =
                    tokio::join!(biased; first, deliver(&node, &call, sent.way, sent.request.clone()));
                agree(first, second)
            },
        )
        .await
    }

    fn taken(&mut self, sending: &Sending, task: &Task, known: u64) {
        let world = &self.world;
        world.acknowledged(&sending.id, Some(task));
        world.saw_task(&sending.scope, task, known, &sending.what);
        if sending.way == Way::Blocking && !is_settled(state(task)) {
            world.blame(format_args!("{}: answered in {:?}", sending.what, state(task)));
        }
        if let Some((id, _)) = &sending.target
            && *id != task.id
        {
            world.blame(format_args!("{}: answered with task {}", sending.what, task.id));
        }
    }

    fn refused(&mut self, sending: &Sending, error: &Error) {
        let target = sending
            .target
            .as_ref()
            .map(|(id, own)| (&sending.scope, id.as_str(), *own));
        if error.kind == Kind::InvalidAgentResponse {
            self.world.count("broken agents");
            return;
        }
        self.judge(&sending.what, error, target);
    }
}

async fn deliver(
    node: &Node,
    call: &CallContext,
    way: Way,
    request: SendMessageRequest,
) -> Result<Answer, Error> {
    if way == Way::Streaming {
        return Ok(Answer::Stream(
            node.service.send_streaming_message(call, request).await?,
        ));
    }
    let response = node.service.send_message(call, request).await?;
    Ok(match response.payload {
        Some(Payload::Task(task)) => Answer::Task(Box::new(task)),
        _ => Answer::Message,
    })
}

/// Of two answers to the same send, the one that says more; both must name the same task.
fn agree(first: Result<Answer, Error>, second: Result<Answer, Error>) -> Result<Answer, Error> {
    match (first, second) {
        (Ok(Answer::Task(first)), Ok(Answer::Task(second))) => {
            assert_eq!(first.id, second.id, "one key made two tasks");
            Ok(Answer::Task(second))
        }
        (Ok(answer), _) | (_, Ok(answer)) => Ok(answer),
        (Err(first), Err(second)) if first.kind == Kind::Unavailable => Err(second),
        (Err(first), Err(_)) => Err(first),
    }
}
