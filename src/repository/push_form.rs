//! Deliveries as the messages of the operators' service say them, for that service and for commands.

use std::sync::Arc;

use super::push::{Delivery, DeliveryFilter, DeliveryState};
use crate::context::Principal;
use crate::pb::stream_response::Payload;
use crate::pb::{Timestamp, admin};
use crate::task::TaskEvent;

impl From<DeliveryState> for admin::DeliveryState {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Waiting => Self::Waiting,
            DeliveryState::Dead => Self::Dead,
        }
    }
}

/// What an operator may know of a delivery; without its event.
impl From<&Delivery> for admin::Delivery {
    fn from(delivery: &Delivery) -> Self {
        let failure = delivery.failure.as_ref();
        Self {
            name: delivery.key.to_string(),
            agent: delivery.scope.agent.to_string(),
            owner: delivery.scope.owner.as_str().to_owned(),
            task_id: delivery.key.stream.task_id.to_string(),
            config_id: delivery.key.stream.config_id.to_string(),
            host: delivery.host.to_string(),
            state: admin::DeliveryState::from(delivery.state).into(),
            since_time: Some(time(delivery.since_ms)),
            attempts: i32::try_from(delivery.attempts).unwrap_or(i32::MAX),
            due_time: delivery.due_ms.map(time),
            dead_time: delivery.dead_ms.map(time),
            last_status: failure.and_then(|failure| failure.status).map(i32::from),
            last_cause: failure.map(|failure| failure.cause.clone()).unwrap_or_default(),
            event: String::new(),
            task_state: String::new(),
        }
    }
}

impl admin::Delivery {
    /// Says what its event is, as far as the event can be read.
    #[must_use]
    pub fn with_event(mut self, event: Option<&TaskEvent>) -> Self {
        let payload = event.and_then(|event| event.decode().ok());
        let kind = payload.map_or("", |payload| match payload {
            Payload::Task(_) => "task",
            Payload::Message(_) => "message",
            Payload::StatusUpdate(_) => "statusUpdate",
            Payload::ArtifactUpdate(_) => "artifactUpdate",
        });
        kind.clone_into(&mut self.event);
        let state = event.and_then(|event| event.state);
        self.task_state = state
            .map(|state| state.as_str_name().to_owned())
            .unwrap_or_default();
        self
    }
}

/// The filter that a message says; an unknown state is none, which nobody asks for who has inspected it.
impl From<&admin::DeliveryFilter> for DeliveryFilter {
    fn from(filter: &admin::DeliveryFilter) -> Self {
        let text = |text: &str| (!text.is_empty()).then(|| Arc::from(text));
        Self {
            state: match filter.state() {
                admin::DeliveryState::Unspecified => None,
                admin::DeliveryState::Waiting => Some(DeliveryState::Waiting),
                admin::DeliveryState::Dead => Some(DeliveryState::Dead),
            },
            agent: text(&filter.agent),
            owner: (!filter.owner.is_empty()).then(|| Principal::verified(&filter.owner)),
            owners: None,
            task_id: text(&filter.task_id),
            config_id: text(&filter.config_id),
            generation: None,
            host: text(&filter.host),
        }
    }
}

fn time(at_ms: i64) -> Timestamp {
    Timestamp {
        seconds: at_ms.div_euclid(1_000),
        nanos: i32::try_from(at_ms.rem_euclid(1_000) * 1_000_000).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Scope;
    use crate::pb::{TaskState, TaskStatus, TaskStatusUpdateEvent};
    use crate::repository::Failure;

    #[test]
    fn every_field_arrives() {
        let delivery = Delivery {
            key: "t/c/7".parse().unwrap(),
            scope: Scope {
                agent: "echo".into(),
                owner: Principal::verified("key:a"),
            },
            host: "a:1".into(),
            state: DeliveryState::Dead,
            since_ms: -1,
            attempts: 3,
            due_ms: None,
            failure: Some(Failure {
                status: Some(503),
                cause: "busy".to_owned(),
            }),
            dead_ms: Some(1_500),
        };
        let update = TaskStatusUpdateEvent {
            status: Some(TaskStatus {
                state: TaskState::Failed.into(),
                ..TaskStatus::default()
            }),
            ..TaskStatusUpdateEvent::default()
        };
        let event = TaskEvent::encode(7, &Payload::StatusUpdate(update));
        let expected = admin::Delivery {
            name: "t/c/7".to_owned(),
            agent: "echo".to_owned(),
            owner: "key:a".to_owned(),
            task_id: "t".to_owned(),
            config_id: "c".to_owned(),
            host: "a:1".to_owned(),
            state: 2,
            since_time: Some(Timestamp {
                seconds: -1,
                nanos: 999_000_000,
            }),
            attempts: 3,
            due_time: None,
            dead_time: Some(Timestamp {
                seconds: 1,
                nanos: 500_000_000,
            }),
            last_status: Some(503),
            last_cause: "busy".to_owned(),
            event: "statusUpdate".to_owned(),
            task_state: "TASK_STATE_FAILED".to_owned(),
        };
        assert_eq!(
            admin::Delivery::from(&delivery).with_event(Some(&event)),
            expected
        );
        let unread = admin::Delivery::from(&delivery).with_event(None);
        assert_eq!((&*unread.event, &*unread.task_state), ("", ""));
    }
}
