//! The integration tests, in one binary: one module per subject.

mod descriptor;
mod json_forms;
mod openapi;
mod python;
