//! The values that the JSON forms are tried on.

use a2ad::pb::{ListValue, Part, Struct, TaskStatus, Timestamp, Value, part, value};
use prost::Message as _;

/// Text that must mean the same to us and to Python.
pub const SAME: &[(&str, &str)] = &[
    // Parts, all kinds, empty ones too.
    ("Part", r#"{}"#),
    ("Part", r#"{"text":""}"#),
    ("Part", r#"{"text":"a\u0000b\ud83d\ude00\"\\\/\n"}"#),
    ("Part", r#"{"text":"é漢\u2028"}"#),
    ("Part", r#"{"raw":""}"#),
    ("Part", r#"{"raw":"AAEC/w=="}"#),
    ("Part", r#"{"raw":"-_8="}"#),
    ("Part", r#"{"raw":"+/8"}"#),
    ("Part", r#"{"raw":"-_8"}"#),
    ("Part", r#"{"raw":"AA"}"#),
    ("Part", r#"{"url":"https://a.example/x?y=1&z"}"#),
    ("Part", r#"{"data":null}"#),
    ("Part", r#"{"data":true}"#),
    ("Part", r#"{"data":"text"}"#),
    ("Part", r#"{"data":""}"#),
    ("Part", r#"{"data":[]}"#),
    ("Part", r#"{"data":{}}"#),
    ("Part", r#"{"data":[null,[null],{"a":null}]}"#),
    ("Part", r#"{"data":{"b":1,"a":{"z":[],"y":{}}}}"#),
    ("Part", r#"{"text":null,"url":"x"}"#),
    ("Part", r#"{"text":"x","url":null,"raw":null}"#),
    (
        "Part",
        r#"{"text":"x","metadata":null,"filename":null,"mediaType":null}"#,
    ),
    ("Part", r#"{"text":"x","media_type":"text/plain","filename":"f"}"#),
    (
        "Part",
        r#"{"text":"x","later":{"deep":[1,{"a":null}]},"another":1e2}"#,
    ),
    // Numbers in values.
    ("Part", r#"{"data":0}"#),
    ("Part", r#"{"data":-0.0}"#),
    ("Part", r#"{"data":1.0}"#),
    ("Part", r#"{"data":-7}"#),
    ("Part", r#"{"data":0.1}"#),
    ("Part", r#"{"data":1e-7}"#),
    ("Part", r#"{"data":9007199254740991}"#),
    ("Part", r#"{"data":9007199254740992}"#),
    ("Part", r#"{"data":9007199254740993}"#),
    ("Part", r#"{"data":-9007199254740993}"#),
    ("Part", r#"{"data":18446744073709551615}"#),
    ("Part", r#"{"data":-9223372036854775808}"#),
    ("Part", r#"{"data":123456789012345680}"#),
    ("Part", r#"{"data":123456789012345678901234567890}"#),
    ("Part", r#"{"data":1e300}"#),
    ("Part", r#"{"data":1.7976931348623157e308}"#),
    ("Part", r#"{"data":5e-324}"#),
    ("Part", r#"{"data":2.5e-3}"#),
    ("Part", r#"{"data":[1,2.5,-3,1e2]}"#),
    (
        "Part",
        r#"{"data":[9007199254740991.0,1.7976931348623155e308,2.2250738585072011e-308]}"#,
    ),
    (
        "Part",
        r#"{"data":[72057594037927933.5,0.30000000000000004,8.41,123456.789e-30]}"#,
    ),
    // Metadata.
    (
        "Message",
        r#"{"messageId":"m","role":"ROLE_USER","parts":[{"text":"t"}],"metadata":{}}"#,
    ),
    (
        "Message",
        r#"{"metadata":{"":"empty key","ключ":[1],"a":{"b":{"c":[{"d":null}]}}}}"#,
    ),
    (
        "Message",
        r#"{"metadata":{"n":null,"t":true,"f":false,"l":[null]}}"#,
    ),
    // Enums.
    ("Message", r#"{"role":"ROLE_AGENT"}"#),
    ("Message", r#"{"role":2}"#),
    ("Message", r#"{"role":1.0}"#),
    ("Message", r#"{"role":0}"#),
    ("Message", r#"{"role":99}"#),
    ("Message", r#"{"role":-1}"#),
    ("Message", r#"{"role":null}"#),
    ("TaskStatus", r#"{"state":"TASK_STATE_AUTH_REQUIRED"}"#),
    // Names, nulls, arrays.
    ("Message", r#"{}"#),
    (
        "Message",
        r#"{"message_id":"a","context_id":"b","task_id":"c","reference_task_ids":["d"]}"#,
    ),
    (
        "Message",
        r#"{"parts":null,"extensions":null,"metadata":null,"messageId":null}"#,
    ),
    ("Message", r#"{"parts":[],"extensions":[]}"#),
    ("Message", r#"{"extensions":["",""]}"#),
    ("Message", "\t{ \"parts\" : [ { \"text\" : \"x\" } , {} ] }\r\n"),
    // int32 and optional.
    ("GetTaskRequest", r#"{"id":"t","historyLength":0}"#),
    ("GetTaskRequest", r#"{"id":"t","historyLength":null}"#),
    ("GetTaskRequest", r#"{"id":"t","historyLength":"10"}"#),
    ("GetTaskRequest", r#"{"historyLength":10.0}"#),
    ("GetTaskRequest", r#"{"historyLength":1e1}"#),
    ("GetTaskRequest", r#"{"historyLength":-0}"#),
    ("GetTaskRequest", r#"{"historyLength":"1e1"}"#),
    ("GetTaskRequest", r#"{"historyLength":"10.0"}"#),
    ("GetTaskRequest", r#"{"historyLength":-2147483648}"#),
    ("GetTaskRequest", r#"{"historyLength":2147483647}"#),
    ("ListTasksRequest", r#"{"includeArtifacts":false,"pageSize":0}"#),
    (
        "ListTasksRequest",
        r#"{"statusTimestampAfter":"2025-10-28T10:30:00.123Z"}"#,
    ),
    (
        "ListTasksResponse",
        r#"{"tasks":[],"nextPageToken":"","pageSize":0,"totalSize":0}"#,
    ),
    (
        "ListTasksResponse",
        r#"{"tasks":[{"id":"1"},{"id":"2"}],"totalSize":"2"}"#,
    ),
    (
        "AgentCapabilities",
        r#"{"streaming":false,"pushNotifications":true,"extendedAgentCard":null}"#,
    ),
    // Timestamps.
    ("TaskStatus", r#"{"timestamp":"1970-01-01T00:00:00Z"}"#),
    ("TaskStatus", r#"{"timestamp":"2025-10-28T10:30:00.142Z"}"#),
    ("TaskStatus", r#"{"timestamp":"2025-10-28T10:30:00.1Z"}"#),
    ("TaskStatus", r#"{"timestamp":"1969-12-31T23:59:59.999Z"}"#),
    ("TaskStatus", r#"{"timestamp":"2025-10-28T10:30:00+05:30"}"#),
    ("TaskStatus", r#"{"timestamp":"2025-10-28T10:30:00.500-23:59"}"#),
    ("TaskStatus", r#"{"timestamp":"0001-01-01T00:00:00Z"}"#),
    ("TaskStatus", r#"{"timestamp":"9999-12-31T23:59:59.999Z"}"#),
    ("TaskStatus", r#"{"timestamp":"2024-02-29T23:59:59Z"}"#),
    ("TaskStatus", r#"{"timestamp":null}"#),
    // Oneofs of messages, nested messages, maps.
    (
        "StreamResponse",
        r#"{"statusUpdate":{"taskId":"t","contextId":"c","status":{"state":"TASK_STATE_WORKING"}}}"#,
    ),
    (
        "StreamResponse",
        r#"{"artifact_update":{"artifact":{"artifactId":"a","parts":[{}]},"lastChunk":true}}"#,
    ),
    ("StreamResponse", r#"{"task":{}}"#),
    ("StreamResponse", r#"{"task":null,"message":{}}"#),
    (
        "SendMessageRequest",
        r#"{"message":{},"configuration":{},"metadata":{}}"#,
    ),
    (
        "SendMessageRequest",
        r#"{"configuration":{"taskPushNotificationConfig":{"url":"https://x","authentication":{"scheme":"Bearer"}}}}"#,
    ),
    (
        "SecurityRequirement",
        r#"{"schemes":{"b":{"list":["x"]},"a":{}}}"#,
    ),
    ("SecurityRequirement", r#"{"schemes":{}}"#),
    ("SecurityScheme", r#"{"mtlsSecurityScheme":{}}"#),
    (
        "SecurityScheme",
        r#"{"oauth2SecurityScheme":{"flows":{"password":{"tokenUrl":"u","scopes":{"b":"2","a":"1"}}},"oauth2MetadataUrl":"m"}}"#,
    ),
    (
        "SecurityScheme",
        r#"{"oauth2_security_scheme":{"flows":{"authorization_code":{"pkce_required":true}}}}"#,
    ),
    (
        "AgentCard",
        r#"{"name":"n","capabilities":{},"skills":[{"id":"s","tags":[]}],"securitySchemes":{"k":{"apiKeySecurityScheme":{"location":"header","name":"X"}}},"iconUrl":""}"#,
    ),
    (
        "AgentCard",
        r#"{"signatures":[{"protected":"e30","signature":"s","header":{"kid":"1"}}],"documentationUrl":"d"}"#,
    ),
    (
        "Task",
        r#"{"id":"t","contextId":"c","status":{"state":3,"message":{"role":2},"timestamp":"2025-01-01T00:00:00Z"},"artifacts":[{"artifactId":"a","name":"n"}],"history":[{},{}],"metadata":{"k":[1]}}"#,
    ),
];

/// Text that nobody may take.
pub const REFUSED: &[(&str, &str)] = &[
    ("Message", "null"),
    ("Message", "1"),
    ("Part", r#"{"data":1e400}"#),
    ("Message", ""),
    ("Message", "{"),
    ("Message", "{} {}"),
    ("Message", r#"{"messageId":"a","messageId":"b"}"#),
    ("Message", r#"{"messageId":1}"#),
    ("Message", r#"{"messageId":["a"]}"#),
    ("Message", r#"{"parts":{}}"#),
    ("Message", r#"{"parts":[null]}"#),
    ("Message", r#"{"extensions":[null]}"#),
    ("Message", r#"{"extensions":[1]}"#),
    ("Message", r#"{"role":{}}"#),
    ("Message", r#"{"metadata":[]}"#),
    ("Message", r#"{"metadata":"x"}"#),
    ("Message", r#"{"metadata":{"a":1,"a":2}}"#),
    ("Part", r#"{"text":"a","url":"b"}"#),
    ("Part", r#"{"raw":"A"}"#),
    ("Part", r#"{"raw":1}"#),
    ("GetTaskRequest", r#"{"historyLength":1.5}"#),
    ("GetTaskRequest", r#"{"historyLength":2147483648}"#),
    ("GetTaskRequest", r#"{"historyLength":true}"#),
    ("GetTaskRequest", r#"{"historyLength":""}"#),
    ("GetTaskRequest", r#"{"historyLength":"x"}"#),
    ("GetTaskRequest", r#"{"historyLength":" 1"}"#),
    ("ListTasksRequest", r#"{"includeArtifacts":"true"}"#),
    ("ListTasksRequest", r#"{"includeArtifacts":1}"#),
    ("TaskStatus", r#"{"timestamp":""}"#),
    ("TaskStatus", r#"{"timestamp":0}"#),
    ("TaskStatus", r#"{"timestamp":"2025-10-28"}"#),
    ("TaskStatus", r#"{"timestamp":"2025-10-28T10:30:00"}"#),
    ("TaskStatus", r#"{"timestamp":"2025-10-28t10:30:00Z"}"#),
    ("TaskStatus", r#"{"timestamp":"2025-10-28T10:30:00z"}"#),
    ("TaskStatus", r#"{"timestamp":"2025-10-28T10:30:60Z"}"#),
    ("TaskStatus", r#"{"timestamp":"2025-10-28T10:30:00.1234567890Z"}"#),
    ("TaskStatus", r#"{"timestamp":"0000-01-01T00:00:00Z"}"#),
    ("TaskStatus", r#"{"timestamp":"9999-12-31T23:59:59-01:00"}"#),
    ("TaskStatus", r#"{"timestamp":"2025-02-29T00:00:00Z"}"#),
    ("StreamResponse", r#"{"task":{},"message":{}}"#),
    ("SecurityRequirement", r#"{"schemes":{"a":null}}"#),
];

/// Text that Python takes and we refuse, and why.
pub const STRICTER: &[(&str, &str, &str)] = &[
    ("Message", "[]", "an array is not a message"),
    (
        "Message",
        "\"text\"",
        "a string is not a message; Python looks for field names in it",
    ),
    (
        "Part",
        r#"{"raw":"@@@@"}"#,
        "Python drops characters that are not base64",
    ),
    ("Part", r#"{"raw":"AA A="}"#, "blanks are not base64"),
    (
        "Message",
        r#"{"role":"1"}"#,
        "the mapping has numbers or names, not numbers as names",
    ),
    ("Message", r#"{"role":true}"#, "Python counts true as 1"),
    ("Message", r#"{"role":3.5}"#, "Python cuts the fraction off"),
    (
        "Message",
        r#"{"role":"ROLE_OTHER"}"#,
        "with unknown fields ignored, Python makes unknown names the default",
    ),
    (
        "GetTaskRequest",
        r#"{"historyLength":"+10"}"#,
        "not a JSON number",
    ),
    (
        "Message",
        r#"{"contextId":"a","context_id":"b"}"#,
        "Python lets the last spelling win",
    ),
    (
        "Part",
        r#"{"text":"a","data":null}"#,
        "null is data here; Python lets it win silently",
    ),
    (
        "Part",
        r#"{"data":null,"raw":""}"#,
        "the same the other way round",
    ),
];

/// Text and what we write for it, to the letter.
pub const FORMS: &[(&str, &str, &str)] = &[
    (
        "Message",
        "{}",
        r#"{"messageId":"","role":"ROLE_UNSPECIFIED","parts":[]}"#,
    ),
    (
        "Message",
        r#"{"role":77}"#,
        r#"{"messageId":"","role":77,"parts":[]}"#,
    ),
    (
        "Part",
        r#"{"data":{"b":1.0,"a":[1e3,-0.5]}}"#,
        r#"{"data":{"a":[1000,-0.5],"b":1}}"#,
    ),
    ("Part", r#"{"raw":"-_8"}"#, r#"{"raw":"+/8="}"#),
    ("Part", r#"{"data":null}"#, r#"{"data":null}"#),
    ("Part", r#"{"text":""}"#, r#"{"text":""}"#),
    (
        "TaskStatus",
        r#"{"state":3,"timestamp":"2025-10-28T12:30:00+02:00"}"#,
        r#"{"state":"TASK_STATE_COMPLETED","timestamp":"2025-10-28T10:30:00.000Z"}"#,
    ),
    // Python writes all nine digits; the specification's pattern has three.
    (
        "TaskStatus",
        r#"{"timestamp":"2025-10-28T10:30:00.123456789Z"}"#,
        r#"{"state":"TASK_STATE_UNSPECIFIED","timestamp":"2025-10-28T10:30:00.123Z"}"#,
    ),
    (
        "ListTasksResponse",
        "{}",
        r#"{"tasks":[],"nextPageToken":"","pageSize":0,"totalSize":0}"#,
    ),
    (
        "GetTaskRequest",
        r#"{"historyLength":0}"#,
        r#"{"id":"","historyLength":0}"#,
    ),
    (
        "AgentCapabilities",
        r#"{"streaming":false}"#,
        r#"{"streaming":false}"#,
    ),
    (
        "SecurityScheme",
        r#"{"oauth2SecurityScheme":{"flows":{"clientCredentials":{}}}}"#,
        r#"{"oauth2SecurityScheme":{"flows":{"clientCredentials":{"tokenUrl":"","scopes":{}}}}}"#,
    ),
    ("Task", "{}", r#"{"id":""}"#),
];

fn value(kind: Option<value::Kind>) -> Value {
    Value { kind }
}

fn data(value: Value) -> Vec<u8> {
    Part {
        content: Some(part::Content::Data(value)),
        ..Default::default()
    }
    .encode_to_vec()
}

/// Wire forms that no text leads to, and what is written for them.
pub fn wires() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let list = ListValue {
        values: vec![value(Some(value::Kind::NumberValue(2.0)))],
    };
    let object = Struct {
        fields: [("k".to_owned(), value(Some(value::Kind::ListValue(list))))].into(),
    };
    vec![
        (
            "Part",
            data(value(Some(value::Kind::NullValue(0)))),
            r#"{"data":null}"#,
        ),
        ("Part", data(value(None)), r#"{"data":null}"#),
        (
            "Part",
            data(value(Some(value::Kind::StructValue(object)))),
            r#"{"data":{"k":[2]}}"#,
        ),
        // A field number that this version does not know.
        (
            "Part",
            vec![0x0a, 1, b'x', 0x9a, 0x06, 1, b'y'],
            r#"{"text":"x"}"#,
        ),
    ]
}

/// Wire forms that have no JSON form.
pub fn unwritable() -> Vec<(&'static str, Vec<u8>)> {
    let status = |seconds, nanos| {
        TaskStatus {
            timestamp: Some(Timestamp { seconds, nanos }),
            ..Default::default()
        }
        .encode_to_vec()
    };
    vec![
        ("Part", data(value(Some(value::Kind::NumberValue(f64::NAN))))),
        ("Part", data(value(Some(value::Kind::NumberValue(f64::INFINITY))))),
        (
            "Part",
            data(value(Some(value::Kind::NumberValue(f64::NEG_INFINITY)))),
        ),
        ("TaskStatus", status(i64::MAX, 0)),
        ("TaskStatus", status(0, 1_000_000_000)),
        ("TaskStatus", status(0, -1)),
    ]
}
