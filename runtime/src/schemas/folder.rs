//! A folder as a registry: `7.avsc` is the schema with the id 7. It takes any schema: what goes with what is for a registry to say.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::PathBuf,
};

use serde_json::Value;

use super::registry::Failure;

const EXTENSION: &str = "avsc";

#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn schema(&self, id: u32) -> Result<String, Failure> {
        let path = self.file(id);
        fs::read_to_string(&path).map_err(|error| {
            let what = format!("{}: {error}", path.display());
            match error.kind() {
                ErrorKind::NotFound => Failure::Refused(what),
                _ => Failure::Away(what),
            }
        })
    }

    pub(super) fn register(&self, schema: &str) -> Result<u32, Failure> {
        let new: Value = serde_json::from_str(schema)
            .map_err(|error| Failure::Refused(format!("it is no JSON: {error}")))?;
        let registered = self.find_or_add(schema, &new);
        registered.map_err(|error| Failure::Away(format!("{}: {error}", self.path.display())))
    }

    /// Others may do so at the same time: an id is given once, to whoever's file gets the name first.
    fn find_or_add(&self, schema: &str, new: &Value) -> io::Result<u32> {
        fs::create_dir_all(&self.path)?;
        loop {
            let mut last = 0;
            for id in self.ids()? {
                let known = fs::read(self.file(id))?;
                // Whoever put something else there by hand may have meant it.
                if serde_json::from_slice::<Value>(&known).is_ok_and(|known| known == *new) {
                    return Ok(id);
                }
                last = last.max(id);
            }
            let id = last + 1;
            let unfinished = self.path.join(format!("{id}.{}", uuid::Uuid::new_v4()));
            let mut file = File::create_new(&unfinished)?;
            file.write_all(schema.as_bytes())?;
            file.sync_all()?;
            let linked = fs::hard_link(&unfinished, self.file(id));
            fs::remove_file(&unfinished)?;
            match linked {
                Ok(()) => {
                    // What is written with it must not be there without it.
                    File::open(&self.path)?.sync_all()?;
                    return Ok(id);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn file(&self, id: u32) -> PathBuf {
        self.path.join(format!("{id}.{EXTENSION}"))
    }

    fn ids(&self) -> io::Result<Vec<u32>> {
        let mut ids = Vec::new();
        for file in fs::read_dir(&self.path)? {
            let name = file?.file_name();
            let name = name.to_str().and_then(|name| name.rsplit_once('.'));
            let id = name.filter(|(_, extension)| *extension == EXTENSION);
            ids.extend(id.and_then(|(id, _)| id.parse::<u32>().ok()));
        }
        ids.sort_unstable();
        Ok(ids)
    }
}
