//! What the shim wrote down.

use std::collections::HashMap;
use std::path::Path;

/// One step of the server, in the order in which it took them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub wall_ns: u64,
    pub what: Deed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A file was opened that may be new.
    Create {
        path: String,
    },
    Write {
        path: String,
        offset: u64,
        data: Vec<u8>,
    },
    Truncate {
        path: String,
        length: u64,
    },
    SyncBegin {
        path: String,
        fd: u32,
    },
    SyncEnd {
        path: String,
        fd: u32,
    },
    Unlink {
        path: String,
    },
    /// Bytes on a socket.
    Say {
        fd: u32,
        data: Vec<u8>,
    },
}

/// Reads a trace; what a dying process left half written at the end is dropped.
pub fn read(path: &Path) -> Vec<Step> {
    let bytes = std::fs::read(path).expect("the shim has written a trace");
    let mut rest = bytes.as_slice();
    let mut steps = Vec::new();
    while let Some(step) = step(&mut rest) {
        steps.push(step);
    }
    steps
}

fn step(rest: &mut &[u8]) -> Option<Step> {
    let (head, body) = rest.split_first_chunk::<32>()?;
    let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| head[at + index]));
    let short = |at: usize| u32::from_le_bytes(std::array::from_fn(|index| head[at + index]));
    let (path_length, data_length) = (short(24) as usize, short(28) as usize);
    let (path, body) = body.split_at_checked(path_length)?;
    let (data, body) = body.split_at_checked(data_length)?;
    *rest = body;
    let path = String::from_utf8_lossy(path).into_owned();
    let (offset, fd) = (long(8), short(20));
    let what = match short(16) {
        1 => Deed::Create { path },
        2 => Deed::Write {
            path,
            offset,
            data: data.to_vec(),
        },
        3 => Deed::Truncate { path, length: offset },
        4 => Deed::SyncBegin { path, fd },
        5 => Deed::SyncEnd { path, fd },
        6 => Deed::Unlink { path },
        7 => Deed::Say {
            fd,
            data: data.to_vec(),
        },
        other => panic!("the shim writes no kind {other}"),
    };
    Some(Step {
        wall_ns: long(0),
        what,
    })
}

const ID_LENGTH: usize = 36;

/// The step with which each task's id was first said in full, on any socket.
pub fn first_said(steps: &[Step]) -> HashMap<String, usize> {
    let mut found = HashMap::new();
    let mut ends: HashMap<u32, Vec<u8>> = HashMap::new();
    for (index, step) in steps.iter().enumerate() {
        let Deed::Say { fd, data } = &step.what else {
            continue;
        };
        let text = ends.entry(*fd).or_default();
        text.extend_from_slice(data);
        for id in text.windows(ID_LENGTH).filter(|window| is_id(window)) {
            let id = String::from_utf8_lossy(id).into_owned();
            found.entry(id).or_insert(index);
        }
        // An id may be cut in two by the next write.
        let said = text.len().saturating_sub(ID_LENGTH - 1);
        text.drain(..said);
    }
    found
}

/// Has the form of a UUID.
fn is_id(window: &[u8]) -> bool {
    [8, 13, 18, 23].iter().all(|at| window[*at] == b'-')
        && window
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
}
