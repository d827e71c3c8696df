//! The OpenAPI document is whole: it has every route of the specification's section 11.3 and no loose ends.

use std::collections::BTreeSet;

use serde_json::Value;

fn document() -> Value {
    serde_json::from_str(a2ad::pb::OPENAPI_JSON).unwrap()
}

#[test]
fn has_every_route_with_and_without_tenant() {
    let document = document();
    for (verb, path) in [
        ("post", "/message:send"),
        ("post", "/message:stream"),
        ("get", "/tasks"),
        ("get", "/tasks/{id}"),
        ("post", "/tasks/{id}:cancel"),
        ("get", "/tasks/{id}:subscribe"),
        ("post", "/tasks/{id}:subscribe"),
        ("post", "/tasks/{taskId}/pushNotificationConfigs"),
        ("get", "/tasks/{taskId}/pushNotificationConfigs"),
        ("get", "/tasks/{taskId}/pushNotificationConfigs/{id}"),
        ("delete", "/tasks/{taskId}/pushNotificationConfigs/{id}"),
        ("get", "/extendedAgentCard"),
    ] {
        for path in [path.to_owned(), format!("/{{tenant}}{path}")] {
            let operation = &document["paths"][&path][verb];
            assert!(operation.is_object(), "{verb} {path}");
            assert!(
                operation["responses"]["200"]["content"].is_object(),
                "{verb} {path}"
            );
            let bound = path.matches('{').count();
            let parameters = operation["parameters"].as_array().unwrap();
            assert_eq!(
                parameters.iter().filter(|one| one["in"] == "path").count(),
                bound,
                "{verb} {path}"
            );
        }
    }
    assert_eq!(document["paths"].as_object().unwrap().len(), 18);
}

#[test]
fn query_parameters_are_the_fields_that_the_path_leaves() {
    let document = document();
    let parameters = document["paths"]["/tasks"]["get"]["parameters"]
        .as_array()
        .unwrap()
        .clone();
    let query: BTreeSet<_> = parameters
        .iter()
        .filter(|one| one["in"] == "query")
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    let expected = BTreeSet::from([
        "tenant",
        "contextId",
        "status",
        "pageSize",
        "pageToken",
        "historyLength",
        "statusTimestampAfter",
        "includeArtifacts",
    ]);
    assert_eq!(query, expected);
}

#[test]
fn bodies_streams_and_required_fields_are_described() {
    let document = document();
    let send = &document["paths"]["/message:send"]["post"]["requestBody"];
    let schema = &send["content"]["application/a2a+json"]["schema"]["$ref"];
    assert_eq!(schema, "#/components/schemas/SendMessageRequest");
    let stream = &document["paths"]["/tasks/{id}:subscribe"]["post"]["responses"]["200"]["content"];
    assert!(stream["text/event-stream"].is_object());
    let required = &document["components"]["schemas"]["Message"]["required"];
    assert_eq!(*required, serde_json::json!(["messageId", "role", "parts"]));
}

#[test]
fn every_reference_resolves_and_every_operation_id_is_unique() {
    let document = document();
    let mut references = BTreeSet::new();
    let mut ids = Vec::new();
    walk(&document, &mut |key, value| match (key, value.as_str()) {
        ("$ref", Some(target)) => _ = references.insert(target.to_owned()),
        ("operationId", Some(id)) => ids.push(id.to_owned()),
        _ => {}
    });
    assert!(references.len() > 30);
    for target in references {
        assert!(
            document.pointer(target.strip_prefix('#').unwrap()).is_some(),
            "{target}"
        );
    }
    let unique: BTreeSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len());
}

fn walk(value: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                visit(key, member);
                walk(member, visit);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}
