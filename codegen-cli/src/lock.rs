//! `memgen.lock`: from what the generated files were made, and by which version.

use std::fmt::Write as _;

use serde::Deserialize;

/// The name of the file.
pub const PATH: &str = "memgen.lock";
/// The layout of the file.
const VERSION: u32 = 1;

/// From what the generated files were made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Lock {
    version: u32,
    /// The version of memgen that wrote them.
    pub generator: String,
    /// The document's first file. Paths in here are relative to the folder of the lock.
    pub document: String,
    /// A hash of all bytes of the document.
    pub document_hash: String,
    /// The checksum of `src/generated/openapi.json`, which can hold no header.
    pub openapi: String,
    /// What was said besides the document.
    #[serde(default)]
    pub options: Options,
}

/// What `memgen generate` was told besides the document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Options {
    /// An overlay for the document.
    pub overlay: Option<String>,
    /// The name that the crate was to have when it was new.
    pub name: Option<String>,
    /// The folder that the crate was to have the runtime from when it was new …
    pub memgen_path: Option<String>,
    /// … or the repository …
    pub memgen_git: Option<String>,
    /// … or the version.
    pub memgen_version: Option<String>,
}

/// Only the version, to be read first.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Lock {
    /// What this version of memgen made of a document.
    #[must_use]
    pub fn new(document: String, document_hash: String, openapi: String, options: Options) -> Self {
        Self {
            version: VERSION,
            generator: env!("CARGO_PKG_VERSION").to_owned(),
            document,
            document_hash,
            openapi,
            options,
        }
    }

    /// Reads the text of the file.
    ///
    /// # Errors
    /// If it is none that this version can read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let damaged = |error: toml::de::Error| {
            format!(
                "`{PATH}` is damaged: {}. Restore it, or remove it",
                error.message()
            )
        };
        let Versioned { version } = toml::from_str(text).map_err(damaged)?;
        if version > VERSION {
            return Err(format!(
                "`{PATH}` was written by a newer memgen: install that one (`cargo install memgen-cli`)"
            ));
        }
        toml::from_str(text).map_err(damaged)
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::from(
            "# Written by `memgen generate`. It belongs into the repository, beside the files that it is about.\n",
        );
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "{name} = {}", quoted(value));
        };
        line("generator", &self.generator);
        line("document", &self.document);
        line("document_hash", &self.document_hash);
        line("openapi", &self.openapi);
        let _ = writeln!(text, "version = {}", self.version);
        let options = &self.options;
        if *options == Options::default() {
            return text;
        }
        text.push_str("\n[options]\n");
        for (name, value) in [
            ("overlay", &options.overlay),
            ("name", &options.name),
            ("memgen_path", &options.memgen_path),
            ("memgen_git", &options.memgen_git),
            ("memgen_version", &options.memgen_version),
        ] {
            if let Some(value) = value {
                let _ = writeln!(text, "{name} = {}", quoted(value));
            }
        }
        text
    }
}

/// A text of TOML.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for one in text.chars() {
        match one {
            '"' | '\\' => out.extend(['\\', one]),
            one if one.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(one));
            }
            one => out.push(one),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let all = Options {
            overlay: Some("over\tlay".to_owned()),
            name: Some("shop".to_owned()),
            memgen_path: Some("../memgen".to_owned()),
            memgen_git: Some("https://host/memgen".to_owned()),
            memgen_version: Some("1".to_owned()),
        };
        let rows = [
            ("openapi.yaml", Options::default()),
            ("a \"name\"\\\n\u{1}.yaml", all),
        ];
        for (document, options) in rows {
            let lock = Lock::new(
                document.to_owned(),
                "00ff".to_owned(),
                "1".to_owned(),
                options,
            );
            assert_eq!(Lock::parse(&lock.text()), Ok(lock));
        }
    }

    #[test]
    fn what_is_no_lock_says_so() {
        let rows = [
            ("", "damaged"),
            ("version = 2", "newer memgen"),
            ("version = 1", "damaged"),
            ("{", "damaged"),
        ];
        for (text, part) in rows {
            let error = Lock::parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
