//! Messages and parts.

use a2ad::pb::{Message, Part, Role, Struct, part};

use crate::cli::agent::page::Page;
use crate::cli::agent::value;

/// A message under `label`: who says it, then its parts.
pub fn message(page: &mut Page, label: &str, message: &Message, is_verbose: bool) {
    let role = match message.role() {
        Role::User => "user",
        Role::Agent => "agent",
        Role::Unspecified => "unspecified",
    };
    page.field(label, role);
    if is_verbose {
        page.field_if("Message id", &message.message_id);
        for extension in &message.extensions {
            page.field("Extension", extension);
        }
        for task_id in &message.reference_task_ids {
            page.field("Refers to", task_id);
        }
        metadata(page, message.metadata.as_ref());
    }
    parts(page, &message.parts, is_verbose);
}

/// Parts one after the other, none left out.
pub fn parts(page: &mut Page, parts: &[Part], is_verbose: bool) {
    for part in parts {
        one(page, part);
        if is_verbose {
            if matches!(
                part.content,
                Some(part::Content::Text(_) | part::Content::Data(_))
            ) {
                page.field_if("Media type", &part.media_type);
                page.field_if("File name", &part.filename);
            }
            metadata(page, part.metadata.as_ref());
        }
    }
}

fn one(page: &mut Page, part: &Part) {
    match &part.content {
        Some(part::Content::Text(text)) => page.block("Text", text),
        Some(part::Content::Data(value)) => page.block("Data", &value::pretty(value)),
        Some(part::Content::Raw(raw)) => {
            page.field("File", format!("{}{} bytes", about(part), raw.len()));
        }
        Some(part::Content::Url(url)) => page.field("File", format!("{}{url}", about(part))),
        None => page.field("Part", "empty"),
    }
}

/// `NAME, TYPE, ` as far as they are known.
fn about(part: &Part) -> String {
    let mut text = String::new();
    for word in [&part.filename, &part.media_type] {
        if !word.is_empty() {
            text.push_str(word);
            text.push_str(", ");
        }
    }
    text
}

/// Metadata, if there is any.
pub fn metadata(page: &mut Page, metadata: Option<&Struct>) {
    if let Some(metadata) = metadata {
        page.block("Metadata", &value::pretty_object(metadata));
    }
}
