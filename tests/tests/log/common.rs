//! What the tests of the logs share.

use std::{fs, path::Path};

use futures_util::FutureExt as _;
use memgen::{
    log::{
        Log, Producer, TopicPartition,
        conformance::topic,
        embedded::{Embedded, Options},
    },
    record::{Offset, Record},
};

/// The partition that most tests write to.
pub(crate) fn partition() -> TopicPartition {
    TopicPartition::new("vertex", 1)
}

/// Opens a log with the topic `vertex`, without compaction in the background.
pub(crate) fn open(folder: &Path) -> Embedded {
    open_with(folder, quiet())
}

/// Opens a log with the topic `vertex`.
pub(crate) fn open_with(folder: &Path, options: Options) -> Embedded {
    let log = Embedded::open(folder, options).expect("the log opens");
    log.declare(&topic("vertex", 2))
        .now_or_never()
        .expect("the embedded log does not wait")
        .expect("the topic is as before");
    log
}

/// Nothing happens in the background.
pub(crate) fn quiet() -> Options {
    Options {
        compact: false,
        ..Options::default()
    }
}

/// Appends records one by one, each on its own.
pub(crate) async fn append_each(
    producer: &mut Box<dyn Producer>,
    records: &[Record],
) -> Vec<Offset> {
    let mut offsets = Vec::new();
    for record in records {
        offsets.extend(
            producer
                .append(std::slice::from_ref(record))
                .await
                .expect("there is room"),
        );
    }
    offsets
}

/// A copy of a folder, as a crash at this moment leaves it.
pub(crate) fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).expect("a folder for the copy");
    for entry in fs::read_dir(from).expect("the folder can be listed") {
        let entry = entry.expect("the folder can be listed");
        // What is renamed or removed meanwhile is so before the moment of the copy.
        let _ = fs::copy(entry.path(), to.join(entry.file_name()));
    }
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("the folder can be listed")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("ASCII names")
        })
        .collect();
    names.sort();
    names
}

/// Whether a file's name ends so.
pub(crate) fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|it| it == extension)
}
