//! Positions and the other `Memgen-…` headers of reads.
//!
//! A write's reply names the record that holds it: `Memgen-Position: register/3@1027`. A read that sends it back as `Memgen-Min-Position`
//! sees at least that write.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::{log::TopicPartition, problem::Problem, record::Offset};

pub(crate) const POSITION: HeaderName = HeaderName::from_static("memgen-position");
pub(crate) const MIN_POSITION: HeaderName = HeaderName::from_static("memgen-min-position");
pub(crate) const MAX_STALENESS: HeaderName = HeaderName::from_static("memgen-max-staleness-ms");
/// On answers of standbys: how old what they show may be.
pub(crate) const STALENESS: HeaderName = HeaderName::from_static("memgen-staleness-ms");
pub(crate) const READ: HeaderName = HeaderName::from_static("memgen-read");

/// `topic/partition@offset`.
pub(crate) fn header_value(partition: &TopicPartition, offset: Offset) -> HeaderValue {
    HeaderValue::from_str(&format!("{partition}@{offset}"))
        .expect("topics have only letters, digits, `.`, `_` and `-`")
}

/// How a read wants to be answered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadOptions<'h> {
    min_positions: Vec<(&'h str, u32, Offset)>,
    pub(crate) strict: bool,
    /// A standby may answer, with what it has.
    pub(crate) replica: bool,
    /// How old that may be.
    pub(crate) max_staleness: Option<Duration>,
}

impl<'h> ReadOptions<'h> {
    pub(crate) fn parse(headers: &'h HeaderMap) -> Result<Self, Problem> {
        let mut options = Self::default();
        // Most reads have none of them, and a look at each name is cheaper than a hash of each of ours.
        if !headers
            .keys()
            .any(|name| name.as_str().starts_with("memgen-"))
        {
            return Ok(options);
        }
        for value in headers.get_all(MIN_POSITION) {
            let text = value.to_str().unwrap_or_default();
            for one in text.split(',').map(str::trim) {
                options.min_positions.push(parse_position(one).ok_or_else(|| {
                    Problem::bad_request(format!(
                        "`Memgen-Min-Position`: `{one}` is not topic/partition@offset, as `Memgen-Position` gives it"
                    ))
                })?);
            }
        }
        // The owner's memory is never stale, so there any bound holds; a wrong one is still a mistake.
        if let Some(value) = headers.get(MAX_STALENESS) {
            let bound = value.to_str().ok().and_then(|text| text.parse().ok());
            let bound = bound.ok_or_else(|| {
                Problem::bad_request(
                    "`Memgen-Max-Staleness-Ms` is not a whole number of milliseconds",
                )
            })?;
            options.max_staleness = Some(Duration::from_millis(bound));
        }
        match headers.get(READ).map(HeaderValue::as_bytes) {
            None | Some(b"owner") => {}
            Some(b"replica") => options.replica = true,
            Some(b"strict") => options.strict = true,
            Some(_) => {
                return Err(Problem::bad_request(
                    "`Memgen-Read` is one of `owner`, `replica`, `strict`",
                ));
            }
        }
        Ok(options)
    }

    /// The offset that memory of this partition must show.
    pub(crate) fn min_position(&self, partition: &TopicPartition) -> Option<Offset> {
        self.min_positions
            .iter()
            .filter(|(topic, index, _)| {
                *topic == &*partition.topic && *index == partition.partition
            })
            .map(|(_, _, offset)| *offset)
            .max()
    }
}

fn parse_position(text: &str) -> Option<(&str, u32, Offset)> {
    let (partition, offset) = text.rsplit_once('@')?;
    let (topic, index) = partition.rsplit_once('/')?;
    (!topic.is_empty()).then_some(())?;
    Some((topic, index.parse().ok()?, offset.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_as_they_are_written() {
        let partition = TopicPartition::new("a.b", 3);
        let mut headers = HeaderMap::new();
        headers.insert(MIN_POSITION, header_value(&partition, 17));
        headers.append(MIN_POSITION, HeaderValue::from_static("x/0@1, a.b/3@20"));
        let options = ReadOptions::parse(&headers).unwrap();
        assert_eq!(options.min_position(&partition), Some(20));
        assert_eq!(options.min_position(&TopicPartition::new("x", 0)), Some(1));
        assert_eq!(options.min_position(&TopicPartition::new("y", 0)), None);
    }

    #[test]
    fn wrong_headers_are_refused() {
        for (name, value) in [
            (MIN_POSITION, "17"),
            (MIN_POSITION, "a@1"),
            (MIN_POSITION, "a/x@1"),
            (MIN_POSITION, "/1@1"),
            (MAX_STALENESS, "soon"),
            (MAX_STALENESS, "-1"),
            (READ, "anywhere"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            assert_eq!(
                ReadOptions::parse(&headers).unwrap_err().status(),
                400,
                "{value}"
            );
        }
    }
}
