//! Our a2a.proto says what the official one says: names, numbers, types, routes, required marks.

use std::collections::BTreeSet;

use a2ad::pb::{FILE_DESCRIPTOR_SET, admin};
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, MessageDescriptor, MethodDescriptor,
};

use crate::python;

const PACKAGE: &str = "lf.a2a.v1";
const ADMIN_PACKAGE: &str = "a2ad.admin.v1";

#[test]
fn is_the_official_sdks() {
    let official =
        python::unhex(std::str::from_utf8(&python::run(&["tests/peers/descriptor.py"], "")).unwrap());
    assert_same(
        &facts(&official, PACKAGE),
        &facts(FILE_DESCRIPTOR_SET, PACKAGE),
        250,
    );
}

#[test]
fn is_the_same_to_protoc() {
    let protoc = compiled("lf/a2a/v1/a2a.proto");
    assert_same(
        &facts(&protoc, PACKAGE),
        &facts(FILE_DESCRIPTOR_SET, PACKAGE),
        250,
    );
}

#[test]
fn the_operators_service_is_the_same_to_protoc() {
    let protoc = compiled("a2ad/admin/v1/push.proto");
    let ours = facts(admin::FILE_DESCRIPTOR_SET, ADMIN_PACKAGE);
    assert_same(&facts(&protoc, ADMIN_PACKAGE), &ours, 45);
}

/// What protoc makes of a file.
fn compiled(proto: &str) -> Vec<u8> {
    let set = std::env::temp_dir().join(format!("a2ad-descriptor-{}-{}", std::process::id(), proto.len()));
    let out = format!("--descriptor_set_out={}", set.display());
    python::run(
        &[
            "-m",
            "grpc_tools.protoc",
            "-Iproto",
            "--include_imports",
            &out,
            proto,
        ],
        "",
    );
    let protoc = std::fs::read(&set).unwrap();
    std::fs::remove_file(&set).unwrap();
    protoc
}

fn assert_same(theirs: &BTreeSet<String>, ours: &BTreeSet<String>, least: usize) {
    assert!(theirs.len() > least, "only {} facts were found", theirs.len());
    let missing: Vec<_> = theirs.difference(ours).collect();
    let extra: Vec<_> = ours.difference(theirs).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "missing: {missing:#?}\nextra: {extra:#?}"
    );
}

/// Everything that a peer could notice, a line each.
fn facts(set: &[u8], package: &str) -> BTreeSet<String> {
    let pool = DescriptorPool::decode(set).unwrap();
    let mut facts = BTreeSet::new();
    for message in pool.all_messages().filter(|one| one.package_name() == package) {
        facts.insert(message_fact(&message));
        facts.extend(message.fields().map(|field| field_fact(&field)));
    }
    for one in pool.all_enums().filter(|one| one.package_name() == package) {
        facts.extend(enum_facts(&one));
    }
    for service in pool.services().filter(|one| one.package_name() == package) {
        facts.extend(service.methods().map(|method| method_fact(&method)));
    }
    facts
}

fn message_fact(message: &MessageDescriptor) -> String {
    let oneofs: Vec<_> = message.oneofs().map(|oneof| oneof.name().to_owned()).collect();
    let reserved: Vec<_> = message.reserved_ranges().collect();
    let names: Vec<_> = message.reserved_names().collect();
    format!(
        "message {} oneofs {oneofs:?} reserved {reserved:?} {names:?}",
        message.full_name()
    )
}

fn field_fact(field: &FieldDescriptor) -> String {
    format!(
        "field {} = {} type {:?} {:?} json {} oneof {:?} optional {} packed {} options {}",
        field.full_name(),
        field.number(),
        field.kind(),
        field.cardinality(),
        field.json_name(),
        field.containing_oneof().map(|oneof| oneof.name().to_owned()),
        field.field_descriptor_proto().proto3_optional(),
        field.is_packed(),
        options(&field.options()),
    )
}

fn enum_facts(one: &EnumDescriptor) -> Vec<String> {
    one.values()
        .map(|value| format!("enum {} {} = {}", one.full_name(), value.name(), value.number()))
        .collect()
}

fn method_fact(method: &MethodDescriptor) -> String {
    format!(
        "rpc {} ({} {}) returns ({} {}) options {}",
        method.full_name(),
        method.input().full_name(),
        method.is_client_streaming(),
        method.output().full_name(),
        method.is_server_streaming(),
        options(&method.options()),
    )
}

/// The options in text form, extensions included: http, method_signature, field_behavior, deprecated.
fn options(options: &DynamicMessage) -> String {
    let extensions = options
        .extensions()
        .map(|(extension, value)| format!("{}={value}", extension.full_name()));
    let fields = options
        .fields()
        .map(|(field, value)| format!("{}={value}", field.full_name()));
    let lines: BTreeSet<_> = extensions.chain(fields).collect();
    format!("{lines:?}")
}
