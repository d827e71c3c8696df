//! The id of a delivery: the same for every attempt, whoever makes it and whenever.

use aws_lc_rs::digest;
use uuid::{Builder, Uuid};

use crate::repository::DeliveryKey;

/// A UUID of version 8 that follows from the task, the configuration and the number of the event, and from nothing else.
pub fn delivery_id(key: &DeliveryKey) -> Uuid {
    let stream = &key.stream;
    let pieces = ["a2ad push delivery", &stream.task_id, &stream.config_id];
    let sum = sum(&pieces, key.generation);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&sum[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}

/// The trace that all deliveries of a task are in, as 32 hex digits: the log does not know the caller's.
pub(super) fn trace_id(task_id: &str) -> String {
    let sum = sum(&["a2ad push trace", task_id], 0);
    sum[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each piece with its length, so that none runs into the next.
fn sum(pieces: &[&str], number: u64) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for piece in pieces {
        context.update(&(piece.len() as u64).to_le_bytes());
        context.update(piece.as_bytes());
    }
    context.update(&number.to_le_bytes());
    let mut sum = [0; 32];
    sum.copy_from_slice(context.finish().as_ref());
    sum
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::repository::PushStream;

    fn id(task_id: &str, config_id: &str, generation: u64) -> Uuid {
        let stream = PushStream {
            task_id: Arc::from(task_id),
            config_id: Arc::from(config_id),
        };
        delivery_id(&DeliveryKey { stream, generation })
    }

    #[test]
    fn an_id_is_the_same_for_ever_and_each_delivery_has_its_own() {
        // Written down: receivers remember ids across our versions.
        assert_eq!(
            id("task", "config", 7).to_string(),
            "06874d76-6ad6-8015-877e-aa1685aaf9c7"
        );
        assert_eq!(id("task", "config", 7).get_version_num(), 8);
        let ids = [
            id("t", "c", 1),
            id("t", "c", 2),
            id("tc", "", 1),
            id("", "tc", 1),
            id("t", "cc", 1),
        ];
        for (at, one) in ids.iter().enumerate() {
            assert!(!ids[at + 1..].contains(one));
        }
        assert_eq!(trace_id("t"), trace_id("t"));
        assert_ne!(trace_id("t"), trace_id("u"));
        assert_eq!(trace_id("t").len(), 32);
    }
}
