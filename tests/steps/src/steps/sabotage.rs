//! Spoils the state after a kill as a broken queue would. What the judge overlooks here, it would overlook in a real
//! run, too.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::image::{GROUP_MARK, GroupImage, Image, RECORD_MARK};
use super::party::Outcome;
use super::shm;
use super::stage::Stage;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// Removes the stamp of the last message that `store` is owed.
    Unpublish,
    /// Changes a byte of a message that `store` is owed.
    Garble,
    /// Changes a byte of a message that all groups have acked, and that observers still see.
    GarbleAcked,
    /// Raises `store`'s head by one.
    Skip,
    /// Lowers `store`'s head by one.
    Repeat,
    /// Makes what `store` has received come again as if for the first time.
    Unmark,
    /// Drops the range that a dead member of `work` held.
    Forget,
    /// Copies the range that a dead member of `work` held to another record.
    Double,
    /// Leaves a PENDING claim below all heads, which holds the gate.
    Hold,
    /// Keeps the producer's lease taken.
    KeepProducer,
    /// Keeps the control lease taken.
    KeepControl,
    /// Adds one to the acks that `work` has counted.
    Miscount,
    /// Makes a group that nobody reads.
    LoseGroup,
    /// Takes the source of the last message of a stream away.
    Unsource,
    /// Lowers the last position of the first stream.
    LowerLast,
    /// Raises it.
    RaiseLast,
    /// Leaves a file in /dev/shm.
    Litter,
}

impl Sabotage {
    pub(crate) const ALL: [Sabotage; 17] = [
        Sabotage::Unpublish,
        Sabotage::Garble,
        Sabotage::GarbleAcked,
        Sabotage::Skip,
        Sabotage::Repeat,
        Sabotage::Unmark,
        Sabotage::Forget,
        Sabotage::Double,
        Sabotage::Hold,
        Sabotage::KeepProducer,
        Sabotage::KeepControl,
        Sabotage::Miscount,
        Sabotage::LoseGroup,
        Sabotage::Unsource,
        Sabotage::LowerLast,
        Sabotage::RaiseLast,
        Sabotage::Litter,
    ];

    pub(crate) fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }

    pub(crate) fn commit(self, stage: Stage) -> Outcome {
        let file = shm::file_of(stage.queue).ok_or("there is no queue to spoil")?;
        let image = Image::of(&file)?;
        let groups = image.groups();
        let group = |name: &str| groups.iter().find(|group| group.name == name).ok_or("no group");
        let store = group("store")?;
        let owed = image.owed(store);
        let last = owed.last().map(|owed| owed.seq).ok_or("store is owed nothing")?;
        let head_at = image.group_at(store.index) as u64 + 384;
        match self {
            Sabotage::Unpublish => set(&file, image.slot_at(last) as u64, 0),
            Sabotage::Garble => flip(&file, image.slot_at(last) as u64 + 16),
            Sabotage::GarbleAcked => flip(&file, image.slot_at(owed[0].seq - 1) as u64 + 16),
            Sabotage::Skip => set(&file, head_at, (store.head + 1) << 8 | 0xff),
            Sabotage::Repeat => set(&file, head_at, (store.head - 1) << 8 | 0xff),
            Sabotage::Unmark => set(&file, head_at + 128, 0),
            Sabotage::Forget => {
                let work = group("work")?;
                let at = image.record_at(held_by(&image, work)?.into()) as u64;
                set(&file, at, (work.index as u64) << 2)
            }
            Sabotage::Double => {
                let work = group("work")?;
                let from = image.record_at(held_by(&image, work)?.into()) as u64;
                let to = image.record_at(image.max_consumers - 1) as u64;
                let mut record = [0; 16];
                file.read_exact_at(&mut record, from)
                    .and_then(|()| file.write_all_at(&record, to))
                    .map_err(|e| e.to_string())?;
                set(&file, RECORD_MARK, image.max_consumers as u64)
            }
            Sabotage::Hold => {
                let work = group("work")?;
                let at = image.record_at(image.max_consumers - 1) as u64;
                set(&file, RECORD_MARK, image.max_consumers as u64)?;
                let seq = owed[0].seq - 1;
                set(&file, at, seq << 8 | (work.index as u64) << 2 | 1)?;
                keep(file, image.max_consumers as u64 - 1)
            }
            Sabotage::KeepProducer => keep(file, super::image::PRODUCER_LEASE),
            Sabotage::KeepControl => keep(file, super::image::CONTROL_LEASE),
            Sabotage::Miscount => {
                let work = group("work")?;
                let [acked, _] = image.counted(work);
                set(&file, image.group_at(work.index) as u64 + 640, acked + 1)
            }
            Sabotage::LoseGroup => {
                let at = image.group_at(image.max_groups - 1) as u64;
                set(&file, at, 7)?;
                set(&file, GROUP_MARK, image.max_groups as u64)
            }
            Sabotage::Unsource => {
                let seq = (0..image.end).rev().find(|seq| image.source(*seq).is_some());
                let at = image.slot_at(seq.ok_or("no message has a source")?) + 8;
                let meta = read(&file, at as u64)?;
                set(&file, at as u64, meta & !(0x7f << 25))
            }
            Sabotage::LowerLast => set(&file, last_at(&image)?, 1),
            Sabotage::RaiseLast => set(&file, last_at(&image)?, 1 << 32),
            Sabotage::Litter => {
                let path = format!("{}/slipring-left", shm::SHM);
                File::create(path).map(drop).map_err(|e| e.to_string())
            }
        }
    }
}

fn held_by(image: &Image, work: &GroupImage) -> Result<u8, String> {
    let owed = image.owed(work);
    let held = owed.iter().find_map(|owed| owed.record);
    held.ok_or("no member of work holds anything".to_owned())
}

/// Where the first stream has its last position.
fn last_at(image: &Image) -> Result<u64, String> {
    let streams = image.streams();
    let stream = streams.first().ok_or("there is no stream to spoil")?;
    Ok(image.stream_at(stream.number) as u64 + 16)
}

fn read(file: &File, at: u64) -> Result<u64, String> {
    let mut word = [0; 8];
    file.read_exact_at(&mut word, at).map_err(|e| e.to_string())?;
    Ok(u64::from_le_bytes(word))
}

fn set(file: &File, at: u64, word: u64) -> Outcome {
    file.write_all_at(&word.to_le_bytes(), at).map_err(|e| e.to_string())
}

fn flip(file: &File, at: u64) -> Outcome {
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).map_err(|e| e.to_string())?;
    file.write_all_at(&[byte[0] ^ 1], at).map_err(|e| e.to_string())
}

/// Locks a byte for as long as this program runs.
fn keep(file: File, byte: u64) -> Outcome {
    shm::lock(&file, byte)?;
    std::mem::forget(file);
    Ok(())
}
