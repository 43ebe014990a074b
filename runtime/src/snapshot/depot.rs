//! Where snapshots are kept: at most one of each partition, and one that is being written.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::log::TopicPartition;

/// Keeps snapshots.
///
/// # Contract
///
/// 1. What is written is seen by nobody before [`Draft::keep`] returned, and by everybody after that, also after a crash of the machine.
/// 2. Keeping one replaces the one before as a whole: there is always one of the two.
/// 3. A draft that is dropped leaves nothing behind.
pub(crate) trait Depot: Send + Sync {
    /// Begins a snapshot of a partition.
    fn begin(&self, partition: &TopicPartition) -> io::Result<Box<dyn Draft>>;

    /// The snapshot of a partition, if there is one, and its length.
    fn open(&self, partition: &TopicPartition) -> io::Result<Option<(Box<dyn Read + Send>, u64)>>;

    /// Removes the snapshot of a partition, if there is one.
    fn discard(&self, partition: &TopicPartition) -> io::Result<()>;
}

/// A snapshot in the making.
pub(crate) trait Draft: Write + Send {
    /// It is whole.
    fn keep(self: Box<Self>) -> io::Result<()>;
}

impl std::fmt::Debug for dyn Draft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Draft")
    }
}

/// Where a node keeps its snapshots: a folder, which need not be there. Those of what is not in `topics` (with their numbers of partitions) are removed.
pub(crate) fn open(folder: PathBuf, topics: &BTreeMap<String, u32>) -> Arc<dyn Depot> {
    #[cfg(feature = "testing")]
    if let Some(process) = crate::testing::Process::current() {
        return Arc::new(process.machine().depot.clone());
    }
    Arc::new(Folder::open(folder, topics))
}

/// What the name of a file ends with that is being written.
const UNFINISHED: &str = ".tmp";
const SUFFIX: &str = ".snapshot";

/// Files in a folder: `TOPIC/PARTITION.snapshot`.
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Uses a folder. It need not be there. Snapshots of what is not in `topics` (with their numbers of partitions) are removed, and so is what was not
    /// finished.
    pub(crate) fn open(path: PathBuf, topics: &BTreeMap<String, u32>) -> Self {
        let folder = Self { path };
        if let Err(error) = folder.tidy(topics) {
            tracing::warn!(folder = %folder.path.display(), %error, "can't tidy up the snapshots");
        }
        folder
    }

    fn tidy(&self, topics: &BTreeMap<String, u32>) -> io::Result<()> {
        for topic in entries(&self.path)? {
            let name = topic.file_name().unwrap_or_default().to_string_lossy();
            let Some(partitions) = topics.get(&*name) else {
                fs::remove_dir_all(&topic)?;
                continue;
            };
            for file in entries(&topic)? {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                let number = name.strip_suffix(SUFFIX).map(str::parse::<u32>);
                let known = matches!(number, Some(Ok(number)) if number < *partitions);
                if !known {
                    fs::remove_file(&file)?;
                }
            }
        }
        Ok(())
    }

    fn file(&self, partition: &TopicPartition) -> PathBuf {
        self.path
            .join(&*partition.topic)
            .join(format!("{}{SUFFIX}", partition.partition))
    }
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

impl Depot for Folder {
    fn begin(&self, partition: &TopicPartition) -> io::Result<Box<dyn Draft>> {
        let file = self.file(partition);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut unfinished = file.clone().into_os_string();
        unfinished.push(UNFINISHED);
        let unfinished = PathBuf::from(unfinished);
        Ok(Box::new(DraftFile {
            out: File::create(&unfinished)?,
            unfinished: Some(unfinished),
            file,
        }))
    }

    fn open(&self, partition: &TopicPartition) -> io::Result<Option<(Box<dyn Read + Send>, u64)>> {
        match File::open(self.file(partition)) {
            Ok(file) => {
                let length = file.metadata()?.len();
                Ok(Some((Box::new(file), length)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn discard(&self, partition: &TopicPartition) -> io::Result<()> {
        match fs::remove_file(self.file(partition)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// A file that has another name until it is whole.
struct DraftFile {
    out: File,
    /// None once it has its name.
    unfinished: Option<PathBuf>,
    file: PathBuf,
}

impl Write for DraftFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Draft for DraftFile {
    fn keep(mut self: Box<Self>) -> io::Result<()> {
        self.out.sync_all()?;
        if let Some(unfinished) = &self.unfinished {
            fs::rename(unfinished, &self.file)?;
        }
        self.unfinished = None;
        match self.file.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Drop for DraftFile {
    fn drop(&mut self) {
        if let Some(unfinished) = &self.unfinished {
            drop(fs::remove_file(unfinished));
        }
    }
}

#[cfg(feature = "testing")]
pub(crate) mod memory;
