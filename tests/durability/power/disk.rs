//! A disk that loses what was not synced: the model of `tests/README.md`, "Power loss".

use std::collections::BTreeMap;
use std::path::Path;

use super::trace::{Deed, Step};
use crate::harness::random::Random;

/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;

/// What becomes of unsynced writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// All of them are lost, and so are unsynced names of files.
    Everything,
    /// None is lost.
    Nothing,
    /// Each write by itself is kept or lost.
    Writes,
    /// Each sector has the content of any moment since its last sync, whatever write it came from.
    Sectors,
    /// All but the last write are kept, and that one is torn.
    LastTorn,
}

impl Loss {
    pub const ALL: [Self; 5] = [
        Self::Everything,
        Self::Nothing,
        Self::Writes,
        Self::Sectors,
        Self::LastTorn,
    ];
}

/// The files of one folder, up to some step of a trace.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    files: BTreeMap<String, File>,
    /// Where syncs that run began, by descriptor.
    syncs: BTreeMap<u32, u64>,
    now: u64,
}

#[derive(Clone, Debug, Default)]
struct File {
    /// What is certain.
    synced: Vec<u8>,
    /// What came since, with its moment.
    pending: Vec<(u64, Change)>,
    /// Since when the name exists, and since when it is gone; `None` for what the folder's sync has made certain.
    created: Option<u64>,
    unlinked: Option<u64>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, data: Vec<u8> },
    Truncate { length: u64 },
}

impl Disk {
    /// Takes one step of the server.
    pub fn take(&mut self, step: &Step) {
        self.now += 1;
        let now = self.now;
        match &step.what {
            Deed::Create { path } => {
                let file = self.files.entry(path.clone()).or_insert_with(|| File {
                    created: Some(now),
                    ..File::default()
                });
                if file.unlinked.take().is_some() {
                    *file = File {
                        created: Some(now),
                        ..File::default()
                    };
                }
            }
            Deed::Write { path, offset, data } => self.change(
                path,
                Change::Write {
                    offset: *offset,
                    data: data.clone(),
                },
            ),
            Deed::Truncate { path, length } => self.change(path, Change::Truncate { length: *length }),
            Deed::SyncBegin { fd, .. } => drop(self.syncs.insert(*fd, now)),
            Deed::SyncEnd { path, fd } => {
                if let Some(began) = self.syncs.remove(fd) {
                    self.synced(path, began);
                }
            }
            Deed::Unlink { path } => {
                if let Some(file) = self.files.get_mut(path) {
                    file.unlinked = Some(now);
                }
            }
            Deed::Say { .. } => {}
        }
    }

    fn change(&mut self, path: &str, change: Change) {
        let now = self.now;
        // A file without a name was opened before the trace began to look, or is not one of the database's.
        if let Some(file) = self.files.get_mut(path) {
            file.pending.push((now, change));
        }
    }

    /// A file's sync covers what was written to it before the sync began; a folder's sync the names in it.
    fn synced(&mut self, path: &str, began: u64) {
        if let Some(file) = self.files.get_mut(path) {
            let later = file.pending.partition_point(|(at, _)| *at < began);
            for (_, change) in file.pending.drain(..later) {
                change.apply(&mut file.synced);
            }
            return;
        }
        self.files.retain(|name, file| {
            if Path::new(name).parent() != Some(Path::new(path)) {
                return true;
            }
            if file.created.is_some_and(|at| at < began) {
                file.created = None;
            }
            file.unlinked.is_none_or(|at| at >= began)
        });
    }

    /// Whether the file of this name has writes that a cut could lose.
    pub fn is_at_risk(&self, name: &str) -> bool {
        let is_it = |path: &str| Path::new(path).file_name().is_some_and(|own| own == name);
        self.files
            .iter()
            .any(|(path, file)| is_it(path) && !file.pending.is_empty())
    }

    /// How many bytes a cut at this moment could lose.
    pub fn at_risk(&self) -> usize {
        let bytes = |change: &Change| match change {
            Change::Write { data, .. } => data.len(),
            Change::Truncate { .. } => 0,
        };
        let pending = self.files.values().flat_map(|file| &file.pending);
        pending.map(|(_, change)| bytes(change)).sum()
    }

    /// What the disk holds after a cut now: a legal choice among many.
    pub fn after_cut(&self, loss: Loss, random: &mut Random) -> BTreeMap<String, Vec<u8>> {
        let mut left = BTreeMap::new();
        for (path, file) in &self.files {
            // Shared memory dies with the machine.
            if path.ends_with("-shm") || path.ends_with(".lock") {
                continue;
            }
            let keeps = |random: &mut Random| match loss {
                Loss::Everything => false,
                Loss::Nothing | Loss::LastTorn => true,
                Loss::Writes | Loss::Sectors => random.below(2) == 0,
            };
            if file.created.is_some() && !keeps(random) {
                continue;
            }
            if file.unlinked.is_some() && keeps(random) {
                continue;
            }
            left.insert(path.clone(), file.after_cut(loss, random));
        }
        left
    }
}

impl File {
    fn after_cut(&self, loss: Loss, random: &mut Random) -> Vec<u8> {
        let mut content = self.synced.clone();
        let last = self.pending.len().saturating_sub(1);
        match loss {
            Loss::Everything => {}
            Loss::Nothing => self
                .pending
                .iter()
                .for_each(|(_, change)| change.apply(&mut content)),
            Loss::Writes => {
                for (_, change) in &self.pending {
                    if random.below(2) == 0 {
                        change.apply(&mut content);
                    }
                }
            }
            Loss::LastTorn => {
                for (index, (_, change)) in self.pending.iter().enumerate() {
                    if index < last {
                        change.apply(&mut content);
                    } else {
                        change.tear(&mut content, random);
                    }
                }
            }
            Loss::Sectors => self.mix_sectors(&mut content, random),
        }
        content
    }

    /// Each sector stops at a moment of its own. A truncation is a moment for the whole file: it took place or not.
    fn mix_sectors(&self, content: &mut Vec<u8>, random: &mut Random) {
        let mut versions: BTreeMap<u64, Vec<(u64, &[u8])>> = BTreeMap::new();
        for (_, change) in &self.pending {
            match change {
                Change::Write { offset, data } => {
                    for (at, piece) in sectors(*offset, data) {
                        versions.entry(at / SECTOR).or_default().push((at, piece));
                    }
                }
                Change::Truncate { .. } if random.below(2) == 0 => change.apply(content),
                Change::Truncate { .. } => {}
            }
        }
        for pieces in versions.values() {
            let kept = random.below(pieces.len() as u64 + 1) as usize;
            for (at, piece) in &pieces[..kept] {
                put(content, *at, piece);
            }
        }
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => put(content, *offset, data),
            Self::Truncate { length } => content.resize(usize::try_from(*length).unwrap_or(usize::MAX), 0),
        }
    }

    /// Applies some of the sectors.
    fn tear(&self, content: &mut Vec<u8>, random: &mut Random) {
        match self {
            Self::Write { offset, data } => {
                for (at, piece) in sectors(*offset, data) {
                    if random.below(2) == 0 {
                        put(content, at, piece);
                    }
                }
            }
            Self::Truncate { .. } => self.apply(content),
        }
    }
}

/// The pieces of a write, cut where sectors begin.
fn sectors(offset: u64, data: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let (mut at, mut rest) = (offset, data);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = (SECTOR - at % SECTOR).min(rest.len() as u64);
        let (piece, later) = rest.split_at(length as usize);
        let found = (at, piece);
        (at, rest) = (at + length, later);
        Some(found)
    })
}

fn put(content: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let start = usize::try_from(offset).expect("a file fits into memory");
    let end = start + data.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(data);
}
