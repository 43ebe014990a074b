//! Habits that YAML 1.2 forbids and that most readers let pass: lines inside of quotes or brackets that are indented less than what is around them, and
//! comments right behind a comma. Blanks are put in before them, which changes no value, and the text is read again.

use std::{borrow::Cow, collections::BTreeMap};

/// The most bytes that are read again, all times together. Beyond, the text counts as broken.
const BYTES_MAX: usize = 64 << 20;
/// More blanks than a document is indented by.
const BLANKS: usize = 250;

/// A text that is being mended, and where.
pub(super) struct Mended<'t> {
    pub(super) text: Cow<'t, str>,
    /// By line, from 1: after how many characters blanks were put in, and how many.
    blanks: BTreeMap<usize, (usize, usize)>,
    /// How many bytes may still be read again.
    left: usize,
}

impl<'t> Mended<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            blanks: BTreeMap::new(),
            left: BYTES_MAX,
        }
    }

    /// The column in the text as it was.
    pub(super) fn column(&self, line: usize, column: usize) -> usize {
        match self.blanks.get(&line) {
            Some((at, blanks)) if column > *at => column.saturating_sub(*blanks).max(*at),
            _ => column,
        }
    }

    /// Puts in blanks for what a reader said about a line and a column. `false`: it is broken.
    pub(super) fn mend(&mut self, why: &str, line: usize, column: usize) -> bool {
        let Some(start) = start_of(&self.text, line) else {
            return false;
        };
        let at = start
            + self.text[start..]
                .chars()
                .take(column)
                .map(char::len_utf8)
                .sum::<usize>();
        let Some(left) = self.left.checked_sub(at) else {
            return false;
        };
        self.left = left;
        let places = match why {
            "invalid indentation in quoted scalar" => quoted(&self.text[at..]),
            "invalid indentation" | "invalid indentation in flow construct" => {
                bracketed(&self.text[at..])
            }
            "comments must be separated from other tokens by whitespace" => {
                return self.insert(&[(line, at, column)], 1);
            }
            _ => return false,
        };
        // The first place is in the line of the error, where the column is known; all others are at the beginning of their lines.
        let places: Vec<_> = places
            .into_iter()
            .map(|(lines, offset)| {
                let column = if lines == 0 { column } else { 0 };
                (line + lines, at + offset, column)
            })
            .collect();
        self.insert(&places, BLANKS)
    }

    /// Puts blanks in at places: line, byte and column, in order.
    fn insert(&mut self, places: &[(usize, usize, usize)], blanks: usize) -> bool {
        // A second time in one line would be of no use.
        let new = |(line, ..): &&(usize, usize, usize)| !self.blanks.contains_key(line);
        let places: Vec<_> = places.iter().filter(new).copied().collect();
        if places.is_empty() {
            return false;
        }
        let mut mended = String::with_capacity(self.text.len() + places.len() * blanks);
        let mut done = 0;
        for (line, at, column) in places {
            mended.push_str(&self.text[done..at]);
            mended.extend(std::iter::repeat_n(' ', blanks));
            done = at;
            self.blanks.insert(line, (column, blanks));
        }
        mended.push_str(&self.text[done..]);
        self.text = Cow::Owned(mended);
        true
    }
}

/// The byte at which a line begins, counted from 1.
fn start_of(text: &str, line: usize) -> Option<usize> {
    let mut lines = breaks(text);
    match line.checked_sub(2) {
        None => Some(0),
        Some(before) => lines.nth(before),
    }
}

/// Where lines begin, but for the first: after `\n`, or `\r` alone.
fn breaks(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    bytes
        .iter()
        .enumerate()
        .filter(|(at, byte)| {
            **byte == b'\n' || **byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')
        })
        .map(|(at, _)| at + 1)
}

/// The lines of a quoted text but for its first one: how many lines and bytes behind its opening quote.
fn quoted(text: &str) -> Vec<(usize, usize)> {
    let Some(end) = end_of_quotes(text) else {
        return Vec::new();
    };
    breaks(&text[..end])
        .enumerate()
        .map(|(index, at)| (index + 1, at))
        .collect()
}

/// The length of a quoted text, with its quotes.
fn end_of_quotes(text: &str) -> Option<usize> {
    let quote = text
        .chars()
        .next()
        .filter(|one| matches!(one, '"' | '\''))?;
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((at, one)) = letters.next() {
        if one == '\\' && quote == '"' {
            letters.next();
        } else if one == quote {
            if quote == '\'' && letters.peek().is_some_and(|(_, next)| *next == '\'') {
                letters.next();
            } else {
                return Some(at + 1);
            }
        }
    }
    None
}

/// Here, and each line up to the bracket that closes what this is in.
fn bracketed(text: &str) -> Vec<(usize, usize)> {
    let mut places = vec![(0, 0)];
    let mut lines = 0;
    let mut depth = 0_usize;
    let mut at = 0;
    let mut before = ' ';
    while let Some(one) = text[at..].chars().next() {
        match one {
            '\n' => {
                lines += 1;
                places.push((lines, at + 1));
            }
            '[' | '{' => depth += 1,
            ']' | '}' if depth == 0 => break,
            ']' | '}' => depth -= 1,
            '"' | '\'' if matches!(before, ' ' | '\n' | ',' | '[' | '{' | ':') => {
                let Some(length) = end_of_quotes(&text[at..]) else {
                    return places;
                };
                let inside = quoted(&text[at..]);
                places.extend(
                    inside
                        .iter()
                        .map(|(more, offset)| (lines + more, at + offset)),
                );
                lines += inside.len();
                at += length;
                before = one;
                continue;
            }
            '#' if matches!(before, ' ' | '\n') => {
                at += text[at..].find('\n').unwrap_or(text.len() - at);
                before = '#';
                continue;
            }
            _ => {}
        }
        before = one;
        at += one.len_utf8();
    }
    // What is behind the last line is where the bracket closes, or nothing.
    places.retain(|(_, at)| *at < text.len());
    places
}

#[cfg(test)]
mod tests {
    use super::{
        super::{json::parse as json, limits::Budget, node::Node, yaml::parse},
        Mended,
    };
    use crate::diagnostic::Diagnostics;

    fn read(text: &str) -> Result<Node, String> {
        let mut diagnostics = Diagnostics::default();
        let node = parse(text, 0, &mut Budget::default(), &mut diagnostics);
        node.ok_or_else(|| diagnostics.iter().map(|one| one.message.clone()).collect())
    }

    #[test]
    fn what_others_let_pass_is_read() {
        let rows = [
            ("a:\n  b: \"one\ntwo\"\n", r#"{"a":{"b":"one two"}}"#),
            (
                "a:\n  b: \"one\n\\\"two\n\n three\"\n  c: 1\n",
                r#"{"a":{"b":"one \"two\nthree","c":1}}"#,
            ),
            ("a:\n  b: 'it''s\none' # yes\n", r#"{"a":{"b":"it's one"}}"#),
            ("a:\n  b: {\n    \"c\": 1\n  }\n", r#"{"a":{"b":{"c":1}}}"#),
            (
                "a:\n  b: {\n\"c\": [\n1, 2\n]\n}\n  d: [\n]\n",
                r#"{"a":{"b":{"c":[1,2]},"d":[]}}"#,
            ),
            (
                "a:\n  b: {\nc: 'x\ny}', # }\nd: 2\n}\n  e: [{\nf: 1}\n]\n",
                r#"{"a":{"b":{"c":"x y}","d":2},"e":[{"f":1}]}}"#,
            ),
            ("a: [1,#one\n  2]\n", r#"{"a":[1,2]}"#),
        ];
        for (text, expected) in rows {
            let node = read(text).unwrap_or_else(|why| panic!("{text}\n{why}"));
            assert_eq!(node.to_json().to_string(), expected, "{text}");
        }
    }

    /// Places are those of the text as the user has it.
    #[test]
    fn places_stay() {
        let node = read("a:\n  b: {\n c: 1, d: 2\n}\n").unwrap();
        let inner = node.pointer("/a/b").and_then(Node::as_object).unwrap();
        let spans: Vec<_> = inner
            .values()
            .map(|member| {
                (
                    member.name.line,
                    member.name.column,
                    member.node.span.column,
                )
            })
            .collect();
        assert_eq!(spans, [(3, 2, 5), (3, 8, 11)]);
    }

    #[test]
    fn what_is_broken_stays_so() {
        for text in [
            "a:\n  b: \"one\ntwo\n",
            "a:\n  b: {\nc: 1\n",
            "a:\n  - b\n c: 1\n",
            "\"\\q\"",
            "a: [}\n",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let mut diagnostics = Diagnostics::default();
        let json = json("{\"a\": 1,}", 0, &mut Budget::default(), &mut diagnostics);
        assert!(json.is_none());
    }

    /// Each line is mended once, and the work has a limit.
    #[test]
    fn it_ends() {
        let why = "invalid indentation";
        let mut mended = Mended::new("a:\n  b: {\nc: 1\n}\n");
        assert!(mended.mend(why, 3, 0));
        assert!(!mended.mend(why, 3, 0));
        assert!(!mended.mend(why, 4, 0), "up to the bracket");
        assert!(!mended.mend(why, 9, 0));
        let mut mended = Mended {
            left: 10,
            ..Mended::new("a:\n  b: [\n]\n  c: [\n]\n")
        };
        assert!(mended.mend(why, 3, 0));
        assert!(!mended.mend(why, 5, 0));
    }
}
