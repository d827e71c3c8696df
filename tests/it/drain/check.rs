//! What the API says after a restart, against what clients were told before it.

use std::time::Duration;

use a2ad::pb::{GetTaskRequest, ListTasksRequest, TaskState};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::load::{Client, Ledger, state};

/// Recovery of a restarted hold takes as long as the hold; no test holds longer than this, but for those that fail.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(30);
const CALLS_AT_ONCE: usize = 16;

/// Waits until no task says that it is working, or fails.
pub(super) async fn nothing_is_unfinished(client: &Client) {
    let finished = async {
        let mut looks = tokio::time::interval(Duration::from_millis(50));
        loop {
            looks.tick().await;
            if unfinished(client).await == 0 {
                return;
            }
        }
    };
    let finished = tokio::time::timeout(RECOVERY_TIME_MAX, finished).await;
    assert!(
        finished.is_ok(),
        "{} tasks are still working {RECOVERY_TIME_MAX:?} after a restart",
        unfinished(client).await
    );
}

async fn unfinished(client: &Client) -> i32 {
    let mut count = 0;
    for state in [TaskState::Submitted, TaskState::Working] {
        let request = ListTasksRequest {
            status: state.into(),
            ..ListTasksRequest::default()
        };
        count += client
            .0
            .clone()
            .list_tasks(request)
            .await
            .expect("tasks can be listed")
            .into_inner()
            .total_size;
    }
    count
}

/// Every acknowledged task is there, and in the state that is final for it. Their number.
pub(super) async fn acknowledged(client: &Client, ledger: &Ledger) -> usize {
    let count = ledger.len();
    assert_eq!(
        lost(client, ledger).await,
        Vec::<String>::new(),
        "of {count} acknowledged tasks"
    );
    count
}

/// A sentence for each acknowledged task that is not there, or not in the state that is final for it.
pub(super) async fn lost(client: &Client, ledger: &Ledger) -> Vec<String> {
    stream::iter(ledger.all())
        .map(|(id, kind, told)| async move {
            let request = GetTaskRequest {
                id: id.clone(),
                ..GetTaskRequest::default()
            };
            let problem = match client.0.clone().get_task(request).await {
                Err(status) => Some(format!("{kind:?} {id} was told {told:?} and is lost: {status}")),
                Ok(answer) => {
                    let found = state(answer.get_ref());
                    (!may_become(told, found)).then(|| format!("{kind:?} {id} was {told:?} and is {found:?}"))
                }
            };
            Ok::<_, std::convert::Infallible>(problem)
        })
        .buffer_unordered(CALLS_AT_ONCE)
        .try_filter_map(|problem| async move { Ok(problem) })
        .try_collect()
        .await
        .unwrap_or_else(|never| match never {})
}

/// A terminal state never changes, nor does one that waits for its client, who said nothing more.
fn may_become(told: TaskState, found: TaskState) -> bool {
    match told {
        TaskState::Submitted | TaskState::Working => {
            matches!(
                found,
                TaskState::Completed | TaskState::Failed | TaskState::Canceled | TaskState::InputRequired
            )
        }
        other => found == other,
    }
}
