//! The mailboxes of writers.
