//! Our ProtoJSON against Python's protobuf, both ways, over the values in [`cases`].

mod cases;

use a2ad::pb;
use serde_json::{Value, json};

use crate::python;

/// A message type by its name: text to wire, and wire to text.
struct Codec {
    read: fn(&str) -> Result<Vec<u8>, String>,
    write: fn(&[u8]) -> Result<String, String>,
    rewrite: fn(&[u8]) -> Vec<u8>,
}

fn codec_of<T>() -> Codec
where
    T: prost::Message + Default + serde::Serialize + serde::de::DeserializeOwned,
{
    Codec {
        read: |text| {
            pb::json::from_str::<T>(text)
                .map(|one| one.encode_to_vec())
                .map_err(|error| error.to_string())
        },
        write: |wire| {
            let message = T::decode(wire).map_err(|error| error.to_string())?;
            let text = pb::json::to_vec(&message).map_err(|error| error.to_string())?;
            Ok(String::from_utf8(text).unwrap())
        },
        rewrite: |wire| T::decode(wire).unwrap().encode_to_vec(),
    }
}

fn codec(name: &str) -> Codec {
    match name {
        "AgentCapabilities" => codec_of::<pb::AgentCapabilities>(),
        "AgentCard" => codec_of::<pb::AgentCard>(),
        "GetTaskRequest" => codec_of::<pb::GetTaskRequest>(),
        "ListTasksRequest" => codec_of::<pb::ListTasksRequest>(),
        "ListTasksResponse" => codec_of::<pb::ListTasksResponse>(),
        "Message" => codec_of::<pb::Message>(),
        "Part" => codec_of::<pb::Part>(),
        "SecurityRequirement" => codec_of::<pb::SecurityRequirement>(),
        "SecurityScheme" => codec_of::<pb::SecurityScheme>(),
        "SendMessageRequest" => codec_of::<pb::SendMessageRequest>(),
        "StreamResponse" => codec_of::<pb::StreamResponse>(),
        "Task" => codec_of::<pb::Task>(),
        "TaskStatus" => codec_of::<pb::TaskStatus>(),
        other => panic!("no codec for {other}"),
    }
}

/// Asks Python about many cases at once.
fn ask(cases: &[Value]) -> Vec<Value> {
    let lines: String = cases.iter().map(|case| format!("{case}\n")).collect();
    let answers = python::run(&["tests/peers/json_oracle.py"], &lines);
    let answers: Vec<Value> = String::from_utf8(answers)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), cases.len());
    answers
}

fn wire_of(answer: &Value) -> Vec<u8> {
    python::unhex(
        answer["wire"]
            .as_str()
            .unwrap_or_else(|| panic!("Python refuses: {answer}")),
    )
}

#[test]
fn text_means_the_same_to_python() {
    let asked: Vec<_> = cases::SAME
        .iter()
        .map(|(name, text)| json!({"type": name, "json": text}))
        .collect();
    assert!(asked.len() >= 60);
    for ((name, text), answer) in cases::SAME.iter().zip(ask(&asked)) {
        let ours = (codec(name).read)(text).unwrap_or_else(|error| panic!("{name} {text}: {error}"));
        assert_eq!(
            normal(name, &ours),
            normal(name, &wire_of(&answer)),
            "{name} {text}"
        );
    }
}

#[test]
fn our_text_is_pythons_text_and_python_reads_it_back() {
    let asked: Vec<_> = cases::SAME
        .iter()
        .map(|(name, text)| json!({"type": name, "json": text}))
        .collect();
    let first = ask(&asked);
    let texts: Vec<_> = cases::SAME
        .iter()
        .zip(&first)
        .map(|((name, _), answer)| (codec(name).write)(&wire_of(answer)).unwrap())
        .collect();
    let again: Vec<_> = cases::SAME
        .iter()
        .zip(&texts)
        .map(|((name, _), text)| json!({"type": name, "json": text}))
        .collect();
    for (((name, text), (ours, theirs)), back) in
        cases::SAME.iter().zip(texts.iter().zip(&first)).zip(ask(&again))
    {
        assert_eq!(back["wire"], theirs["wire"], "{name} {text} became {ours}");
        let parsed: Value = serde_json::from_str(ours).unwrap();
        assert!(
            covers(&parsed, &theirs["json"]),
            "{name} {text}: ours {ours}, theirs {}",
            theirs["json"]
        );
    }
}

#[test]
fn wire_that_no_text_makes_is_written_like_python() {
    for (name, wire, text) in cases::wires() {
        let ours = (codec(name).write)(&wire).unwrap();
        assert_eq!(ours, text, "{name}");
        let theirs = &ask(&[json!({"type": name, "wire": python::hex(&wire)})])[0];
        assert!(
            covers(&serde_json::from_str(&ours).unwrap(), &theirs["json"]),
            "{name}: {theirs}"
        );
    }
}

#[test]
fn what_is_wrong_is_refused_by_both() {
    let asked: Vec<_> = cases::REFUSED
        .iter()
        .map(|(name, text)| json!({"type": name, "json": text}))
        .collect();
    for ((name, text), answer) in cases::REFUSED.iter().zip(ask(&asked)) {
        assert!((codec(name).read)(text).is_err(), "{name} {text}");
        assert!(
            answer["error"].is_string(),
            "Python takes {name} {text}: {answer}"
        );
    }
}

#[test]
fn we_refuse_what_only_python_takes() {
    let asked: Vec<_> = cases::STRICTER
        .iter()
        .map(|(name, text, _)| json!({"type": name, "json": text}))
        .collect();
    for ((name, text, reason), answer) in cases::STRICTER.iter().zip(ask(&asked)) {
        assert!((codec(name).read)(text).is_err(), "{name} {text}");
        // When Python starts to refuse it too, the case belongs into REFUSED.
        assert!(answer["wire"].is_string(), "{name} {text} ({reason}): {answer}");
    }
}

#[test]
fn text_has_exactly_the_specifications_form() {
    for (name, text, expected) in cases::FORMS {
        let wire = (codec(name).read)(text).unwrap();
        assert_eq!((codec(name).write)(&wire).unwrap(), *expected, "{name} {text}");
    }
}

#[test]
fn what_has_no_json_form_is_not_written() {
    for (name, wire) in cases::unwritable() {
        assert!((codec(name).write)(&wire).is_err(), "{name}");
    }
}

/// The wire form as prost writes it: fields by number, maps by key.
fn normal(name: &str, wire: &[u8]) -> Vec<u8> {
    (codec(name).rewrite)(wire)
}

/// Whether ours says everything that theirs says, and beyond it only required fields at their defaults.
fn covers(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            theirs
                .iter()
                .all(|(key, value)| ours.get(key).is_some_and(|mine| covers(mine, value)))
                && ours
                    .iter()
                    .all(|(key, value)| theirs.contains_key(key) || is_default(value))
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(mine, value)| covers(mine, value))
        }
        // Python writes whole doubles as 1.0.
        (Value::Number(ours), Value::Number(theirs)) => ours.as_f64() == theirs.as_f64(),
        // Python leaves out the milliseconds when there are none.
        (Value::String(ours), Value::String(theirs)) => {
            ours == theirs
                || ours
                    .strip_suffix(".000Z")
                    .is_some_and(|start| format!("{start}Z") == *theirs)
        }
        _ => ours == theirs,
    }
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty() || text.ends_with("_UNSPECIFIED"),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        _ => false,
    }
}
