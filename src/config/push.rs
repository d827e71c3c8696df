//! `[push]`: push notifications.

use super::schema::section;

section! {
    /// Where webhooks may be.
    pub struct Push {
        /// Takes webhooks on loopback, by plain http too. For development and tests: a caller could otherwise reach
        /// whatever listens on this machine.
        allow_loopback_webhooks: bool = false;
    }
}
