//! What is wrong with a document, and where.

use std::fmt;

use crate::text::shown;

/// The longest message, and the longest pointer.
const MESSAGE_CHARS_MAX: usize = 600;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something is left out or taken in another way; the rest is generated.
    Warning,
    /// Nothing is generated.
    Error,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The index of the file in the order in which files were read.
    pub file: u32,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is, if it is at a place.
    pub span: Option<Span>,
    /// The JSON pointer of the value within its file, such as `#/paths/~1pets/get`.
    pub pointer: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do, if that is not obvious.
    pub help: Option<String>,
}

/// All that is wrong, in the order in which it was found. Each pass adds to it and goes on.
#[derive(Debug, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one, as it may be shown: names in it are the document's, and may be anything.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(Diagnostic {
            message: shown(&diagnostic.message, MESSAGE_CHARS_MAX),
            pointer: shown(&diagnostic.pointer, MESSAGE_CHARS_MAX),
            ..diagnostic
        });
    }

    /// Adds an error.
    pub fn error(&mut self, span: Span, pointer: impl Into<String>, message: impl fmt::Display) {
        self.add(Severity::Error, span, pointer.into(), &message);
    }

    /// Adds a warning.
    pub fn warning(&mut self, span: Span, pointer: impl Into<String>, message: impl fmt::Display) {
        self.add(Severity::Warning, span, pointer.into(), &message);
    }

    fn add(&mut self, severity: Severity, span: Span, pointer: String, message: &dyn fmt::Display) {
        self.push(Diagnostic {
            severity,
            span: Some(span),
            pointer,
            message: message.to_string(),
            help: None,
        });
    }

    /// Says what to do about the last one.
    pub fn help(&mut self, help: impl Into<String>) {
        if let Some(last) = self.0.last_mut() {
            last.help = Some(help.into());
        }
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many are of this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|one| one.severity == severity).count()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
