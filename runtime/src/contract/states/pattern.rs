//! Texts that a regular expression matches: the shortest one, and one that is most likely new.

use std::ops::RangeInclusive;

use regex_syntax::{
    Parser,
    hir::{Class, Hir, HirKind},
};

/// Characters that are made at most.
const LENGTH_MAX: usize = 4096;

/// A short text that `pattern` matches, with at least `length_min` characters if the pattern has room for them. None if it can't be read,
/// as those that look ahead.
pub(crate) fn shortest(pattern: &str, length_min: usize) -> Option<String> {
    let hir = Parser::new().parse(pattern).ok()?;
    let text = make(&hir, 0, None)?;
    match length_min.checked_sub(text.chars().count()) {
        None | Some(0) => Some(text),
        Some(spare) => make(&hir, spare, None),
    }
}

/// A text that `pattern` matches, made of `bits`, with a length that is in `lengths` if the pattern has one.
pub(crate) fn varied(pattern: &str, lengths: RangeInclusive<usize>, bits: u128) -> Option<String> {
    let hir = Parser::new().parse(pattern).ok()?;
    // The more of it repeats, the more of it is chance; less where the text is too long so.
    let mut made = VARIED
        .iter()
        .filter_map(|spare| make(&hir, *spare, Some(bits)));
    made.find(|text| lengths.contains(&text.chars().count()))
}

/// How many characters beyond the least are tried, in this order.
const VARIED: [usize; 7] = [24, 16, 12, 8, 4, 2, 0];

fn make(hir: &Hir, spare: usize, bits: Option<u128>) -> Option<String> {
    let mut maker = Maker {
        text: String::new(),
        spare,
        bits,
    };
    maker.add(hir)?;
    Some(maker.text)
}

struct Maker {
    text: String,
    /// How often the first parts that may repeat shall repeat beyond what they must.
    spare: usize,
    /// What chooses; without it the first choice is taken.
    bits: Option<u128>,
}

impl Maker {
    /// A number below `count`.
    fn choose(&mut self, count: usize) -> usize {
        let Some(bits) = &mut self.bits else {
            return 0;
        };
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        hash.update(&bits.to_le_bytes());
        *bits = hash.digest128();
        usize::try_from(*bits % count.max(1) as u128).unwrap_or_default()
    }

    /// A letter or a digit, if the class has one.
    fn character(&mut self, class: &Class) -> Option<char> {
        let all: Vec<char> = ('a'..='z')
            .chain('A'..='Z')
            .chain('0'..='9')
            .filter(|one| has(class, *one))
            .collect();
        if self.bits.is_some() && !all.is_empty() {
            return Some(all[self.choose(all.len())]);
        }
        character(class)
    }

    fn add(&mut self, hir: &Hir) -> Option<()> {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => self.text.push_str(std::str::from_utf8(&literal.0).ok()?),
            HirKind::Class(class) => {
                let one = self.character(class)?;
                self.text.push(one);
            }
            HirKind::Capture(capture) => self.add(&capture.sub)?,
            HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.add(part))?,
            HirKind::Alternation(parts) => {
                let chosen = self.choose(parts.len());
                self.add(parts.get(chosen)?)?;
            }
            HirKind::Repetition(repetition) => {
                let least = usize::try_from(repetition.min).ok()?;
                let most = repetition
                    .max
                    .map_or(Some(usize::MAX), |most| usize::try_from(most).ok())?;
                let more = self.spare.min(most - least);
                self.spare -= more;
                for _ in 0..least + more {
                    self.add(&repetition.sub)?;
                }
            }
        }
        (self.text.len() <= LENGTH_MAX).then_some(())
    }
}

fn has(class: &Class, wanted: char) -> bool {
    match class {
        Class::Unicode(class) => class
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&wanted)),
        Class::Bytes(class) => class
            .iter()
            .any(|range| (char::from(range.start())..=char::from(range.end())).contains(&wanted)),
    }
}

/// A letter or a digit, if the class has one.
fn character(class: &Class) -> Option<char> {
    let common = ['a', 'A', '0', '-', '_', ' '];
    if let Some(one) = common.into_iter().find(|wanted| has(class, *wanted)) {
        return Some(one);
    }
    match class {
        Class::Unicode(class) => class
            .iter()
            .map(regex_syntax::hir::ClassUnicodeRange::start)
            .find(|first| !first.is_control()),
        Class::Bytes(class) => class.iter().map(|range| char::from(range.start())).next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts() {
        for (pattern, length_min, expected) in [
            ("^[A-Z]{3}-[0-9]+$", 0, Some("AAA-0")),
            ("^[A-Z]{3}-[0-9]+$", 8, Some("AAA-0000")),
            ("^(red|green)$", 0, Some("red")),
            (r"^\d{4}\/\d{2}$", 0, Some("0000/00")),
            ("^$", 0, Some("")),
            ("[xyz]", 0, Some("x")),
            (r"^arn:aws:[a-z0-9-]*:\w+$", 0, Some("arn:aws::a")),
            ("^.{2,5}$", 4, Some("aaaa")),
            ("^[^a-zA-Z0-9]$", 0, Some("-")),
            ("^(?=x)x$", 0, None),
            ("(", 0, None),
            ("^((a{1000}){1000}){1000}$", 0, None),
        ] {
            assert_eq!(
                shortest(pattern, length_min).as_deref(),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn many_texts() {
        for (pattern, lengths) in [
            ("^MG[0-9a-fA-F]{32}$", 34..=34),
            ("^cus_[A-Za-z0-9]+$", 5..=20),
            ("^[a-z]([-a-z0-9]*[a-z0-9])?$", 1..=63),
            ("[A-Z]{2}-\\d{6,}", 0..=usize::MAX),
        ] {
            let right = jsonschema::options()
                .build(&serde_json::json!({ "pattern": pattern }))
                .unwrap();
            let mut made: Vec<String> = (0..1000_u128)
                .map(|bits| varied(pattern, lengths.clone(), bits).unwrap())
                .collect();
            for text in &made {
                assert!(lengths.contains(&text.len()), "{pattern}: {text}");
                assert!(right.is_valid(&text.as_str().into()), "{pattern}: {text}");
            }
            made.sort();
            made.dedup();
            assert_eq!(made.len(), 1000, "{pattern}");
        }
        assert_eq!(varied("^[a-z]{9}$", 1..=8, 7), None);
        assert_eq!(varied("^(?=x)x$", 1..=8, 7), None);
    }
}
