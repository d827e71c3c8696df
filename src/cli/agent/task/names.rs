//! Names of files out of what an agent says. An agent is a stranger: its names lead nowhere but into the folder that was asked
//! for, hide nothing and start nothing.

/// The most bytes of a name.
const BYTES_MAX: usize = 120;

/// The name for a file that an agent calls `name`: its last part, without leading dots and dashes, of letters and digits and a
/// few signs that mean nothing to a shell. Empty if nothing is left.
pub fn safe(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = last
        .chars()
        .map(|letter| match letter {
            letter if letter.is_alphanumeric() => letter,
            '.' | '-' | '_' | '+' | '=' | ',' | '@' => letter,
            _ => '_',
        })
        .collect();
    shortened(kept.trim_start_matches(['.', '-']).trim_end_matches('.'))
}

/// The same with no more than [`BYTES_MAX`] bytes; the ending stays.
fn shortened(name: &str) -> String {
    if name.len() <= BYTES_MAX {
        return name.to_owned();
    }
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let ending = if ending.len() < 16 { ending } else { "" };
    let mut room = BYTES_MAX - ending.len() - 1;
    while !name.is_char_boundary(room) {
        room -= 1;
    }
    match ending {
        "" => name[..room].to_owned(),
        ending => format!("{}.{ending}", &name[..room]),
    }
}

/// The name with a number before its ending.
pub fn numbered(name: &str, number: usize) -> String {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => format!("{stem}-{number}.{ending}"),
        _ => format!("{name}-{number}"),
    }
}

/// The ending that a media type usually has.
pub fn ending(media_type: &str) -> &'static str {
    match media_type.split(';').next().unwrap_or_default().trim() {
        "text/plain" => "txt",
        "text/markdown" => "md",
        "text/csv" => "csv",
        "text/html" => "html",
        "application/json" => "json",
        "application/xml" | "text/xml" => "xml",
        "application/pdf" => "pdf",
        "application/zip" => "zip",
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "image/svg+xml" => "svg",
        "audio/mpeg" => "mp3",
        "audio/wav" => "wav",
        "video/mp4" => "mp4",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_agents_stay_in_their_folder() {
        for (name, file) in [
            ("output.txt", "output.txt"),
            ("../../etc/passwd", "passwd"),
            ("/etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("..", ""),
            (".", ""),
            ("", ""),
            (".env", "env"),
            ("--force", "force"),
            ("a b;rm -rf $(x)`.sh", "a_b_rm_-rf___x__.sh"),
            ("a\0b\n\u{1b}[31m.txt", "a_b___31m.txt"),
            ("a\u{202e}txt.exe", "a_txt.exe"),
            ("x/", ""),
            ("naïve-日本.txt", "naïve-日本.txt"),
            ("file:///etc/shadow", "shadow"),
            ("C:evil.txt", "C_evil.txt"),
        ] {
            assert_eq!(safe(name), file, "{name:?}");
        }
        assert_eq!(numbered("a.tar.gz", 2), "a.tar-2.gz");
        assert_eq!(
            (numbered("a", 3), numbered(".a", 3)),
            ("a-3".into(), ".a-3".into())
        );
        let long = safe(&format!("{}.txt", "日".repeat(200)));
        assert!(long.len() <= BYTES_MAX && long.ends_with(".txt"), "{long}");
    }

    proptest! {
        #[test]
        fn no_name_leads_out_of_its_folder(name in "\\PC*|[./\\\\a]{0,12}") {
            let file = safe(&name);
            let path = std::path::Path::new("folder").join(&file);
            prop_assert!(file.len() <= BYTES_MAX && !file.starts_with(['.', '-']));
            prop_assert!(!file.contains(['/', '\\', '\0', ':', '~']));
            prop_assert_eq!(path.components().count(), if file.is_empty() { 1 } else { 2 });
        }
    }
}
