//! One segment file: a header, then frames. Drawn in ARCHITECTURE.md.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    error::{corrupt, io_error},
    frame::{self, Header, MARK_STREAM},
};
use crate::log::LogError;

/// Bytes of a segment's header.
pub(super) const HEADER_BYTES: usize = 64;
const MAGIC: [u8; 8] = *b"memgenlg";
/// The version of the layout of segments, frames and records.
const FORMAT: u32 = 1;
/// How much of a segment is read at a time while it is checked.
const SCAN_BYTES: usize = 1 << 20;
/// A name that ends so is of a file that is not finished.
pub(super) const UNFINISHED: &str = ".tmp";

/// What a segment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    /// Frames as they were committed.
    Journal = 1,
    /// What compaction kept, stream by stream.
    Compacted = 2,
}

/// An open segment file. It can be read for as long as anyone holds it, even once it was removed.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: File,
    pub(super) path: PathBuf,
    /// Mixed into the checksum of each frame's header.
    pub(super) salt: u64,
    /// The file's length, for the size of the log.
    pub(super) length: AtomicU64,
}

impl Segment {
    /// Makes the file `name` in `folder`. It appears there whole or not at all, unless `name` is [`UNFINISHED`]:
    /// then naming it is the caller's job.
    pub(super) fn create(folder: &Path, name: &str, kind: Kind, sequence: u64) -> io::Result<Self> {
        let path = folder.join(name);
        let unfinished = if name.ends_with(UNFINISHED) {
            path.clone()
        } else {
            folder.join(format!("{name}{UNFINISHED}"))
        };
        let made = (|| {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(&unfinished)?;
            let salt = uuid::Uuid::new_v4().as_u64_pair().0;
            file.write_all_at(&encode_header(kind, sequence, salt), 0)?;
            if unfinished != path {
                file.sync_all()?;
                std::fs::rename(&unfinished, &path)?;
                sync_folder(folder)?;
            }
            Ok((file, salt))
        })();
        match made {
            Ok((file, salt)) => Ok(Self {
                file,
                path,
                salt,
                length: AtomicU64::new(HEADER_BYTES as u64),
            }),
            Err(error) => {
                // It would be removed at the next start anyway; on a full disk its room is needed now.
                let _ = std::fs::remove_file(&unfinished);
                Err(error)
            }
        }
    }

    /// Opens the file and checks its header.
    pub(super) fn open(path: &Path, kind: Kind, sequence: u64) -> Result<Self, LogError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(io_error("open", path))?;
        let length = file
            .metadata()
            .map_err(io_error("read the length of", path))?
            .len();
        let mut header = [0; HEADER_BYTES];
        if length < HEADER_BYTES as u64 {
            return Err(corrupt(
                path,
                length,
                "the header of the segment is cut off",
            ));
        }
        file.read_exact_at(&mut header, 0)
            .map_err(io_error("read", path))?;
        if header[0..8] != MAGIC {
            return Err(corrupt(path, 0, "this is no segment of a memgen log"));
        }
        let format = u32_at(&header, 8);
        if format != FORMAT {
            return Err(LogError::Corrupt {
                path: path.to_owned(),
                position: 8,
                what: format!(
                    "the segment has format {format}, this build reads format {FORMAT}; \
                     open it with the version of memgen that wrote it"
                ),
            });
        }
        if u32_at(&header, 12) != crc32c::crc32c(&header[16..]) {
            return Err(corrupt(
                path,
                12,
                "the header of the segment does not match its checksum",
            ));
        }
        if u64_at(&header, 24) != sequence || u32_at(&header, 32) != kind as u32 {
            return Err(corrupt(
                path,
                24,
                "the segment is not the one that its name says",
            ));
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            salt: u64_at(&header, 16),
            length: AtomicU64::new(length),
        })
    }

    /// The file's length in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }

    /// Shortens or lengthens the file.
    pub(super) fn set_length(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        self.length.store(length, Ordering::Relaxed);
        Ok(())
    }

    /// Reads the file from its first frame on and checks each, up to the first that isn't whole and right.
    pub(super) fn scan(&self) -> Result<Scan, LogError> {
        let mut reader = BufReader::with_capacity(SCAN_BYTES, &self.file);
        reader
            .seek(SeekFrom::Start(HEADER_BYTES as u64))
            .map_err(io_error("read", &self.path))?;
        let mut scan = Scan {
            frames: Vec::new(),
            end: HEADER_BYTES as u64,
            data_end: HEADER_BYTES as u64,
            durable: HEADER_BYTES as u64,
            rest: Rest::Nothing,
        };
        loop {
            match self
                .scan_frame(&mut reader, scan.end)
                .map_err(io_error("read", &self.path))?
            {
                Ok(frame) => {
                    scan.end = frame.end();
                    scan.durable = scan.durable.max(frame.durable);
                    if frame.stream != MARK_STREAM {
                        scan.data_end = frame.end();
                        scan.frames.push(frame);
                    }
                }
                Err(rest) => {
                    scan.rest = rest;
                    return Ok(scan);
                }
            }
        }
    }

    fn scan_frame(
        &self,
        reader: &mut BufReader<&File>,
        position: u64,
    ) -> io::Result<Result<Header, Rest>> {
        let mut bytes = [0; frame::HEADER_BYTES];
        let have = read_up_to(reader, &mut bytes)?;
        if have == 0 {
            return Ok(Err(Rest::Nothing));
        }
        if bytes.iter().all(|byte| *byte == 0) && rest_is_zero(reader)? {
            return Ok(Err(Rest::Zeros));
        }
        if have < bytes.len() {
            return Ok(Err(Rest::Bad("the header of a frame is cut off")));
        }
        let Some(header) = Header::decode(&bytes, self.salt, position) else {
            return Ok(Err(Rest::Bad(
                "the header of a frame does not match its checksum",
            )));
        };
        let mut left = header.body_bytes as usize;
        let mut crc = 0;
        while left > 0 {
            let buffer = reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(Err(Rest::Bad("a frame is cut off")));
            }
            let taken = buffer.len().min(left);
            crc = crc32c::crc32c_append(crc, &buffer[..taken]);
            reader.consume(taken);
            left -= taken;
        }
        if crc == header.body_crc {
            Ok(Ok(header))
        } else {
            Ok(Err(Rest::Bad(
                "the records of a frame do not match their checksum",
            )))
        }
    }

    /// The headers of frames that begin after byte `after`, wherever they are: what is left beyond damage.
    pub(super) fn search(&self, after: u64) -> Result<Vec<Header>, LogError> {
        let mut found = Vec::new();
        let mut position = after + 1;
        let mut buffer = vec![0; SCAN_BYTES];
        loop {
            let have = read_up_to_at(&self.file, &mut buffer, position)
                .map_err(io_error("read", &self.path))?;
            let mut at = 0;
            while at + frame::HEADER_BYTES <= have {
                if let Some(header) =
                    Header::decode(&buffer[at..have], self.salt, position + at as u64)
                {
                    found.push(header);
                }
                at += 1;
            }
            if have < buffer.len() {
                return Ok(found);
            }
            // What was too short for a header is looked at again with what follows it.
            position += at as u64;
        }
    }
}

/// What [`Segment::scan`] found.
#[derive(Debug)]
pub(super) struct Scan {
    /// The frames that hold records, or that say where a stream ends.
    pub(super) frames: Vec<Header>,
    /// Where the last good frame ends.
    pub(super) end: u64,
    /// Where the last good frame that is no mark ends.
    pub(super) data_end: u64,
    /// Up to where the segment was durable, by the word of its frames.
    pub(super) durable: u64,
    /// What lies behind the last good frame.
    pub(super) rest: Rest,
}

/// What lies behind the last good frame of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// The file ends.
    Nothing,
    /// Only zeros: room that was made ahead of writing.
    Zeros,
    /// Something that is no frame, for this reason.
    Bad(&'static str),
}

fn encode_header(kind: Kind, sequence: u64, salt: u64) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[0..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[16..24].copy_from_slice(&salt.to_le_bytes());
    bytes[24..32].copy_from_slice(&sequence.to_le_bytes());
    bytes[32..36].copy_from_slice(&(kind as u32).to_le_bytes());
    let crc = crc32c::crc32c(&bytes[16..]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Makes new and changed names in `folder` durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn rest_is_zero(reader: &mut BufReader<&File>) -> io::Result<bool> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(true);
        }
        if buffer.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        let read = buffer.len();
        reader.consume(read);
    }
}

fn read_up_to(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < bytes.len() {
        match reader.read(&mut bytes[have..]) {
            Ok(0) => break,
            Ok(read) => have += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

fn read_up_to_at(file: &File, bytes: &mut [u8], position: u64) -> io::Result<usize> {
    let mut have = 0;
    while have < bytes.len() {
        match file.read_at(&mut bytes[have..], position + have as u64) {
            Ok(0) => break,
            Ok(read) => have += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of 4 bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of 8 bytes"))
}
