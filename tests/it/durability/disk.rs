//! The model of a disk, against what it says of itself.

use std::collections::BTreeMap;

use crate::harness::power::disk::{Disk, Loss};
use crate::harness::power::trace::{Deed, Step, first_said};
use crate::harness::random::Random;

const FILE: &str = "/d/f";

fn disk(deeds: Vec<Deed>) -> Disk {
    let mut disk = Disk::default();
    for what in deeds {
        disk.take(&Step { wall_ns: 0, what });
    }
    disk
}

fn create() -> Deed {
    Deed::Create { path: FILE.into() }
}

fn write(offset: u64, byte: u8, length: usize) -> Deed {
    Deed::Write {
        path: FILE.into(),
        offset,
        data: vec![byte; length],
    }
}

fn sync_begins(path: &str) -> Deed {
    Deed::SyncBegin {
        path: path.into(),
        fd: 3,
    }
}

fn sync_ends(path: &str) -> Deed {
    Deed::SyncEnd {
        path: path.into(),
        fd: 3,
    }
}

fn sync(path: &str) -> [Deed; 2] {
    [sync_begins(path), sync_ends(path)]
}

/// What many cuts of one kind leave of the file: `None` where its name is gone.
fn left(disk: &Disk, loss: Loss) -> Vec<Option<Vec<u8>>> {
    let mut random = Random::from_environment();
    let cut = |_| {
        let mut files: BTreeMap<_, _> = disk.after_cut(loss, &mut random);
        files.remove(FILE)
    };
    (0..200).map(cut).collect()
}

#[test]
fn what_is_synced_stays_whatever_is_lost() {
    let mut deeds = vec![create(), write(0, 1, 1_000)];
    deeds.extend(sync(FILE));
    deeds.extend(sync("/d"));
    let disk = disk(deeds);
    assert_eq!(disk.at_risk(), 0);
    for loss in Loss::ALL {
        assert!(
            left(&disk, loss).iter().all(|file| *file == Some(vec![1; 1_000])),
            "{loss:?}"
        );
    }
}

#[test]
fn a_name_is_certain_only_with_its_folder() {
    let mut deeds = vec![create(), write(0, 1, 10)];
    deeds.extend(sync(FILE));
    let disk = disk(deeds);
    assert!(left(&disk, Loss::Everything).iter().all(Option::is_none));
    assert!(left(&disk, Loss::Nothing).iter().all(Option::is_some));
    let by_chance = left(&disk, Loss::Sectors);
    assert!(by_chance.iter().any(Option::is_none) && by_chance.iter().any(Option::is_some));
}

#[test]
fn a_removed_file_may_come_back_until_its_folder_is_synced() {
    let mut deeds = vec![create(), write(0, 1, 10)];
    deeds.extend(sync(FILE));
    deeds.extend(sync("/d"));
    deeds.push(Deed::Unlink { path: FILE.into() });
    let mut disk = disk(deeds);
    assert!(left(&disk, Loss::Everything).iter().all(Option::is_some));
    assert!(left(&disk, Loss::Nothing).iter().all(Option::is_none));
    for what in sync("/d") {
        disk.take(&Step { wall_ns: 0, what });
    }
    assert!(left(&disk, Loss::Everything).iter().all(Option::is_none));
}

#[test]
fn a_sync_covers_what_was_written_before_it_began() {
    let mut deeds = vec![create()];
    deeds.extend(sync("/d"));
    deeds.extend([
        write(0, 1, 10),
        sync_begins(FILE),
        write(10, 2, 10),
        sync_ends(FILE),
    ]);
    let disk = disk(deeds);
    assert_eq!(disk.at_risk(), 10);
    assert_eq!(left(&disk, Loss::Everything)[0], Some(vec![1; 10]));
    // A sync that never ended has made nothing certain.
    let mut deeds = vec![create()];
    deeds.extend(sync("/d"));
    deeds.extend([write(0, 1, 10), sync_begins(FILE)]);
    assert_eq!(left(&self::disk(deeds), Loss::Everything)[0], Some(Vec::new()));
}

#[test]
fn unsynced_sectors_are_kept_one_by_one() {
    let mut deeds = vec![create(), write(0, 1, 1_536)];
    deeds.extend(sync(FILE));
    deeds.extend(sync("/d"));
    deeds.extend([write(0, 2, 1_536), write(0, 3, 512)]);
    let disk = disk(deeds);
    let sectors = |loss| -> Vec<[u8; 3]> {
        let files = left(&disk, loss);
        files
            .iter()
            .map(|file| {
                let file = file.as_ref().expect("the name is certain");
                let sector = |at: usize| {
                    let bytes = &file[at * 512..(at + 1) * 512];
                    assert!(bytes.iter().all(|byte| *byte == bytes[0]), "a torn sector");
                    bytes[0]
                };
                [sector(0), sector(1), sector(2)]
            })
            .collect()
    };
    let found = sectors(Loss::Sectors);
    for wanted in [[1, 1, 1], [2, 1, 2], [3, 2, 2], [3, 1, 1]] {
        assert!(found.contains(&wanted), "{wanted:?}");
    }
    let whole = [[1, 1, 1], [2, 2, 2], [3, 2, 2], [3, 1, 1]];
    assert!(sectors(Loss::Writes).iter().all(|file| whole.contains(file)));
    let torn = [[2, 2, 2], [3, 2, 2]];
    assert!(sectors(Loss::LastTorn).iter().all(|file| torn.contains(file)));
}

#[test]
fn an_id_that_is_cut_in_two_is_said_with_its_second_half() {
    let id = "01a1feb5-c2cc-72d1-a18c-00acca626baa";
    let (first, second) = id.split_at(20);
    let say = |fd, text: &str| Step {
        wall_ns: 0,
        what: Deed::Say {
            fd,
            data: text.as_bytes().to_vec(),
        },
    };
    let said = first_said(&[
        say(1, &format!("xx{first}")),
        say(2, "other"),
        say(1, &format!("{second}yy")),
        say(2, id),
    ]);
    assert_eq!(said.get(id), Some(&2));
    assert_eq!(said.len(), 1);
}
