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
    /// The name of the document's first file.
    pub document: String,
    /// A hash of all bytes of the document.
    pub document_hash: String,
    /// The name of the overlay, if there is one.
    pub overlay: Option<String>,
    /// The checksum of `src/generated/openapi.json`, which can hold no header.
    pub openapi: String,
}

/// Only the version, to be read first.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Lock {
    /// What this version of memgen made of a document.
    #[must_use]
    pub fn new(
        document: String,
        document_hash: String,
        overlay: Option<String>,
        openapi: String,
    ) -> Self {
        Self {
            version: VERSION,
            generator: env!("CARGO_PKG_VERSION").to_owned(),
            document,
            document_hash,
            overlay,
            openapi,
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
        if let Some(overlay) = &self.overlay {
            line("overlay", overlay);
        }
        line("openapi", &self.openapi);
        let _ = writeln!(text, "version = {}", self.version);
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
        let rows = [
            ("openapi.yaml", None),
            ("a \"name\"\\\n\u{1}.yaml", Some("over\tlay".to_owned())),
        ];
        for (document, overlay) in rows {
            let lock = Lock::new(
                document.to_owned(),
                "00ff".to_owned(),
                overlay,
                "1".to_owned(),
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
