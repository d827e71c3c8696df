//! Changes to something good, which reach further than bytes out of nowhere.

/// Reads edits of four bytes (what to do, the place in two bytes, a byte) and does them one after the other.
pub fn apply(good: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for edit in edits.chunks_exact(4) {
        let (what, at, byte) = (edit[0], u16::from_be_bytes([edit[1], edit[2]]), edit[3]);
        let at = usize::from(at) % (bytes.len() + 1);
        let end = (at + usize::from(byte)).min(bytes.len());
        match what % 6 {
            0 => bytes.insert(at, byte),
            1 if at < bytes.len() => bytes[at] = byte,
            1 => bytes.push(byte),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => bytes.extend_from_within(at..end),
            _ => bytes = with_lines_swapped(&bytes, at, usize::from(byte)),
        }
    }
    bytes
}

fn with_lines_swapped(bytes: &[u8], one: usize, other: usize) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    if !lines.is_empty() {
        let count = lines.len();
        lines.swap(one % count, other % count);
    }
    lines.concat()
}
