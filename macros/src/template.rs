//! The template of a path: `/customers/{customer}/orders`.

use syn::{LitStr, ext::IdentExt as _, parse::Parser as _};

use crate::errors::Errors;

/// A path that is sound: it starts with `/`, has no empty segment, and each placeholder is a whole segment with a
/// name of its own.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// As the user wrote it.
    pub(crate) literal: LitStr,
    /// The names in `{…}`, in order.
    pub(crate) placeholders: Vec<String>,
}

impl Template {
    /// Reads a template; all that is wrong with it is reported on the literal.
    pub(crate) fn parse(literal: &LitStr, root: Root, errors: &Errors) -> Option<Self> {
        match read(&literal.value(), root) {
            Ok(placeholders) => Some(Self {
                literal: literal.clone(),
                placeholders,
            }),
            Err(mistakes) => {
                for mistake in mistakes {
                    errors.push(literal, mistake);
                }
                None
            }
        }
    }

    pub(crate) fn text(&self) -> String {
        self.literal.value()
    }

    pub(crate) fn has(&self, placeholder: &str) -> bool {
        self.placeholders.iter().any(|name| name == placeholder)
    }

    /// The path with names left out: what decides whether two routes are the same.
    pub(crate) fn shape(&self) -> String {
        let text = self.text();
        let segments = text.split('/').map(|segment| {
            if segment.starts_with('{') {
                "{}"
            } else {
                segment
            }
        });
        segments.collect::<Vec<_>>().join("/")
    }
}

/// Whether `/` alone is a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    Allowed,
    Refused,
}

fn read(path: &str, root: Root) -> Result<Vec<String>, Vec<String>> {
    let mut mistakes = Vec::new();
    let mut placeholders: Vec<String> = Vec::new();
    if path == "/" && root == Root::Allowed {
        return Ok(placeholders);
    }
    if path.is_empty() || path == "/" {
        return Err(vec![
            "the path is empty: write at least one segment, like `\"/vertex\"`".to_owned(),
        ]);
    }
    let legal = format!("/{}", path.trim_matches('/'));
    let rest = path.strip_prefix('/').unwrap_or_else(|| {
        mistakes.push(format!(
            "the path has to start with `/`: write `\"{legal}\"`"
        ));
        path
    });
    let rest = rest.strip_suffix('/').map_or(rest, |shorter| {
        mistakes.push(format!(
            "the path must not end with `/`: write `\"{legal}\"`"
        ));
        shorter
    });
    for segment in rest.split('/') {
        match placeholder(segment) {
            Ok(Some(name)) if placeholders.contains(&name) => {
                mistakes.push(format!(
                    "`{{{name}}}` occurs twice: give each placeholder a name of its own"
                ));
            }
            Ok(Some(name)) => placeholders.push(name),
            Ok(None) => {}
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if mistakes.is_empty() {
        Ok(placeholders)
    } else {
        Err(mistakes)
    }
}

/// The name if the segment is `{name}`, `None` if it is plain text.
fn placeholder(segment: &str) -> Result<Option<String>, String> {
    if segment.is_empty() {
        return Err("the path has an empty segment: write one `/` between segments".to_owned());
    }
    if let Some(name) = segment.strip_prefix(':')
        && is_name(name)
    {
        return Err(format!(
            "a placeholder is written `{{{name}}}`, not `:{name}`"
        ));
    }
    if let Some(name) = segment
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
    {
        return Err(format!(
            "a placeholder is written `{{{name}}}`, not `<{name}>`"
        ));
    }
    if !segment.contains(['{', '}']) {
        return text(segment).map(|()| None);
    }
    let inside = segment
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let Some(name) = inside.filter(|name| !name.contains(['{', '}'])) else {
        let bare = segment.split_once('{').map_or(segment, |(_, rest)| rest);
        let bare = bare.split('}').next().unwrap_or_default().to_owned();
        let name = if is_name(&bare) {
            bare
        } else {
            "name".to_owned()
        };
        return Err(format!(
            "`{segment}` is not a placeholder: a placeholder is a whole segment in braces, like `/{{{name}}}/`"
        ));
    };
    if name.is_empty() {
        return Err(
            "`{}` has no name: write the name of a field or an argument, like `{id}`".to_owned(),
        );
    }
    if let Some(rest) = name.strip_prefix('*') {
        return Err(format!(
            "`{{{name}}}` would match several segments, but a placeholder matches one: write `{{{rest}}}`"
        ));
    }
    if let Some((before, _)) = name.split_once(':')
        && is_name(before)
    {
        return Err(format!(
            "a placeholder has no type or pattern: write `{{{before}}}`"
        ));
    }
    if !is_name(name) {
        return Err(format!(
            "`{name}` can't name a field or an argument: write a name like `{{id}}` or `{{customer_id}}`"
        ));
    }
    Ok(Some(name.to_owned()))
}

/// Whether a field or an argument can have this name. Keywords can: as `r#type`.
fn is_name(name: &str) -> bool {
    syn::Ident::parse_any
        .parse_str(name)
        .is_ok_and(|ident| ident == name && name != "_")
}

/// Whether plain text can be matched: it is compared with the URL as it was sent.
fn text(segment: &str) -> Result<(), String> {
    if segment == "." || segment == ".." {
        return Err(format!(
            "clients take `{segment}` out of a path before they send it: name the segment"
        ));
    }
    for (at, character) in segment.char_indices() {
        match character {
            '?' => {
                return Err(
                    "a query is not part of the path: take an argument `query: Query<T>`"
                        .to_owned(),
                );
            }
            '#' => {
                return Err(
                    "a fragment is never sent to a service: remove it from the path".to_owned(),
                );
            }
            '*' => {
                return Err(format!(
                    "`{segment}` is not a pattern: a placeholder is one segment, like `{{name}}`"
                ));
            }
            '%' => {
                let hex = segment.as_bytes().get(at + 1..at + 3).unwrap_or_default();
                if hex.len() < 2 || !hex.iter().all(u8::is_ascii_hexdigit) {
                    return Err("after `%` come two hexadecimal digits, like `%20`".to_owned());
                }
            }
            other if other.is_ascii_alphanumeric() || "-._~!$&'()+,;=:@".contains(other) => {}
            other => {
                let mut bytes = [0; 4];
                let bytes = other.encode_utf8(&mut bytes).bytes();
                let encoded: Vec<String> = bytes.map(|byte| format!("%{byte:02X}")).collect();
                let encoded = encoded.concat();
                return Err(format!("a URL can't contain {other:?}: write `{encoded}`"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_paths() {
        let rows: [(&str, &[&str]); 6] = [
            ("/vertex", &[]),
            ("/a/{b}/c/{d}", &["b", "d"]),
            ("/{type}", &["type"]),
            ("/v1:check/~x/%20", &[]),
            ("/a_b-c.d", &[]),
            ("/{größe}", &["größe"]),
        ];
        for (path, names) in rows {
            assert_eq!(
                read(path, Root::Refused).as_deref(),
                Ok(&*names.iter().map(ToString::to_string).collect::<Vec<_>>()),
                "{path}"
            );
        }
        assert_eq!(read("/", Root::Allowed), Ok(Vec::new()));
    }

    #[test]
    fn each_mistake_is_named() {
        let rows = [
            ("", &["is empty"][..]),
            ("/", &["is empty"]),
            ("vertex", &["write `\"/vertex\"`"]),
            ("/vertex/", &["write `\"/vertex\"`"]),
            ("a/{}/", &["start with", "end with", "no name"]),
            ("/a//b", &["empty segment"]),
            ("//", &["end with", "empty segment"]),
            ("/{a}/{a}", &["occurs twice"]),
            ("/:id", &["written `{id}`"]),
            ("/<id>", &["written `{id}`"]),
            ("/{id", &["like `/{id}/`"]),
            ("/id}", &["like `/{id}/`"]),
            ("/x{id}", &["whole segment"]),
            ("/{a}{b}", &["whole segment"]),
            ("/{*rest}", &["write `{rest}`"]),
            ("/*rest", &["not a pattern"]),
            ("/{id:u32}", &["write `{id}`"]),
            ("/{my id}", &["can't name a field"]),
            ("/{1}", &["can't name a field"]),
            ("/{_}", &["can't name a field"]),
            ("/a b", &["write `%20`"]),
            ("/ä", &["write `%C3%A4`"]),
            ("/a%2", &["two hexadecimal"]),
            ("/a?x", &["Query<T>"]),
            ("/a#x", &["fragment"]),
            ("/../a", &["name the segment"]),
        ];
        for (path, parts) in rows {
            let mistakes = read(path, Root::Refused).expect_err(path);
            assert_eq!(mistakes.len(), parts.len(), "{path}: {mistakes:?}");
            for (mistake, part) in mistakes.iter().zip(parts) {
                assert!(mistake.contains(part), "{path}: {mistake}");
            }
        }
    }
}
