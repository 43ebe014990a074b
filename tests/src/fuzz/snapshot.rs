//! Snapshots, with their checksums and counts set right again, so that more than those are looked at.

use memgen::{fuzzing, prelude::*};
use serde_json::Value;

use super::{Mutator, Target, below, texts};
use crate::Random;

/// What stands in a snapshot.
const WORDS: [&str; 12] = [
    "\0prepared/00000000000000000000000000000001",
    r#"{"attempt":{"epoch":1,"incarnation":2,"number":3},"home":"note/0"}"#,
    "\0batch",
    r#"{"name":"a","text":"b"}"#,
    r#""last_is_stale":true,"#,
    r#""build":7,"#,
    "null",
    "\0",
    "{",
    "}",
    ",",
    "",
];

/// Bytes before the first section, and before the content of each.
const FILE_HEADER_BYTES: usize = 16;
const SECTION_HEADER_BYTES: usize = 24;

/// Kinds of sections.
const ENTITIES: u32 = 5;
const END: u32 = 6;
/// The count of each kind's items in the end.
const COUNTS: [(u32, &str); 6] = [
    (2, "dirty"),
    (3, "torn"),
    (4, "answers"),
    (ENTITIES, "entities"),
    (7, "written"),
    (8, "pending"),
];

/// A text under a name.
#[stateful_api(path = "/note")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Note {
    #[key]
    name: String,
    text: String,
}

pub(super) struct Snapshots(Mutator);

/// A section without what follows from it.
#[derive(Clone)]
struct Section {
    kind: u32,
    items: u32,
    content: Vec<u8>,
}

impl Snapshots {
    pub(super) fn new() -> Self {
        Self(Mutator::new(texts("snapshot"), &WORDS))
    }
}

impl Target for Snapshots {
    fn name(&self) -> &'static str {
        "snapshot"
    }

    fn input(&self, seed: u64) -> Vec<u8> {
        let mut random = Random::from_seed(seed);
        if random.below(8) == 0 {
            return self.0.input(&mut random);
        }
        let mut sections = sections(self.0.pick(&mut random));
        for _ in 0..=below(&mut random, 3) {
            self.damage(&mut sections, &mut random);
        }
        if random.below(4) > 0 {
            count(&mut sections);
        }
        sealed(&sections)
    }

    fn check(&self, input: &[u8]) -> bool {
        let Ok(once) = fuzzing::snapshot::<Note>(input) else {
            return false;
        };
        let twice = fuzzing::snapshot::<Note>(&once);
        let twice = twice.unwrap_or_else(|why| panic!("what was written can't be read: {why}"));
        // What it says at its end was compared with what is in it.
        let (before, after) = (end(&sections(input)), end(&sections(&once)));
        for count in ["dirty", "entities", "written", "digest"] {
            let of = |end: &Value| end[count].as_u64().unwrap_or(0);
            assert_eq!(of(&before), of(&after), "`{count}` is another now");
        }
        assert!(once == twice, "a snapshot is another now");
        true
    }

    /// A section may be as long as what is read ahead of it.
    fn bytes_max(&self, input_bytes: usize) -> usize {
        (2 << 20) + 64 * input_bytes
    }
}

impl Snapshots {
    fn damage(&self, sections: &mut Vec<Section>, random: &mut Random) {
        let at = below(random, sections.len());
        let to = below(random, sections.len());
        match below(random, 10) {
            0 => sections.swap(at, to),
            1 if sections.len() > 1 => drop(sections.remove(at)),
            2 => {
                let other = crate::fuzz::snapshot::sections(self.0.pick(random));
                let other = other[below(random, other.len())].clone();
                sections.insert(to, other);
            }
            3 => sections[at].kind = random.below(10),
            4 => {
                let items = &mut sections[at].items;
                *items = items.wrapping_add(random.below(5)).wrapping_sub(2);
            }
            5 => sections[at].items = u32::MAX - random.below(2),
            _ => self.0.change(&mut sections[at].content, random),
        }
    }
}

/// The sections of a snapshot that is right.
fn sections(snapshot: &[u8]) -> Vec<Section> {
    let mut rest = &snapshot[FILE_HEADER_BYTES..];
    let mut sections = Vec::new();
    while let Some((header, behind)) = rest.split_at_checked(SECTION_HEADER_BYTES) {
        let word = |at: usize| u32_at(header, at).expect("a header has them all");
        let length = word(8) as usize;
        let Some((content, behind)) = behind.split_at_checked(length) else {
            break;
        };
        sections.push(Section {
            kind: word(4),
            items: word(12),
            content: content.to_vec(),
        });
        rest = behind;
    }
    assert!(!sections.is_empty(), "the corpus holds snapshots");
    sections
}

/// What a snapshot says at its end.
fn end(sections: &[Section]) -> Value {
    let end = sections.iter().find(|section| section.kind == END);
    let end = end.expect("it was read, so it has an end");
    serde_json::from_slice(&end.content).expect("it was read")
}

/// Has the end say what there is.
fn count(sections: &mut [Section]) {
    let kept = sections.to_vec();
    let Some(end) = sections.iter_mut().find(|section| section.kind == END) else {
        return;
    };
    let Ok(Value::Object(mut counts)) = serde_json::from_slice(&end.content) else {
        return;
    };
    for (kind, name) in COUNTS {
        let items = kept.iter().filter(|section| section.kind == kind);
        let items: u64 = items.map(|section| u64::from(section.items)).sum();
        // Those two are left out where there are none.
        if items > 0 || !["written", "pending"].contains(&name) {
            counts.insert(name.to_owned(), items.into());
        } else {
            counts.remove(name);
        }
    }
    let entities = kept.iter().filter(|section| section.kind == ENTITIES);
    let digest = entities.map(digest).fold(0, u64::wrapping_add);
    counts.insert("digest".to_owned(), digest.into());
    end.content = Value::Object(counts).to_string().into_bytes();
}

/// What the tags of a section of entities add up to.
fn digest(section: &Section) -> u64 {
    let mut rest = &section.content[..];
    let mut sum = 0_u64;
    for _ in 0..section.items {
        let (Some(key), Some(value), Some(tag)) =
            (u32_at(rest, 0), u32_at(rest, 4), rest.get(8..16))
        else {
            break;
        };
        sum = sum.wrapping_add(u64::from_le_bytes(tag.try_into().expect("they are eight")));
        let length = 20 + key as usize + value as usize;
        rest = rest.get(length..).unwrap_or_default();
    }
    sum
}

/// The sections with numbers and checksums as they must be.
fn sealed(sections: &[Section]) -> Vec<u8> {
    let mut bytes = b"memgensn\x01\0\0\0".to_vec();
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    for (number, section) in (0_u64..).zip(sections) {
        let length = u32::try_from(section.content.len()).expect("inputs are short");
        let mut header = Vec::with_capacity(SECTION_HEADER_BYTES);
        header.extend(section.kind.to_le_bytes());
        header.extend(length.to_le_bytes());
        header.extend(section.items.to_le_bytes());
        header.extend(number.to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&header), &section.content);
        bytes.extend(crc.to_le_bytes());
        bytes.extend(header);
        bytes.extend(&section.content);
    }
    bytes
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(word.try_into().expect("they are four")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise only the checksums would be under attack.
    #[test]
    fn what_is_sealed_is_read() {
        let snapshots = Snapshots::new();
        for snapshot in texts("snapshot") {
            let again = sealed(&sections(&snapshot));
            assert_eq!(snapshots.check(&snapshot), snapshots.check(&again));
        }
        let read = (0..1000).filter(|seed| snapshots.check(&snapshots.input(*seed)));
        let read = read.count();
        assert!(read > 100, "only {read} of 1000 inputs could be read");
    }
}
