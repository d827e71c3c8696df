//! Sends that may be repeated: the same key of the same owner gives the same task.

use std::sync::Arc;

use aws_lc_rs::digest;
use prost::Message as _;

use super::Inner;
use super::guard::Admission;
use crate::context::CallContext;
use crate::error::{Error, Kind};
use crate::pb::{SendMessageRequest, value};
use crate::repository::IdempotencyKey;
use crate::task::check_label;

/// The extension by which a card says that sends with the same `idempotency-key` give the same task.
pub const IDEMPOTENCY_EXTENSION: &str = "urn:a2ad:extension:idempotency-key:v1";

/// The key in a request's metadata, for callers that can't set headers.
const METADATA_KEY: &str = "idempotency-key";

impl Inner {
    /// The key of a send: the header's, the metadata's, or the message's own id where the agent opted in.
    pub(super) fn idempotency_key(
        &self,
        call: &CallContext,
        request: &SendMessageRequest,
        by_message: bool,
    ) -> Result<Option<IdempotencyKey>, Error> {
        let named = match &call.idempotency_key {
            Some(key) => Some(key.clone()),
            None => metadata_key(request, self.settings.id_bytes_max)?,
        };
        let own = || {
            let id = &request.message.as_ref()?.message_id;
            by_message.then(|| Arc::from(format!("message-id:{id}")))
        };
        let Some(key) = named.or_else(own) else {
            return Ok(None);
        };
        let ttl_ms = i64::try_from(self.settings.idempotency_ttl.as_millis()).unwrap_or(i64::MAX);
        Ok(Some(IdempotencyKey {
            key,
            fingerprint: fingerprint(request),
            expires_ms: self.clock.now_ms().saturating_add(ttl_ms),
        }))
    }

    /// The task that a repeated send belongs to.
    ///
    /// # Errors
    /// CONFLICT when the key came with a different request before.
    pub(super) async fn known_task(
        &self,
        admission: &Admission,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<String>, Error> {
        let Some(key) = key else { return Ok(None) };
        let known = self
            .repository
            .known_key(&admission.scope, &key.key, self.clock.now_ms())
            .await?;
        let Some(known) = known else { return Ok(None) };
        if known.fingerprint != key.fingerprint {
            return Err(Error::new(
                Kind::Conflict,
                "this idempotency key came with a different request before; use a new key for a new request",
            )
            .with("taskId", known.task_id));
        }
        Ok(Some(known.task_id))
    }
}

fn metadata_key(request: &SendMessageRequest, limit: usize) -> Result<Option<Arc<str>>, Error> {
    let field = || format!("metadata.{METADATA_KEY}");
    let found = request
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.fields.get(METADATA_KEY));
    match found.and_then(|value| value.kind.as_ref()) {
        None => Ok(None),
        Some(value::Kind::StringValue(key)) if !key.is_empty() => {
            check_label(key, limit).map_err(|why| Error::invalid(field(), why))?;
            Ok(Some(Arc::from(key.as_str())))
        }
        Some(_) => Err(Error::invalid(
            field(),
            "an idempotency key is a string that is not empty",
        )),
    }
}

/// Tells a repetition from another request under the same key. The message counts, the way of waiting does not.
fn fingerprint(request: &SendMessageRequest) -> [u8; 16] {
    let message = request
        .message
        .as_ref()
        .map(|message| message.encode_to_vec())
        .unwrap_or_default();
    let digest = digest::digest(&digest::SHA256, &message);
    std::array::from_fn(|index| digest.as_ref()[index])
}
