//! Entity tags and conditional requests (RFC 9110, sections 8.8.3 and 13).
//!
//! An entity's tag is a hash of its value's bytes in the log, so it is the same at each node, after each replay, and for
//! equal content.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::problem::Problem;

/// The tag of one version of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Etag(pub(crate) u64);

impl Etag {
    /// `"0123456789abcdef"`.
    pub(crate) fn header_value(self) -> HeaderValue {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'"'; 18];
        for (index, place) in text[1..17].iter_mut().enumerate() {
            *place = HEX[(self.0 >> (60 - 4 * index) & 0xf) as usize];
        }
        HeaderValue::from_bytes(&text).expect("quotes and hexadecimal digits are legal in a header")
    }

    /// The tag in a header value, if it is one that memgen could have given.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix('"')?.strip_suffix('"')?;
        (hex.len() == 16).then(|| u64::from_str_radix(hex, 16).ok().map(Self))?
    }
}

/// The tags of one header: any, or one of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    Any,
    OneOf(Vec<Etag>),
}

impl Tags {
    /// Reads a header that may occur several times. A weak tag matches only where `weak` comparison is asked for.
    fn parse(headers: &HeaderMap, name: &HeaderName, weak: bool) -> Result<Option<Self>, Problem> {
        let mut values = headers.get_all(name).iter().peekable();
        if values.peek().is_none() {
            return Ok(None);
        }
        let mut tags = Vec::new();
        for value in values {
            let text = value
                .to_str()
                .map_err(|_| Problem::bad_request(format!("`{name}` is not plain text")))?;
            if text.trim() == "*" {
                return Ok(Some(Self::Any));
            }
            for tag in text.split(',').map(str::trim) {
                let strong = if weak {
                    tag.strip_prefix("W/").unwrap_or(tag)
                } else {
                    tag
                };
                tags.extend(Etag::parse(strong));
            }
        }
        Ok(Some(Self::OneOf(tags)))
    }

    fn matches(&self, current: Option<Etag>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::OneOf(tags), Some(current)) => tags.contains(&current),
        }
    }
}

/// `If-Match` and `If-None-Match` of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

/// What a conditional read is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadOutcome {
    Send,
    NotModified,
    Failed,
}

impl Conditions {
    /// Reads the conditions of a request.
    pub(crate) fn parse(headers: &HeaderMap) -> Result<Self, Problem> {
        // Most requests have none, and a look at each name is cheaper than a hash of each of ours.
        if !headers.keys().any(|name| name.as_str().starts_with("if-")) {
            return Ok(Self::default());
        }
        Ok(Self {
            if_match: Tags::parse(headers, &header::IF_MATCH, false)?,
            if_none_match: Tags::parse(headers, &header::IF_NONE_MATCH, true)?,
        })
    }

    /// Checks a write against the entity as it is now.
    pub(crate) fn check(&self, current: Option<Etag>) -> Result<(), Problem> {
        let problem = |detail: &str| {
            let problem = Problem::precondition_failed(detail);
            match current {
                Some(etag) => {
                    let tag = etag.header_value();
                    problem.with_header(header::ETAG, tag.to_str().unwrap_or_default())
                }
                None => problem,
            }
        };
        if self
            .if_match
            .as_ref()
            .is_some_and(|tags| !tags.matches(current))
        {
            return Err(problem(
                "`If-Match`: the entity has another version, or does not exist",
            ));
        }
        if self
            .if_none_match
            .as_ref()
            .is_some_and(|tags| tags.matches(current))
        {
            return Err(problem(
                "`If-None-Match`: the entity exists, with this version",
            ));
        }
        Ok(())
    }

    /// Checks a read of an entity that exists.
    pub(crate) fn check_read(&self, current: Etag) -> ReadOutcome {
        if self
            .if_match
            .as_ref()
            .is_some_and(|tags| !tags.matches(Some(current)))
        {
            ReadOutcome::Failed
        } else if self
            .if_none_match
            .as_ref()
            .is_some_and(|tags| tags.matches(Some(current)))
        {
            ReadOutcome::NotModified
        } else {
            ReadOutcome::Send
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(rows: &[(HeaderName, &str)]) -> Conditions {
        let mut headers = HeaderMap::new();
        for (name, value) in rows {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        Conditions::parse(&headers).unwrap()
    }

    #[test]
    fn a_tag_reads_as_it_is_written() {
        for number in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let value = Etag(number).header_value();
            assert_eq!(Etag::parse(value.to_str().unwrap()), Some(Etag(number)));
        }
        for wrong in [
            "",
            "\"",
            "x",
            "\"12\"",
            "0123456789abcdef",
            "\"0123456789abcdeg\"",
        ] {
            assert_eq!(Etag::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn writes_are_checked() {
        let (a, b) = (Etag(10), Etag(11));
        let tag = |etag: Etag| etag.header_value().to_str().unwrap().to_owned();
        let both = format!("{}, {}", tag(a), tag(b));
        let weak = format!("W/{}", tag(a));
        for (name, value, current, holds) in [
            (header::IF_MATCH, tag(a), Some(a), true),
            (header::IF_MATCH, tag(a), Some(b), false),
            (header::IF_MATCH, tag(a), None, false),
            (header::IF_MATCH, both.clone(), Some(b), true),
            (header::IF_MATCH, "*".to_owned(), Some(a), true),
            (header::IF_MATCH, "*".to_owned(), None, false),
            (header::IF_MATCH, weak.clone(), Some(a), false),
            (header::IF_MATCH, "rubbish".to_owned(), Some(a), false),
            (header::IF_NONE_MATCH, "*".to_owned(), None, true),
            (header::IF_NONE_MATCH, "*".to_owned(), Some(a), false),
            (header::IF_NONE_MATCH, tag(a), Some(b), true),
            (header::IF_NONE_MATCH, weak, Some(a), false),
            (header::IF_NONE_MATCH, both, Some(a), false),
        ] {
            let outcome = conditions(&[(name.clone(), &value)]).check(current);
            assert_eq!(
                outcome.is_ok(),
                holds,
                "{name}: {value} against {current:?}"
            );
        }
    }
}
