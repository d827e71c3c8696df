//! The four operations on push notification configurations (specification 3.1.7 to 3.1.10).

use super::guard::Admission;
use super::{Inner, ServiceSettings};
use crate::agent::Agent;
use crate::config::MASK;
use crate::context::{CallContext, Scope};
use crate::egress::Refusal;
use crate::error::{Error, Violation};
use crate::execution::of_write;
use crate::pb::inspect::inspect;
use crate::pb::{
    DeleteTaskPushNotificationConfigRequest, GetTaskPushNotificationConfigRequest,
    ListTaskPushNotificationConfigsRequest, ListTaskPushNotificationConfigsResponse,
    TaskPushNotificationConfig,
};
use crate::push::{EVENTS_EXTENSION, Wanted, credentials};
use crate::repository;
use crate::task::{check_id, new_id};

/// Checks a configuration and gives it an id if it has none.
pub(super) fn complete(
    mut config: TaskPushNotificationConfig,
    at: &str,
    settings: &ServiceSettings,
    call: &CallContext,
    agent: &Agent,
) -> Result<TaskPushNotificationConfig, Error> {
    let field = |name: &str| {
        if at.is_empty() {
            name.to_owned()
        } else {
            format!("{at}.{name}")
        }
    };
    if config.id.is_empty() {
        config.id = new_id();
    }
    check_id(&config.id, settings.id_bytes_max).map_err(|why| Error::invalid(field("id"), why))?;
    if let Err(refusal) = settings.webhooks.check(&config.url) {
        let instead = match refusal {
            Refusal::Credentials => "; use the authentication field",
            _ => "",
        };
        let why = format!("a webhook URL {refusal}{instead}");
        return Err(Error::invalid(field("url"), why));
    }
    check_events(call, agent, &config.url).map_err(|why| Error::invalid(field("url"), why))?;
    let secrets = [
        ("token", Some(&config.token)),
        (
            "authentication.scheme",
            config.authentication.as_ref().map(|auth| &auth.scheme),
        ),
        (
            "authentication.credentials",
            config.authentication.as_ref().map(|auth| &auth.credentials),
        ),
    ];
    for (name, text) in secrets {
        if text.is_some_and(|text| text.len() > 4_096 || text.chars().any(char::is_control)) {
            return Err(Error::invalid(
                field(name),
                "at most 4096 bytes and no control characters are allowed here",
            ));
        }
    }
    if let Some((name, why)) = refused_secret(&config) {
        return Err(Error::invalid(field(name), why));
    }
    // The tenant is where the configuration is kept, not a part of it.
    config.tenant.clear();
    Ok(config)
}

/// Which events a URL chooses counts for callers that know the extension. For others it would be a fragment that means
/// nothing, and they are told rather than sent less than they expect.
fn check_events(call: &CallContext, agent: &Agent, url: &str) -> Result<(), String> {
    if Wanted::of_url(url)?.is_none() {
        return Ok(());
    }
    let capabilities = agent.card.capabilities.as_ref();
    let mut declared = capabilities
        .iter()
        .flat_map(|capabilities| &capabilities.extensions);
    if !declared.any(|extension| extension.uri == EVENTS_EXTENSION) {
        return Err(
            "chooses events, which the agent's card does not offer; take the fragment out".to_owned(),
        );
    }
    if !call.extensions.iter().any(|uri| uri == EVENTS_EXTENSION) {
        return Err(format!(
            "chooses events; declare the extension {EVENTS_EXTENSION} in A2A-Extensions, or take the fragment out"
        ));
    }
    Ok(())
}

/// What is wrong with the secrets of a configuration: the field, and what to do.
fn refused_secret(config: &TaskPushNotificationConfig) -> Option<(&'static str, &'static str)> {
    const MASKED: &str = "is what answers show instead of a secret; send the secret itself";
    if config.token == MASK {
        return Some(("token", MASKED));
    }
    let authentication = config.authentication.as_ref()?;
    if authentication.credentials == MASK {
        return Some(("authentication.credentials", MASKED));
    }
    match credentials::check(authentication) {
        Ok(()) => None,
        Err(("scheme", why)) => Some(("authentication.scheme", why)),
        Err((_, why)) => Some(("authentication.credentials", why)),
    }
}

/// A configuration as it is shown: that there are secrets, and not which.
fn masked(mut config: TaskPushNotificationConfig) -> TaskPushNotificationConfig {
    let mask = |secret: &mut String| {
        if !secret.is_empty() {
            MASK.clone_into(secret);
        }
    };
    mask(&mut config.token);
    if let Some(authentication) = &mut config.authentication {
        mask(&mut authentication.credentials);
    }
    config
}

impl Inner {
    pub(super) async fn create_push_config(
        &self,
        call: &CallContext,
        admission: &Admission,
        request: TaskPushNotificationConfig,
    ) -> Result<TaskPushNotificationConfig, Error> {
        inspect(&request, &self.settings.inspect).map_err(Error::violations)?;
        self.check_task_id(&request.task_id, "taskId", Vec::new())?;
        let tenant = request.tenant.clone();
        let config = complete(request, "", &self.settings, call, &admission.agent)?;
        let limit = self.settings.push_configs_per_task_max;
        let (repository, scope, stored) = (self.repository.clone(), admission.scope.clone(), config.clone());
        let put = async move { repository.put_push_config(&scope, &stored, limit).await };
        // What is on its way by the configuration that it replaces is of the past.
        self.change_push_config(&config.task_id, &config.id, put).await?;
        Ok(TaskPushNotificationConfig {
            tenant,
            ..masked(config)
        })
    }

    pub(super) async fn get_push_config(
        &self,
        admission: &Admission,
        request: GetTaskPushNotificationConfigRequest,
    ) -> Result<TaskPushNotificationConfig, Error> {
        self.check_push_ids(&request.task_id, &request.id)?;
        let configs = self.all_push_configs(admission, &request.task_id).await?;
        let found = configs.into_iter().find(|config| config.id == request.id);
        let config = found.ok_or_else(|| {
            Error::new(
                crate::error::Kind::TaskNotFound,
                "the task has no push notification configuration of this id; list them to see which it has",
            )
            .with("taskId", &request.task_id)
            .with("pushNotificationConfigId", &request.id)
        })?;
        Ok(TaskPushNotificationConfig {
            tenant: request.tenant,
            ..masked(config)
        })
    }

    /// One page; a task has few configurations, so the page token is simply the last id of the page before.
    pub(super) async fn list_push_configs(
        &self,
        admission: &Admission,
        request: ListTaskPushNotificationConfigsRequest,
    ) -> Result<ListTaskPushNotificationConfigsResponse, Error> {
        let most = i32::try_from(self.settings.page_size_max).unwrap_or(i32::MAX);
        let mut violations = Vec::new();
        // The field has no presence: 0 means that the caller named no size.
        if !(0..=most).contains(&request.page_size) {
            violations.push(Violation {
                field: "pageSize".into(),
                description: format!("must be between 1 and {most}, got {}", request.page_size),
            });
        }
        if !request.page_token.is_empty()
            && check_id(&request.page_token, self.settings.id_bytes_max).is_err()
        {
            violations.push(Violation {
                field: "pageToken".into(),
                description: "not a token of this listing; use nextPageToken as it came".into(),
            });
        }
        self.check_task_id(&request.task_id, "taskId", violations)?;
        let mut configs = self.all_push_configs(admission, &request.task_id).await?;
        configs.retain(|config| config.id > request.page_token);
        let size = if request.page_size == 0 {
            most
        } else {
            request.page_size
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let more = configs.len() > size;
        configs.truncate(size);
        for config in &mut configs {
            config.tenant.clone_from(&request.tenant);
        }
        let next_page_token = configs
            .last()
            .filter(|_| more)
            .map(|last| last.id.clone())
            .unwrap_or_default();
        Ok(ListTaskPushNotificationConfigsResponse {
            configs: configs.into_iter().map(masked).collect(),
            next_page_token,
        })
    }

    pub(super) async fn delete_push_config(
        &self,
        admission: &Admission,
        request: DeleteTaskPushNotificationConfigRequest,
    ) -> Result<(), Error> {
        let DeleteTaskPushNotificationConfigRequest { task_id, id, .. } = request;
        self.check_push_ids(&task_id, &id)?;
        let (repository, scope) = (self.repository.clone(), admission.scope.clone());
        let (of_task, of_config) = (task_id.clone(), id.clone());
        let delete = async move { repository.delete_push_config(&scope, &of_task, &of_config).await };
        self.change_push_config(&task_id, &id, delete).await
    }

    /// Changes a configuration of a task, if there is such a task, and stops what is being sent by it as it was: also when
    /// the caller has hung up before the change was written, or nobody knows whether it was.
    async fn change_push_config(
        &self,
        task_id: &str,
        id: &str,
        change: impl Future<Output = Result<bool, repository::Error>> + Send + 'static,
    ) -> Result<(), Error> {
        let pushes = self.pushes.clone();
        let (of_task, of_config) = (task_id.to_owned(), id.to_owned());
        let changing = async move {
            let changed = change.await;
            if changed != Ok(false) {
                pushes.stop(&of_task, &of_config);
            }
            changed
        };
        let changed = self.changes.finish("push configuration", changing).await;
        match changed.map(|changed| changed.map_err(of_write)) {
            Some(Ok(true)) => Ok(()),
            Some(Ok(false)) => Err(Error::task_not_found(task_id)),
            Some(Err(error)) => Err(error),
            None => Err(Error::internal(&"a change of a push configuration panicked")),
        }
    }

    /// Refuses configurations that come with a message for a task that has as many as it may.
    pub(super) async fn check_push_room(
        &self,
        scope: &Scope,
        task_id: &str,
        configs: &[TaskPushNotificationConfig],
    ) -> Result<(), Error> {
        if configs.is_empty() {
            return Ok(());
        }
        // A task that does not exist is the send's business.
        let known = self
            .repository
            .push_configs(scope, task_id)
            .await?
            .unwrap_or_default();
        let is_new = |config: &&TaskPushNotificationConfig| known.iter().all(|known| known.id != config.id);
        let limit = self.settings.push_configs_per_task_max;
        if known.len() + configs.iter().filter(is_new).count() > limit {
            return Err(repository::Error::TooMany(limit).into());
        }
        Ok(())
    }

    async fn all_push_configs(
        &self,
        admission: &Admission,
        task_id: &str,
    ) -> Result<Vec<TaskPushNotificationConfig>, Error> {
        let configs = self.repository.push_configs(&admission.scope, task_id).await?;
        configs.ok_or_else(|| Error::task_not_found(task_id))
    }

    fn check_push_ids(&self, task_id: &str, id: &str) -> Result<(), Error> {
        let mut violations = Vec::new();
        if let Err(description) = check_id(id, self.settings.id_bytes_max) {
            violations.push(Violation {
                field: "id".into(),
                description,
            });
        }
        self.check_task_id(task_id, "taskId", violations)
    }
}
