//! Prints what the `pb` room derives from the descriptors: ProtoJSON, inspection and the OpenAPI document.
//!
//! Only build.rs compiles this. [`model`] says what a field is; each printer turns that into text.

mod inspect;
mod json;
mod model;
mod openapi;

use prost_reflect::DescriptorPool;

/// The package of the protocol; `google.*` has hand-written code in `pb::codec`.
pub const PACKAGE: &str = "lf.a2a.v1";
/// The package of the operators' service.
const ADMIN_PACKAGE: &str = "a2ad.admin.v1";

/// What is generated for the protocol: each file's name in OUT_DIR and its text.
pub fn protocol(pool: &DescriptorPool) -> Vec<(&'static str, String)> {
    let package = model::Package::read(pool, PACKAGE);
    vec![
        ("json.rs", json::print(&package)),
        ("inspect.rs", inspect::print(&package)),
        ("openapi.json", openapi::print(pool)),
    ]
}

/// What is generated for the operators' service, which has no HTTP.
pub fn admin(pool: &DescriptorPool) -> Vec<(&'static str, String)> {
    let package = model::Package::read(pool, ADMIN_PACKAGE);
    vec![
        ("admin_json.rs", json::print(&package)),
        ("admin_inspect.rs", inspect::print(&package)),
    ]
}
