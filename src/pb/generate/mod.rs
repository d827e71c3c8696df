//! Prints what the `pb` room derives from the descriptors: ProtoJSON, inspection and the OpenAPI document.
//!
//! Only build.rs compiles this. [`model`] says what a field is; each printer turns that into text.

mod inspect;
mod json;
mod model;
mod openapi;

use prost_reflect::DescriptorPool;

/// The package whose messages get code; `google.*` has hand-written code in `pb::codec`.
pub const PACKAGE: &str = "lf.a2a.v1";

/// Every generated file: its name in OUT_DIR and its text.
pub fn run(pool: &DescriptorPool) -> [(&'static str, String); 3] {
    let package = model::Package::read(pool);
    [
        ("json.rs", json::print(&package)),
        ("inspect.rs", inspect::print(&package)),
        ("openapi.json", openapi::print(pool)),
    ]
}
