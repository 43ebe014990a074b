//! A disk for simulations, which may be full, and which may damage what it was given.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use super::{Arc, Depot, Draft, Read, TopicPartition, Write, io};
use crate::testing::UNPOISONED;

/// Keeps snapshots in memory. Clones are the same, so that it outlives a node.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Disk>>);

#[derive(Default)]
struct Disk {
    files: BTreeMap<TopicPartition, File>,
    full: bool,
}

/// A snapshot, and the one that it has replaced.
struct File {
    bytes: Vec<u8>,
    before: Option<Vec<u8>>,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().expect(UNPOISONED)
    }

    /// Nothing more goes in, or there is room again.
    pub(crate) fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// Some snapshots end early, some have other bytes than were written, and some are those of before, as if they had never been replaced.
    pub(crate) fn damage(&self, random: &mut fastrand::Rng) {
        for File { bytes, before } in self.lock().files.values_mut() {
            match random.u32(..4) {
                0 => bytes.truncate(random.usize(..=bytes.len())),
                1 if !bytes.is_empty() => {
                    let from = random.usize(..bytes.len());
                    let to = random.usize(from..bytes.len());
                    bytes[from..=to].fill_with(|| random.u8(..));
                }
                2 => {
                    if let Some(before) = before.take() {
                        *bytes = before;
                    }
                }
                _ => {}
            }
        }
    }

    /// What the snapshot of a partition is.
    #[cfg(test)]
    pub(crate) fn bytes(&self, partition: &TopicPartition) -> Option<Vec<u8>> {
        let disk = self.lock();
        disk.files.get(partition).map(|file| file.bytes.clone())
    }

    #[cfg(test)]
    pub(crate) fn set_bytes(&self, partition: &TopicPartition, bytes: Vec<u8>) {
        let file = File {
            bytes,
            before: None,
        };
        self.lock().files.insert(partition.clone(), file);
    }
}

impl Disk {
    fn room(&self) -> io::Result<()> {
        if self.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl Depot for Memory {
    fn begin(&self, partition: &TopicPartition) -> io::Result<Box<dyn Draft>> {
        self.lock().room()?;
        Ok(Box::new(DraftBytes {
            bytes: Vec::new(),
            partition: partition.clone(),
            disk: self.clone(),
        }))
    }

    fn open(&self, partition: &TopicPartition) -> io::Result<Option<(Box<dyn Read + Send>, u64)>> {
        let disk = self.lock();
        Ok(disk.files.get(partition).map(|file| {
            let bytes = file.bytes.clone();
            let length = bytes.len() as u64;
            let input: Box<dyn Read + Send> = Box::new(io::Cursor::new(bytes));
            (input, length)
        }))
    }

    fn discard(&self, partition: &TopicPartition) -> io::Result<()> {
        self.lock().files.remove(partition);
        Ok(())
    }
}

/// A snapshot in the making.
struct DraftBytes {
    bytes: Vec<u8>,
    partition: TopicPartition,
    disk: Memory,
}

impl Write for DraftBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.lock().room()?;
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Draft for DraftBytes {
    fn keep(self: Box<Self>) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.room()?;
        let before = disk.files.remove(&self.partition).map(|file| file.bytes);
        let bytes = self.bytes;
        disk.files.insert(self.partition, File { bytes, before });
        Ok(())
    }
}
