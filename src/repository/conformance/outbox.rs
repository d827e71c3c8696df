//! What the cases about push notifications have in common: a repository that is both, and somebody who sends.

use std::sync::Arc;
use std::time::Duration;

use super::{Sketch, ok, push_config, scope};
use crate::pb::TaskPushNotificationConfig;
use crate::repository::{
    ClaimQuery, Claimed, Delivery, DeliveryFilter, DeliveryState, Error, Except, Failure, Next,
    PushRepository, Settlement, TaskRepository, TaskWrite,
};

pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// One repository by both its ports.
#[derive(Clone)]
pub struct Both {
    /// Its tasks.
    pub tasks: Arc<dyn TaskRepository>,
    /// What waits to be sent of them.
    pub push: Arc<dyn PushRepository>,
}

impl Both {
    /// Both ports of a repository.
    pub fn of<R: TaskRepository + PushRepository>(repository: Arc<R>) -> Self {
        Self {
            tasks: repository.clone(),
            push: repository,
        }
    }

    /// Creates a task of somebody with push configurations, to `https://<host>/<task>/<configuration>`.
    pub(super) async fn task(&self, owner: &str, id: &str, configs: &[(&str, &str)]) -> Sketch {
        let mut sketch = Sketch::new(&scope(owner), id);
        let create = TaskWrite {
            push_configs: configs
                .iter()
                .map(|(config, host)| to(id, config, host))
                .collect(),
            ..sketch.create()
        };
        ok(self.tasks.commit(create).await);
        sketch
    }

    /// A task of Ada with the configuration `p`, and so many events that wait for it.
    pub(super) async fn waiting(&self, id: &str, events: usize) -> Sketch {
        let mut sketch = self.task("ada", id, &[("p", "example.org")]).await;
        for _ in 1..events {
            ok(self.tasks.commit(sketch.chunks(&["x"])).await);
        }
        sketch
    }

    /// Claims all that is due.
    pub(super) async fn claim(&self) -> Vec<Claimed> {
        ok(self.push.claim(&query(HOUR)).await).claimed
    }

    /// Claims the only stream that is due.
    #[track_caller]
    pub(super) fn claim_one(&self) -> impl Future<Output = Claimed> + use<'_> {
        let place = std::panic::Location::caller();
        async move {
            let mut claimed = self.claim().await;
            assert_eq!(claimed.len(), 1, "{place}: {claimed:?}");
            claimed.remove(0)
        }
    }

    /// How long until anything is to be claimed.
    pub(super) async fn next_due(&self) -> Result<Option<Duration>, Error> {
        self.next_due_but(&Except::default()).await
    }

    /// The same for what is not left alone.
    pub(super) async fn next_due_but(&self, except: &Except) -> Result<Option<Duration>, Error> {
        Ok(self.push.next_due(except).await?.wait)
    }

    /// Settles one claim; whether it held.
    pub(super) async fn settle(&self, claimed: &Claimed, done: &[u64], next: Next) -> bool {
        let settled = ok(self.push.settle(&[settlement(claimed, done, next)]).await);
        assert_eq!(settled.len(), 1);
        settled[0]
    }

    /// Gives up the first delivery that is due.
    pub(super) async fn give_up(&self) {
        let claimed = self.claim_one().await;
        assert!(
            self.settle(&claimed, &[], Next::GiveUp(failure("it is gone")))
                .await
        );
    }

    pub(super) async fn deliveries(&self, filter: &DeliveryFilter) -> Vec<Delivery> {
        ok(self.push.deliveries(filter, None, 1_000).await)
    }

    /// The numbers of the events in a state, of all streams.
    pub(super) async fn generations(&self, state: DeliveryState) -> Vec<u64> {
        let filter = DeliveryFilter {
            state: Some(state),
            ..DeliveryFilter::default()
        };
        let found = self.deliveries(&filter).await.into_iter();
        found.map(|delivery| delivery.key.generation).collect()
    }
}

pub(super) fn to(task_id: &str, id: &str, host: &str) -> TaskPushNotificationConfig {
    push_config(task_id, id, &format!("https://{host}/{task_id}/{id}"))
}

pub(super) fn query(ttl: Duration) -> ClaimQuery {
    ClaimQuery {
        limit: 100,
        deliveries_max: 100,
        ttl,
        except: Except::default(),
    }
}

pub(super) fn settlement(claimed: &Claimed, done: &[u64], next: Next) -> Settlement {
    Settlement {
        stream: claimed.stream.clone(),
        claim: claimed.claim,
        done: done.to_vec(),
        next,
    }
}

pub(super) fn failure(cause: &str) -> Failure {
    Failure {
        status: Some(503),
        cause: cause.to_owned(),
    }
}

pub(super) fn numbers(claimed: &Claimed) -> Vec<u64> {
    claimed
        .deliveries
        .iter()
        .map(|waiting| waiting.generation)
        .collect()
}
