//! Audit records: one for each decision and change, in chains that show tampering, wherever they are kept.

mod aborted;
mod calls;
mod certificates;
mod changes;
mod commands;
mod decisions;
mod full;
mod kills;
mod logs;
mod on_postgres;
pub mod program;
mod sinks;
mod tamper;
