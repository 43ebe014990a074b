//! The layouts of values, one file each: `layouts/<topic>/<fingerprint>.json`. Such a file never changes.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::{
    error::io_error,
    segment::{UNFINISHED, sync_folder},
};
use crate::log::{KeptLayout, LogError};

/// The folder within the log's.
const FOLDER: &str = "layouts";
const EXTENSION: &str = ".json";

/// What is kept of a topic. It may be read while another process has the log open.
pub(super) fn read(folder: &Path, topic: &str) -> Result<Vec<KeptLayout>, LogError> {
    let folder = of_topic(folder, topic);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error("list", &folder)(error)),
    };
    let mut kept = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io_error("list", &folder))?;
        let Some(fingerprint) = entry.file_name().to_str().and_then(fingerprint) else {
            continue;
        };
        let path = entry.path();
        let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
        kept.push(KeptLayout { fingerprint, text });
    }
    Ok(kept)
}

/// Keeps one: after a crash it is there whole, or not at all.
pub(super) fn keep(folder: &Path, topic: &str, layout: &KeptLayout) -> Result<(), LogError> {
    let of_topic = of_topic(folder, topic);
    let path = of_topic.join(name(layout.fingerprint));
    if path.exists() {
        return Ok(());
    }
    let write = || -> io::Result<()> {
        fs::create_dir_all(&of_topic)?;
        let unfinished = path.with_extension(UNFINISHED.trim_start_matches('.'));
        let mut file = File::create(&unfinished)?;
        file.write_all(layout.text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        for parent in of_topic.ancestors().take(3) {
            sync_folder(parent)?;
        }
        Ok(())
    };
    write().map_err(io_error("write", &path))
}

fn of_topic(folder: &Path, topic: &str) -> PathBuf {
    folder.join(FOLDER).join(topic)
}

fn name(fingerprint: u64) -> String {
    format!("{fingerprint:016x}{EXTENSION}")
}

fn fingerprint(of: &str) -> Option<u64> {
    let fingerprint = u64::from_str_radix(of.strip_suffix(EXTENSION)?, 16).ok()?;
    (name(fingerprint) == of).then_some(fingerprint)
}
