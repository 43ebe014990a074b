//! The shortest text that a regular expression matches.

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
    let make = |spare| {
        let mut maker = Maker {
            text: String::new(),
            spare,
        };
        maker.add(&hir)?;
        Some(maker.text)
    };
    let text = make(0)?;
    match length_min.checked_sub(text.chars().count()) {
        None | Some(0) => Some(text),
        Some(spare) => make(spare),
    }
}

struct Maker {
    text: String,
    /// How often the first parts that may repeat shall repeat beyond what they must.
    spare: usize,
}

impl Maker {
    fn add(&mut self, hir: &Hir) -> Option<()> {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => self.text.push_str(std::str::from_utf8(&literal.0).ok()?),
            HirKind::Class(class) => self.text.push(character(class)?),
            HirKind::Capture(capture) => self.add(&capture.sub)?,
            HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.add(part))?,
            HirKind::Alternation(parts) => self.add(parts.first()?)?,
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

/// A letter or a digit, if the class has one.
fn character(class: &Class) -> Option<char> {
    let Class::Unicode(class) = class else {
        return class
            .literal()
            .and_then(|bytes| bytes.first().map(|byte| char::from(*byte)));
    };
    let has = |wanted: &char| {
        class
            .iter()
            .any(|range| (range.start()..=range.end()).contains(wanted))
    };
    ['a', 'A', '0', '-', '_', ' ']
        .into_iter()
        .find(has)
        .or_else(|| {
            class
                .iter()
                .map(regex_syntax::hir::ClassUnicodeRange::start)
                .find(|first| !first.is_control())
        })
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
}
