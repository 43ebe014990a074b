//! The files that a document is made of, and messages that show their lines.

use std::{
    borrow::Cow,
    cell::OnceCell,
    collections::{BTreeSet, HashMap},
    fmt::Write as _,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::Xxh3;

use super::limits::{BYTES_MAX, FILES_MAX};
use crate::{
    diagnostic::{Diagnostic, Severity},
    text::{is_hidden, shown},
};

/// How much of a long line a message shows.
const LINE_CHARS_MAX: usize = 120;
/// A place is looked up from the last mark before it: each line begins with one, and a long line has more of them, so many characters apart.
const MARK_CHARS: u32 = 1024;

/// The files that were read, in order.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
    /// Files that the document refers to, and that are not there.
    missing: BTreeSet<PathBuf>,
    /// By pointers of the whole document: the files and the pointers of what it took in there.
    taken_in: HashMap<String, Vec<(u32, String)>>,
}

/// One file.
#[derive(Debug)]
struct Source {
    /// As messages name it.
    name: String,
    text: String,
    /// Made when the first message shows a line: a document without mistakes needs none.
    marks: OnceCell<Vec<Mark>>,
}

/// Where a line begins, or a part of a long one.
#[derive(Clone, Copy, Debug)]
struct Mark {
    line: u32,
    /// From 1.
    column: u32,
    byte: usize,
}

impl Source {
    fn marks(&self) -> &[Mark] {
        self.marks.get_or_init(|| {
            let mut at = Mark {
                line: 1,
                column: 1,
                byte: 0,
            };
            let mut marks = vec![at];
            for (byte, one) in self.text.char_indices() {
                let next = byte + one.len_utf8();
                if one == '\n' {
                    (at.line, at.column) = (at.line.saturating_add(1), 1);
                } else {
                    at.column = at.column.saturating_add(1);
                    if at.column % MARK_CHARS != 1 {
                        continue;
                    }
                }
                marks.push(Mark { byte: next, ..at });
            }
            marks
        })
    }

    /// The text from a column of a line on. `None` if there is no such line.
    fn part(&self, line: u32, column: u32) -> Option<&str> {
        let marks = self.marks();
        let after = marks.partition_point(|mark| (mark.line, mark.column) <= (line, column));
        let mark = marks[..after].last().filter(|mark| mark.line == line)?;
        let rest = &self.text[mark.byte..];
        let skip = (column - mark.column) as usize;
        let mut passed = rest.char_indices().take_while(|(_, one)| *one != '\n');
        let byte = passed
            .nth(skip)
            .map_or_else(|| rest.find('\n').unwrap_or(rest.len()), |(byte, _)| byte);
        Some(&rest[byte..])
    }
}

impl Sources {
    /// Takes in a file's bytes. Returns its number.
    pub(super) fn add(&mut self, name: &str, bytes: Vec<u8>) -> Result<u32, String> {
        if self.files.len() >= FILES_MAX {
            return Err(format!(
                "the document refers to more than {FILES_MAX} files"
            ));
        }
        if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
            return Err(format!("{name} is UTF-16; save it as UTF-8"));
        }
        let mut text = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            format!("{name} is not UTF-8: byte {at} begins no character")
        })?;
        if text.starts_with('\u{feff}') {
            text.drain(..'\u{feff}'.len_utf8());
        }
        self.files.push(Source {
            name: name.to_owned(),
            text,
            marks: OnceCell::new(),
        });
        Ok(u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX))
    }

    /// Reads a file. What is longer than all files may be is not read to its end: it may have none.
    pub(super) fn read(&mut self, path: &Path, name: &str) -> Result<u32, String> {
        let cant = |error: io::Error| format!("{name} can't be read: {error}");
        let left = BYTES_MAX.saturating_sub(self.bytes());
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(cant)?;
        let read = file.take(left + 1).read_to_end(&mut bytes).map_err(cant)?;
        if read as u64 > left {
            return Err(format!(
                "{name} is too long: all files of a document together may have {BYTES_MAX} bytes"
            ));
        }
        self.add(name, bytes)
    }

    fn bytes(&self) -> u64 {
        self.files
            .iter()
            .map(|source| source.text.len() as u64)
            .sum()
    }

    /// A file's text.
    pub(super) fn text(&self, file: u32) -> &str {
        self.files
            .get(file as usize)
            .map_or("", |source| source.text.as_str())
    }

    /// A file's name, as messages have it.
    #[must_use]
    pub fn name(&self, file: u32) -> &str {
        self.files
            .get(file as usize)
            .map_or("", |source| source.name.as_str())
    }

    /// The names of all files that were read.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|source| source.name.as_str())
    }

    /// Remembers a file that is not there.
    pub(super) fn miss(&mut self, path: PathBuf) {
        self.missing.insert(path);
    }

    /// The files that the document refers to, and that are not there.
    pub fn missing(&self) -> impl Iterator<Item = &Path> {
        self.missing.iter().map(PathBuf::as_path)
    }

    /// Remembers that what the whole document has at a pointer stands at another one of a file.
    pub(super) fn take_in(&mut self, pointer: String, from: (u32, String)) {
        self.taken_in.entry(pointer).or_default().push(from);
    }

    /// The pointer that a value has in its own file, by that of the whole document.
    fn pointer_in<'p>(&self, file: u32, pointer: &'p str) -> Cow<'p, str> {
        let Some(path) = pointer.strip_prefix('#') else {
            return pointer.into();
        };
        let mut rest = path.len();
        while rest > 0 {
            // Of what leads from place to place, the last one has it.
            let mut from = self.taken_in.get(&path[..rest]).into_iter().flatten();
            if let Some((_, own)) = from.rfind(|(of, _)| *of == file) {
                return format!("#{own}{}", &path[rest..]).into();
            }
            rest = path[..rest].rfind('/').unwrap_or(0);
        }
        pointer.into()
    }

    /// A hash of all texts, in the order in which they were read.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hasher = Xxh3::new();
        for source in &self.files {
            hasher.update(&(source.text.len() as u64).to_le_bytes());
            hasher.update(source.text.as_bytes());
        }
        format!("{:032x}", hasher.digest128())
    }

    /// A message as people read it: what, where, the line itself, and what to do.
    #[must_use]
    pub fn render(&self, diagnostic: &Diagnostic, color: bool) -> String {
        let (word, paint) = match diagnostic.severity {
            Severity::Error => ("error", "\x1b[1;31m"),
            Severity::Warning => ("warning", "\x1b[1;33m"),
        };
        let (paint, bold, dim, plain) = if color {
            (paint, "\x1b[1m", "\x1b[34m", "\x1b[0m")
        } else {
            ("", "", "", "")
        };
        let mut out = format!(
            "{paint}{word}{plain}{bold}: {}{plain}\n",
            diagnostic.message
        );
        if let Some(span) = diagnostic.span {
            let name = shown(self.name(span.file), LINE_CHARS_MAX);
            let (line, column) = (span.line, span.column);
            let margin = " ".repeat(line.to_string().len());
            let _ = writeln!(out, "{margin}{dim}-->{plain} {name}:{line}:{column}");
            if let Some((shown, caret)) = self.line(span.file, line, column) {
                let _ = writeln!(out, "{margin} {dim}|{plain}");
                let _ = writeln!(out, "{dim}{line} |{plain} {shown}");
                let _ = writeln!(
                    out,
                    "{margin} {dim}|{plain} {}{paint}^{plain}",
                    " ".repeat(caret)
                );
            }
            if !diagnostic.pointer.is_empty() {
                let pointer = self.pointer_in(span.file, &diagnostic.pointer);
                let _ = writeln!(out, "{margin} {dim}={plain} at {pointer}");
            }
            if let Some(help) = &diagnostic.help {
                let _ = writeln!(out, "{margin} {dim}={plain} help: {help}");
            }
        } else if let Some(help) = &diagnostic.help {
            let _ = writeln!(out, "  {dim}={plain} help: {help}");
        }
        out
    }

    /// A line, or what of a long one is around the column, without anything that a terminal obeys; and where in it the column is.
    fn line(&self, file: u32, line: u32, column: u32) -> Option<(String, usize)> {
        let source = self.files.get(file as usize)?;
        let at = column.saturating_sub(1) as usize;
        let from = if at >= LINE_CHARS_MAX {
            at - LINE_CHARS_MAX / 2
        } else {
            0
        };
        let rest = source.part(line, u32::try_from(from).ok()?.saturating_add(1))?;
        let shown: String = rest
            .chars()
            .take_while(|one| *one != '\n')
            .take(LINE_CHARS_MAX)
            .map(|one| {
                if one.is_control() || is_hidden(one) {
                    ' '
                } else {
                    one
                }
            })
            .collect();
        let shown = shown.trim_end().to_owned();
        Some((shown, at - from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Span;

    #[test]
    fn a_message_shows_the_line() {
        let mut sources = Sources::default();
        let file = sources
            .add(
                "a\x1b.yaml",
                b"\xEF\xBB\xBFinfo:\n  title: \x1b[31m 1\n".to_vec(),
            )
            .unwrap();
        let diagnostic = Diagnostic {
            severity: Severity::Warning,
            span: Some(Span {
                file,
                line: 2,
                column: 10,
            }),
            pointer: "#/info/title".to_owned(),
            message: "the title is odd".to_owned(),
            help: Some("give another".to_owned()),
        };
        let expected = "\
warning: the title is odd
 --> a\u{fffd}.yaml:2:10
  |
2 |   title:  [31m 1
  |          ^
  = at #/info/title
  = help: give another
";
        assert_eq!(sources.render(&diagnostic, false), expected);
        let colored = sources.render(&diagnostic, true);
        assert!(colored.contains("\x1b[1;33mwarning"), "{colored}");
    }

    #[test]
    fn a_line_of_megabytes_is_clipped() {
        let mut sources = Sources::default();
        let mut text = "x".repeat(1 << 20);
        text.push('!');
        let file = sources.add("a.json", text.into_bytes()).unwrap();
        let (shown, at) = sources.line(file, 1, (1 << 20) + 1).unwrap();
        assert_eq!(shown.chars().nth(at), Some('!'));
        assert!(shown.len() <= LINE_CHARS_MAX);
    }

    #[test]
    fn what_is_not_utf8_is_refused_with_its_place() {
        let error = Sources::default().add("a.yaml", b"ab\xFF".to_vec());
        assert_eq!(
            error.unwrap_err(),
            "a.yaml is not UTF-8: byte 2 begins no character"
        );
    }
}
