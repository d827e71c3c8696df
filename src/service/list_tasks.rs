//! List Tasks (specification 3.1.4).

use super::guard::Admission;
use super::{Inner, history};
use crate::error::{Error, Violation};
use crate::pb::inspect::inspect;
use crate::pb::{ListTasksRequest, ListTasksResponse, TaskState};
use crate::repository::ListQuery;
use crate::task::check_label;

impl Inner {
    pub(super) async fn list_tasks(
        &self,
        admission: &Admission,
        request: ListTasksRequest,
    ) -> Result<ListTasksResponse, Error> {
        inspect(&request, &self.settings.inspect).map_err(Error::violations)?;
        let query = self.list_query(admission, &request)?;
        let page = self.repository.list(&admission.scope, &query).await?;
        let next_page_token = page
            .next
            .as_ref()
            .map(|next| self.page_tokens.seal(&admission.scope, &query, next));
        let with_artifacts = request.include_artifacts.unwrap_or(false);
        let tasks = page.tasks.into_iter().map(|stored| {
            let mut task = stored.task;
            history::trim(
                &mut task,
                request.history_length,
                self.settings.history_length_max,
            );
            if !with_artifacts {
                task.artifacts.clear();
            }
            task
        });
        Ok(ListTasksResponse {
            tasks: tasks.collect(),
            next_page_token: next_page_token.unwrap_or_default(),
            page_size: i32::try_from(query.limit).unwrap_or(i32::MAX),
            total_size: i32::try_from(page.total).unwrap_or(i32::MAX),
        })
    }

    fn list_query(&self, admission: &Admission, request: &ListTasksRequest) -> Result<ListQuery, Error> {
        let mut violations = Vec::new();
        history::check(request.history_length, "historyLength", &mut violations);
        if let Err(description) = check_label(&request.context_id, self.settings.id_bytes_max) {
            violations.push(Violation {
                field: "contextId".into(),
                description,
            });
        }
        let limit = self.page_size(request.page_size, &mut violations);
        let mut query = ListQuery {
            context_id: (!request.context_id.is_empty()).then(|| request.context_id.clone()),
            state: Some(request.status()).filter(|state| *state != TaskState::Unspecified),
            status_after_ms: request.status_timestamp_after.as_ref().map(milliseconds_up),
            cursor: None,
            limit,
            bytes_max: Some(self.settings.list_bytes_max),
            count_limit: self.settings.list_count_max,
        };
        if !request.page_token.is_empty() {
            match self
                .page_tokens
                .open(&admission.scope, &query, &request.page_token)
            {
                Some(cursor) => query.cursor = Some(cursor),
                None => violations.push(Violation {
                    field: "pageToken".into(),
                    description:
                        "not a token of this listing; repeat the filters and use nextPageToken as it came"
                            .into(),
                }),
            }
        }
        if violations.is_empty() {
            Ok(query)
        } else {
            Err(Error::violations(violations))
        }
    }

    fn page_size(&self, asked: Option<i32>, violations: &mut Vec<Violation>) -> usize {
        let most = self.settings.page_size_max;
        match asked.map(|size| (size, u32::try_from(size))) {
            None => self.settings.page_size_default.min(most) as usize,
            Some((_, Ok(size))) if (1..=most).contains(&size) => size as usize,
            Some((size, _)) => {
                violations.push(Violation {
                    field: "pageSize".into(),
                    description: format!("must be between 1 and {most}, got {size}"),
                });
                0
            }
        }
    }
}

/// Stored times have whole milliseconds; a bound between two of them is met by the later one.
fn milliseconds_up(at: &crate::pb::Timestamp) -> i64 {
    at.seconds
        .saturating_mul(1_000)
        .saturating_add((i64::from(at.nanos) + 999_999).div_euclid(1_000_000))
}
