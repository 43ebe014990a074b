//! How far a feed has come, and the ids by which clients go on from there.

use std::fmt::{self, Write as _};

use crate::{log::TopicPartition, record::Offset};

/// How far a feed has come in the log of one partition.
///
/// As text it is what was shown last: `17`, all that the record at offset 17 changed; `17.2`, the first two of its changes; nothing at all, if nothing was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    /// What all records before this one changed was shown.
    pub(crate) next: Offset,
    /// So many changes of that one, too.
    pub(crate) shown: u32,
}

impl Mark {
    /// All records before `next` were shown.
    pub(crate) const fn before(next: Offset) -> Self {
        Self { next, shown: 0 }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let mark = match text.split_once('.') {
            None => Self::before(text.parse::<Offset>().ok()?.checked_add(1)?),
            Some((offset, shown)) => Self {
                next: offset.parse().ok()?,
                shown: shown.parse().ok()?,
            },
        };
        // Each mark has one text.
        (mark.to_string() == text).then_some(mark)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.next.checked_sub(1), self.shown) {
            (None, 0) => Ok(()),
            (Some(last), 0) => write!(f, "{last}"),
            (_, shown) => write!(f, "{}.{shown}", self.next),
        }
    }
}

/// The id of an event of a feed that one partition makes: the position of the change, as `Memgen-Position` has it.
pub(crate) fn id_of_one(partition: &TopicPartition, mark: Mark) -> String {
    format!("{partition}@{mark}")
}

/// The mark in such an id, if it is one of this partition.
pub(crate) fn mark_of_one(partition: &TopicPartition, id: &str) -> Option<Mark> {
    let (at, mark) = id.rsplit_once('@')?;
    let (topic, number) = at.rsplit_once('/')?;
    let is_it = topic == &*partition.topic && number == partition.partition.to_string();
    Mark::parse(mark).filter(|_| is_it)
}

/// The id of an event of a feed that all partitions of a topic make: how far each of them is.
pub(crate) fn id_of_all(topic: &str, marks: impl Iterator<Item = Mark>) -> String {
    let mut id = format!("{topic}@");
    for (number, mark) in marks.enumerate() {
        let between = if number == 0 { "" } else { "-" };
        write!(id, "{between}{mark}").expect("a String takes everything");
    }
    id
}

/// The marks in such an id, if it is one of this topic with so many partitions.
pub(crate) fn marks_of_all(topic: &str, partitions: usize, id: &str) -> Option<Vec<Mark>> {
    let (of, marks) = id.rsplit_once('@')?;
    let marks: Option<Vec<_>> = marks.split('-').map(Mark::parse).collect();
    marks.filter(|marks| of == topic && marks.len() == partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_are_written_and_ordered_as_the_log() {
        let rows = ["", "0.1", "0.2", "0", "1.1", "1", "27", "28.3"];
        let marks: Vec<Mark> = rows.map(|text| Mark::parse(text).unwrap()).into();
        assert!(marks.is_sorted(), "{marks:?}");
        for (mark, text) in marks.iter().zip(rows) {
            assert_eq!(mark.to_string(), text);
        }
        for wrong in [
            "-1", "+1", "1.0", "1.", ".1", "1.2.3", "01", "x", " 1", "1 ",
        ] {
            assert_eq!(Mark::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Mark::parse("18446744073709551615"), None, "nothing follows");
        assert_eq!(Mark::parse("99999999999999999999"), None);
    }

    #[test]
    fn an_id_is_of_its_feed_alone() {
        let partition = TopicPartition::new("a.b", 3);
        let mark = Mark { next: 7, shown: 2 };
        let id = id_of_one(&partition, mark);
        assert_eq!(id, "a.b/3@7.2");
        assert_eq!(mark_of_one(&partition, &id), Some(mark));
        for other in [TopicPartition::new("a.b", 2), TopicPartition::new("a", 3)] {
            assert_eq!(mark_of_one(&other, &id), None);
        }

        let marks = [Mark::before(1), Mark::default(), mark];
        let id = id_of_all("a.b", marks.into_iter());
        assert_eq!(id, "a.b@0--7.2");
        assert_eq!(marks_of_all("a.b", 3, &id), Some(marks.into()));
        assert_eq!(marks_of_all("a.b", 2, &id), None);
        assert_eq!(marks_of_all("a", 3, &id), None);
        assert_eq!(mark_of_one(&partition, &id), None);
        for wrong in ["", "@", "a.b", "a.b/3", "a.b/03@1", "a.b/3@x"] {
            assert_eq!(mark_of_one(&partition, wrong), None, "{wrong}");
            assert_eq!(marks_of_all("a.b", 1, wrong), None, "{wrong}");
        }
    }
}
