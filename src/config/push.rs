//! `[push]`: push notifications.

use super::schema::section;

section! {
    /// Where webhooks may be.
    pub struct Push {
        /// Takes webhooks on loopback, by plain http too. For development and tests: a caller could otherwise reach
        /// whatever listens on this machine.
        allow_loopback_webhooks: bool = false;
        /// Networks that are not public and whose hosts may be webhooks all the same, like "10.1.0.0/16". Loopback,
        /// link-local and multicast addresses are none of theirs, whatever is written here.
        allowed_networks: Vec<String> = Vec::new();
    }
}
