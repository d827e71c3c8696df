//! How many values a JSON text holds, told before anything is built from them: a value of two bytes becomes one of a
//! hundred.

use super::InspectLimits;
use crate::error::Violation;

/// No message has more fields.
const FIELDS_MAX: usize = 16;
/// The messages of one request that are not parts.
const MESSAGES_MAX: usize = 16;

/// Looks at the text of a message that is not read yet. What passes here may still hold too many nodes:
/// [`inspect`](super::inspect) counts exactly, and this is so generous that no message is refused that it would take.
///
/// # Errors
/// The violation of `nodes_max`, for the whole text.
pub fn inspect_json(text: &[u8], limits: &InspectLimits) -> Result<(), Vec<Violation>> {
    // The fields of messages are values of the text, and no nodes.
    let fields_max = limits
        .parts_max
        .saturating_add(MESSAGES_MAX)
        .saturating_mul(FIELDS_MAX);
    if holds_more(text, limits.nodes_max.saturating_add(fields_max)) {
        return Err(vec![Violation {
            field: String::new(),
            description: limits.too_many_nodes(),
        }]);
    }
    Ok(())
}

/// Whether a text holds more than `max` elements and members. Of a text that is not JSON it says anything.
fn holds_more(text: &[u8], max: usize) -> bool {
    // The shortest takes two bytes, with its comma: most texts need no second look.
    if text.len() / 2 < max {
        return false;
    }
    let (mut count, mut has_begun) = (0, false);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            b']' | b'}' => {}
            // What follows a bracket is the first value in it, what follows a comma the next one.
            _ => count += usize::from(has_begun),
        }
        has_begun = matches!(byte, b'[' | b'{' | b',');
        if *byte == b'"' {
            skip_string(&mut bytes);
        }
        if count > max {
            return true;
        }
    }
    false
}

/// Goes behind the end of a string that has begun.
fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::SendMessageRequest;
    use crate::pb::inspect::inspect;

    #[test]
    fn values_are_counted_and_their_texts_are_not() {
        for (text, count) in [
            ("", 0),
            ("1", 0),
            (r#""a,[{""#, 0),
            ("[]", 0),
            (" [ \n ] ", 0),
            ("{ }", 0),
            ("[1]", 1),
            ("[[]]", 1),
            ("[[],{}]", 2),
            ("[ 1 , [ 2 , 3 ] ]", 4),
            (r#"{"a":1}"#, 1),
            (r#"{"a":{"b":[1,2,3]},"c":"x,y\",[z"}"#, 6),
            (r#"["\\",1]"#, 2),
            (r#"["\\\",1"]"#, 1),
            (r#"["a"#, 1),
            (r#"["\"#, 1),
        ] {
            // Blanks behind it, so that it is long enough to be looked at.
            let text = format!("{text}{}", " ".repeat(20));
            let counted = (0..10).find(|max| !holds_more(text.as_bytes(), *max));
            assert_eq!(counted, Some(count), "{text}");
        }
    }

    #[test]
    fn what_is_good_passes_and_a_flood_does_not() {
        let limits = InspectLimits {
            nodes_max: 50_000,
            ..InspectLimits::default()
        };
        let data = |count: usize| format!(r#"{{"data":[{}1]}}"#, "1,".repeat(count - 1));
        let full =
            r#"{"text":"a","metadata":{},"filename":"a","mediaType":"b"},"#.repeat(limits.parts_max - 1);
        let request = |parts: &str| {
            format!(
                r#"{{"message":{{"messageId":"1","role":"ROLE_USER","parts":[{parts}]}},"configuration":{{}}}}"#
            )
        };
        let text = request(&(full + &data(limits.nodes_max - limits.parts_max)));
        let message: SendMessageRequest = crate::pb::json::from_str(&text).unwrap();
        assert_eq!(inspect(&message, &limits), Ok(()));
        assert_eq!(inspect_json(text.as_bytes(), &limits), Ok(()));

        let text = request(&data(100_000));
        let message: SendMessageRequest = crate::pb::json::from_str(&text).unwrap();
        let (exact, early) = (
            inspect(&message, &limits).unwrap_err(),
            inspect_json(text.as_bytes(), &limits).unwrap_err(),
        );
        assert_eq!(early[0].description, exact[0].description);
        assert!(inspect_json(&vec![b','; 4 << 20], &limits).is_err());
    }
}
