//! The limits of requests.

use std::sync::Arc;
use std::time::Duration;

use crate::egress::EgressPolicy;
use crate::pb::inspect::InspectLimits;
use crate::quota::QuotaSettings;
use crate::signature::SigningKey;

/// How requests are bounded. Every limit is a configuration key of `[limits]` or `[server]`.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// Depth, nodes and parts of a message.
    pub inspect: InspectLimits,
    /// Bytes of one part.
    pub part_bytes_max: usize,
    /// Tasks on a page when the caller names no size.
    pub page_size_default: u32,
    /// Tasks on a page at most.
    pub page_size_max: u32,
    /// Bytes of tasks on a page at most.
    pub list_bytes_max: usize,
    /// Tasks counted for the total of a listing.
    pub list_count_max: usize,
    /// Messages of a history returned at most.
    pub history_length_max: u32,
    /// Streams of one caller.
    pub streams_per_caller_max: usize,
    /// Push configurations of one task.
    pub push_configs_per_task_max: usize,
    /// Changes of push notifications at once that go on when their callers hang up; more wait in their requests.
    pub changes_max: usize,
    /// Bytes of an id or label.
    pub id_bytes_max: usize,
    /// How long an idempotency key is remembered.
    pub idempotency_ttl: Duration,
    /// How long a blocking send may wait; `None` as long as the client stays.
    pub blocking_wait_max: Option<Duration>,
    /// gRPC calls must name the version too.
    pub strict_version: bool,
    /// Where webhooks may be.
    pub webhooks: EgressPolicy,
    /// The key that authenticates page tokens; `None` makes a random one.
    pub page_token_key: Option<[u8; 32]>,
    /// How much callers, agents and organisations may use.
    pub quotas: QuotaSettings,
    /// Agents that may have handed a call on before it comes here.
    pub delegation_hops_max: u32,
    /// The key that cards are signed with; `None` leaves them as they are.
    pub signing_key: Option<Arc<SigningKey>>,
    /// The key that webhooks are signed with; `None` leaves them unsigned.
    pub push_signing_key: Option<Arc<SigningKey>>,
    /// Further keys that are published, former ones and coming ones.
    pub published_keys: Vec<Arc<SigningKey>>,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        Self {
            inspect: InspectLimits::default(),
            part_bytes_max: 1 << 20,
            page_size_default: 50,
            page_size_max: 100,
            list_bytes_max: 3 << 20,
            list_count_max: 5_000,
            history_length_max: 10_000,
            streams_per_caller_max: 1_000,
            push_configs_per_task_max: 16,
            changes_max: 256,
            id_bytes_max: 128,
            idempotency_ttl: Duration::from_secs(24 * 60 * 60),
            blocking_wait_max: None,
            strict_version: false,
            webhooks: EgressPolicy::default(),
            page_token_key: None,
            quotas: QuotaSettings::default(),
            delegation_hops_max: 8,
            signing_key: None,
            push_signing_key: None,
            published_keys: Vec::new(),
        }
    }
}
