//! Descriptions as comments: Markdown or HTML of anyone, such that neither the compiler nor rustdoc finds anything in it.

pub(super) use crate::text::is_hidden;

/// How wide a line is.
const WIDTH: usize = 96;
/// The most of a text that is looked at, in characters.
const LOOK: usize = 8_000;
/// Tags of HTML that are left out; what is between them stays. (Any other `<` is shown as it is.)
const TAGS: [&str; 34] = [
    "a",
    "b",
    "blockquote",
    "br",
    "code",
    "dd",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "hr",
    "i",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "section",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "td",
    "th",
    "tr",
    "ul",
];

/// The lines of a description, at most so many.
pub(super) fn lines(text: &str, most: usize) -> Vec<String> {
    let cut = text.char_indices().nth(LOOK).map(|(at, _)| at);
    let mut lines = wrapped(&text[..cut.unwrap_or(text.len())]);
    if lines.len() > most || (cut.is_some() && !lines.is_empty()) {
        lines.truncate(most);
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        if fences(&lines) % 2 == 1 {
            lines.push("```".to_owned());
        } else if let Some(last) = lines.last_mut()
            && last != "```"
        {
            last.push_str(" …");
        }
    }
    lines
}

/// Adds a paragraph of our own.
pub(super) fn paragraph(lines: &mut Vec<String>, text: String) {
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(text);
}

fn fences(lines: &[String]) -> usize {
    lines.iter().filter(|line| line.starts_with("```")).count()
}

/// All lines of a text, wrapped and harmless.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut fenced = false;
    // What is gathered of a paragraph, and how far it is indented.
    let mut paragraph = String::new();
    let mut indent = 0;
    for line in text.split(['\n', '\r', '\u{2028}', '\u{2029}']) {
        let line: String = line
            .chars()
            .map(|one| if one == '\t' { ' ' } else { one })
            .filter(|one| !one.is_control() && !is_hidden(*one))
            .collect();
        let bare = line.trim();
        let fence = bare.starts_with("```") || bare.starts_with("~~~");
        if fenced && !fence {
            lines.push(line.trim_end().to_owned());
            continue;
        }
        let plain = if fence { String::new() } else { plain(bare) };
        let bare = plain.trim();
        if bare.is_empty() || stands_alone(bare) {
            wrap(&std::mem::take(&mut paragraph), indent, &mut lines);
        }
        if fence {
            // Of what language it is does not matter: rustdoc would compile it.
            lines.push(if fenced { "```" } else { "```text" }.to_owned());
            fenced = !fenced;
        } else if bare.is_empty() {
            if lines.last().is_some_and(|last| !last.is_empty()) {
                lines.push(String::new());
            }
        } else {
            if paragraph.is_empty() {
                // Four blanks would make it code.
                indent = (line.len() - line.trim_start().len()).min(3);
            } else {
                paragraph.push(' ');
            }
            paragraph.push_str(bare);
        }
    }
    wrap(&paragraph, indent, &mut lines);
    if fenced {
        lines.push("```".to_owned());
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// Whether a line begins something of its own: a title, an item of a list, a row of a table.
fn stands_alone(line: &str) -> bool {
    let numbered = line
        .trim_start_matches(|one: char| one.is_ascii_digit())
        .starts_with(['.', ')']);
    line.starts_with(['#', '-', '*', '+', '|', '>', '='])
        || numbered && line.starts_with(|one: char| one.is_ascii_digit())
}

/// Breaks a line at blanks.
fn wrap(text: &str, indent: usize, lines: &mut Vec<String>) {
    if text.is_empty() {
        return;
    }
    let indent = " ".repeat(indent);
    let mut line = indent.clone();
    let mut width = indent.len();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if width > indent.len() && width + 1 + length > WIDTH {
            lines.push(std::mem::replace(&mut line, indent.clone()));
            width = indent.len();
        }
        if width > indent.len() {
            line.push(' ');
            width += 1;
        }
        line.push_str(word);
        width += length;
    }
    lines.push(line);
}

/// Without what rustdoc would take for HTML or for the name of an item.
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    let mut code = false;
    while let Some(one) = rest.chars().next() {
        match one {
            '`' => code = !code && rest[1..].contains('`'),
            '<' if !code => {
                if let Some(after) = tag(rest) {
                    rest = after;
                } else {
                    out.push_str("\\<");
                    rest = &rest[1..];
                }
                continue;
            }
            '[' if !code => {
                if let Some(length) = link(rest) {
                    out.push_str(&rest[..length]);
                    rest = &rest[length..];
                } else {
                    out.push_str("\\[");
                    rest = &rest[1..];
                }
                continue;
            }
            ']' if !code => out.push('\\'),
            _ => {}
        }
        out.push(one);
        rest = &rest[one.len_utf8()..];
    }
    out
}

/// What comes after a tag of HTML.
fn tag(text: &str) -> Option<&str> {
    let (inside, after) = text.strip_prefix('<')?.split_once('>')?;
    let name = inside.trim_start_matches('/');
    let end = name
        .find(|one: char| !one.is_ascii_alphanumeric())
        .unwrap_or(name.len());
    let name = name[..end].to_ascii_lowercase();
    TAGS.contains(&name.as_str()).then_some(after)
}

/// How long a link to a page is: `[text](https://…)`.
fn link(text: &str) -> Option<usize> {
    let close = text.find(']')?;
    let inside = &text[1..close];
    let target = text[close + 1..].strip_prefix('(')?;
    let end = target.find(')')?;
    let plain = |text: &str, not: &[char]| !text.is_empty() && !text.contains(not);
    let known = ["https://", "http://"];
    let good = known.iter().any(|scheme| target.starts_with(scheme))
        && plain(&target[..end], &[' ', '<', '>', '`'])
        && plain(inside, &['[', '`', '<', '>']);
    good.then_some(close + 1 + 1 + end + 1)
}
