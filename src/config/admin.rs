//! `[admin]`: the service of operators.

use super::error::Problem;
use super::schema::section;

section! {
    /// The gRPC service `a2ad.admin.v1.PushService`, on the same port: push notifications that wait, and dead letters.
    pub struct Admin {
        /// Serves it to callers whose role names "push-admin" or single ones of its operations; nobody else may. It needs
        /// callers who say who they are. `a2ad push` works on the database without it.
        enabled: bool = false;
        /// Deliveries on a page, and deliveries that one call changes, at most.
        page_size_max: u32 = 500, 1..=2_000;
    }
}

impl Admin {
    /// What can't be meant; `is_authenticated` when callers have to say who they are.
    pub(super) fn problems(&self, is_authenticated: bool) -> Vec<Problem> {
        if !self.enabled || is_authenticated {
            return Vec::new();
        }
        vec![Problem::new(
            "admin.enabled",
            "is for nobody while nobody has to say who they are; set tls.client_ca_file, auth.issuers or \
             auth.api_keys.enabled too, and a role with operations = [\"push-admin\"]",
        )]
    }
}
