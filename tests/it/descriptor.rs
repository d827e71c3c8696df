//! Our a2a.proto says what the official one says: names, numbers, types, routes, required marks.

use std::collections::BTreeSet;

use a2ad::pb::FILE_DESCRIPTOR_SET;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, MessageDescriptor, MethodDescriptor,
};

use crate::python;

const PACKAGE: &str = "lf.a2a.v1";

#[test]
fn is_the_official_sdks() {
    let official =
        python::unhex(std::str::from_utf8(&python::run(&["tests/peers/descriptor.py"], "")).unwrap());
    assert_same(&facts(&official), &facts(FILE_DESCRIPTOR_SET));
}

#[test]
fn is_the_same_to_protoc() {
    let set = std::env::temp_dir().join(format!("a2ad-descriptor-{}", std::process::id()));
    let out = format!("--descriptor_set_out={}", set.display());
    python::run(
        &[
            "-m",
            "grpc_tools.protoc",
            "-Iproto",
            "--include_imports",
            &out,
            "lf/a2a/v1/a2a.proto",
        ],
        "",
    );
    let protoc = std::fs::read(&set).unwrap();
    std::fs::remove_file(&set).unwrap();
    assert_same(&facts(&protoc), &facts(FILE_DESCRIPTOR_SET));
}

fn assert_same(theirs: &BTreeSet<String>, ours: &BTreeSet<String>) {
    assert!(theirs.len() > 250, "only {} facts were found", theirs.len());
    let missing: Vec<_> = theirs.difference(ours).collect();
    let extra: Vec<_> = ours.difference(theirs).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "missing: {missing:#?}\nextra: {extra:#?}"
    );
}

/// Everything that a peer could notice, a line each.
fn facts(set: &[u8]) -> BTreeSet<String> {
    let pool = DescriptorPool::decode(set).unwrap();
    let mut facts = BTreeSet::new();
    for message in pool.all_messages().filter(|one| one.package_name() == PACKAGE) {
        facts.insert(message_fact(&message));
        facts.extend(message.fields().map(|field| field_fact(&field)));
    }
    for one in pool.all_enums().filter(|one| one.package_name() == PACKAGE) {
        facts.extend(enum_facts(&one));
    }
    for service in pool.services().filter(|one| one.package_name() == PACKAGE) {
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
