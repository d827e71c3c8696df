//! Prints the OpenAPI 3.1 document of the HTTP+JSON binding (specification section 11).

use prost_reflect::{
    DescriptorPool, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
    ReflectMessage, Value as OptionValue,
};
use serde_json::{Map, Value, json};

use super::PACKAGE;
use super::model::Required;

const JSON: &str = "application/a2a+json";
const EVENTS: &str = "text/event-stream";
/// The descriptor has GET for it, the specification's section 11.3.2 has POST: both are served.
const ALSO_POST: &str = "SubscribeToTask";

pub fn print(pool: &DescriptorPool) -> String {
    let printer = Printer {
        http: pool
            .get_extension_by_name("google.api.http")
            .expect("annotations.proto is imported"),
        required: Required::new(pool),
    };
    serde_json::to_string(&printer.document(pool)).expect("a Value prints")
}

struct Printer {
    http: ExtensionDescriptor,
    required: Required,
}

/// One HTTP route of a method.
struct Route {
    verb: String,
    /// The template with JSON names: `/{tenant}/tasks/{id}`.
    path: String,
    /// Proto names of the fields in the path.
    bound: Vec<String>,
    body: bool,
}

impl Printer {
    fn document(&self, pool: &DescriptorPool) -> Value {
        let mut paths = Map::new();
        for method in pool
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>())
        {
            for route in self.routes(&method) {
                let item = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
                item[route.verb.as_str()] = self.operation(&method, &route);
            }
        }
        let mut schemas = error_schemas();
        for message in pool
            .all_messages()
            .filter(|one| one.package_name() == PACKAGE && !one.is_map_entry())
        {
            schemas.insert(message.name().to_owned(), self.message(&message, &[]));
        }
        for one in pool.all_enums().filter(|one| one.package_name() == PACKAGE) {
            let names: Vec<_> = one.values().map(|value| value.name().to_owned()).collect();
            schemas.insert(one.name().to_owned(), json!({"type": "string", "enum": names}));
        }
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "A2A over HTTP and JSON",
                "version": "1.0",
                "description": "The HTTP+JSON binding of the Agent2Agent protocol.",
            },
            "paths": paths,
            "components": {"schemas": schemas, "parameters": headers(), "responses": {"Error": error_response()}},
        })
    }

    fn routes(&self, method: &MethodDescriptor) -> Vec<Route> {
        let options = method.options();
        let rule = options.get_extension(&self.http);
        let rule = rule.as_message().expect("http is a message");
        let more = rule
            .get_field_by_name("additional_bindings")
            .expect("HttpRule has it")
            .into_owned();
        let more = more
            .as_list()
            .expect("it is repeated")
            .iter()
            .filter_map(OptionValue::as_message);
        let mut routes: Vec<_> = std::iter::once(rule).chain(more).map(Route::read).collect();
        if method.name() == ALSO_POST {
            let posts: Vec<_> = routes.iter().map(Route::as_post).collect();
            routes.extend(posts);
        }
        routes
    }

    fn operation(&self, method: &MethodDescriptor, route: &Route) -> Value {
        let input = method.input();
        let mut parameters: Vec<_> = headers()
            .keys()
            .map(|name| json!({"$ref": format!("#/components/parameters/{name}")}))
            .collect();
        for field in input.fields() {
            let in_path = route.bound.iter().any(|name| name == field.name());
            if in_path || !route.body {
                parameters.push(json!({
                    "name": field.json_name(),
                    "in": if in_path { "path" } else { "query" },
                    "required": in_path,
                    "description": comment(field.path(), &field.parent_message().parent_file()),
                    "schema": self.field(&field),
                }));
            }
        }
        let mut operation = json!({
            "operationId": route.operation_id(method),
            "summary": comment(method.path(), &method.parent_file()),
            "parameters": parameters,
            "responses": {
                "200": response(method),
                "default": {"$ref": "#/components/responses/Error"},
            },
        });
        if route.body {
            operation["requestBody"] = self.body(&input, &route.bound);
        }
        operation
    }

    /// The request body: the message without what the path already says.
    fn body(&self, input: &MessageDescriptor, bound: &[String]) -> Value {
        let schema = if bound.is_empty() {
            reference(input.name())
        } else {
            self.message(input, bound)
        };
        let required = input
            .fields()
            .any(|field| self.required.holds_for(&field) && !bound.contains(&field.name().into()));
        json!({"required": required, "content": {JSON: {"schema": schema}}})
    }

    fn message(&self, message: &MessageDescriptor, without: &[String]) -> Value {
        let fields: Vec<_> = message
            .fields()
            .filter(|field| !without.contains(&field.name().into()))
            .collect();
        let properties: Map<_, _> = fields
            .iter()
            .map(|field| {
                let mut schema = self.field(field);
                let text = comment(field.path(), &field.parent_message().parent_file());
                if !text.is_empty() {
                    schema["description"] = text.into();
                }
                (field.json_name().to_owned(), schema)
            })
            .collect();
        let required: Vec<_> = fields
            .iter()
            .filter(|field| self.required.holds_for(field))
            .map(|field| field.json_name())
            .collect();
        let mut schema = json!({
            "type": "object",
            "description": comment(message.path(), &message.parent_file()),
            "properties": properties,
        });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            schema["oneOf"] = oneof
                .fields()
                .map(|field| json!({"required": [field.json_name()]}))
                .collect();
        }
        schema
    }

    fn field(&self, field: &FieldDescriptor) -> Value {
        if field.is_map() {
            let entry = field.kind();
            let entry = entry.as_message().expect("a map has an entry");
            return json!({"type": "object", "additionalProperties": single(&entry.map_entry_value_field())});
        }
        if field.is_list() {
            json!({"type": "array", "items": single(field)})
        } else {
            single(field)
        }
    }
}

impl Route {
    fn read(rule: &prost_reflect::DynamicMessage) -> Self {
        let oneof = rule
            .descriptor()
            .oneofs()
            .next()
            .expect("HttpRule has the pattern");
        let verb = oneof
            .fields()
            .find(|verb| rule.has_field(verb))
            .expect("every rule has a verb");
        let template = rule
            .get_field(&verb)
            .as_str()
            .expect("a path is a string")
            .replace("=*}", "}");
        let bound: Vec<String> = template
            .split('{')
            .skip(1)
            .filter_map(|rest| Some(rest.split_once('}')?.0.to_owned()))
            .collect();
        let path = template.replace("{task_id}", "{taskId}");
        let body = rule
            .get_field_by_name("body")
            .is_some_and(|body| body.as_str() == Some("*"));
        Self {
            verb: verb.name().to_owned(),
            path,
            bound,
            body,
        }
    }

    fn as_post(&self) -> Self {
        Self {
            verb: "post".to_owned(),
            path: self.path.clone(),
            bound: self.bound.clone(),
            body: false,
        }
    }

    /// Unique in the document, as OpenAPI demands.
    fn operation_id(&self, method: &MethodDescriptor) -> String {
        let tenant = if self.bound.iter().any(|name| name == "tenant") {
            "ForTenant"
        } else {
            ""
        };
        let post = if method.name() == ALSO_POST && self.verb == "post" {
            "ByPost"
        } else {
            ""
        };
        format!("{}{post}{tenant}", method.name())
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn single(field: &FieldDescriptor) -> Value {
    match field.kind() {
        Kind::String => json!({"type": "string"}),
        Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Int32 => json!({"type": "integer", "format": "int32"}),
        Kind::Enum(one) => reference(one.name()),
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Struct" => json!({"type": "object", "additionalProperties": true}),
            "google.protobuf.Value" => json!({}),
            "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
            _ => reference(message.name()),
        },
        other => panic!("{}: no schema for {other:?}", field.full_name()),
    }
}

fn response(method: &MethodDescriptor) -> Value {
    let output = method.output();
    let schema = match output.package_name() {
        PACKAGE => reference(output.name()),
        _ => json!({"type": "object", "additionalProperties": false}),
    };
    if method.is_server_streaming() {
        return json!({
            "description": "Server-sent events; the data of each is one JSON object of this schema.",
            "content": {EVENTS: {"schema": schema}},
        });
    }
    json!({"description": "The answer.", "content": {JSON: {"schema": schema}}})
}

fn headers() -> Map<String, Value> {
    let header = |name: &str, text: &str| json!({"name": name, "in": "header", "required": false, "description": text, "schema": {"type": "string"}});
    let mut headers = Map::new();
    headers.insert(
        "A2A-Version".into(),
        header(
            "A2A-Version",
            "The protocol version as major.minor; this document is about 1.0.",
        ),
    );
    headers.insert(
        "A2A-Extensions".into(),
        header(
            "A2A-Extensions",
            "Comma-separated URIs of the extensions that the caller wants to use.",
        ),
    );
    headers
}

fn error_response() -> Value {
    let retry_after = json!({
        "description": "Seconds after which the request may be tried again, on 429 (a quota) and 503.",
        "schema": {"type": "integer"},
    });
    json!({
        "description": "What went wrong.",
        "headers": {"Retry-After": retry_after},
        "content": {JSON: {"schema": reference("Error")}},
    })
}

fn error_schemas() -> Map<String, Value> {
    let status = json!({
        "type": "object",
        "required": ["code", "message"],
        "properties": {
            "code": {"type": "integer", "description": "The HTTP status."},
            "status": {"type": "string", "description": "The name of the gRPC code."},
            "message": {"type": "string"},
            "details": {"type": "array", "items": reference("ErrorDetail")},
        },
    });
    let detail = json!({
        "type": "object",
        "description": "A google.rpc detail such as ErrorInfo or BadRequest, by its @type.",
        "required": ["@type"],
        "properties": {"@type": {"type": "string"}},
        "additionalProperties": true,
    });
    let error = json!({"type": "object", "required": ["error"], "properties": {"error": status}});
    Map::from_iter([("Error".to_owned(), error), ("ErrorDetail".to_owned(), detail)])
}

/// The comment before the element at `path`, on one line.
fn comment(path: &[i32], file: &prost_reflect::FileDescriptor) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let location = info.and_then(|info| info.location.iter().find(|location| location.path == path));
    let text = location.map_or("", |location| location.leading_comments());
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
