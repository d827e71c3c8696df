//! Certificates for development and tests: made on the spot, trusted by nobody else.
//!
//! [`write_dev_certificates`] fills a directory for `a2ad certs dev`; [`DevCa`] issues whatever a test needs,
//! expired and revoked ones included. Never a source of certificates for production.

mod ca;
mod write;

pub use ca::{DevCa, Issued, Names, Validity};
pub use write::{DevCertificates, DevOptions, write_dev_certificates};
