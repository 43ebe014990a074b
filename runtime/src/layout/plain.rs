//! What is written at a place that holds no further places: numbers, texts, and the like.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One kind of plain value, or a reference to a type with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Plain {
    /// Whatever JSON has.
    Any,
    Null,
    Bool,
    /// Integers from the first to the second.
    Integer(i128, i128),
    /// Integers of 128 bits.
    Wide {
        signed: bool,
    },
    /// `f32`
    Float,
    /// `f64`
    Double,
    /// Any text.
    String,
    /// Any text but the empty one.
    NotEmpty,
    /// A text of one character.
    Char,
    /// Texts of a form that many know.
    Format(&'static Format),
    /// The type of this name.
    Type(String),
}

/// A form of texts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// What schemas call it.
    pub(crate) name: &'static str,
    /// A text of this form, and of no other.
    pub(crate) sample: &'static str,
}

const fn format(name: &'static str, sample: &'static str) -> Format {
    Format { name, sample }
}

/// The forms that are told apart.
pub(crate) const FORMATS: &[Format] = &[
    format("uuid", "67e55044-10b1-426f-9247-bb680e5fe0c8"),
    format("date", "2026-11-24"),
    format("date-time", "2026-11-24T09:30:00Z"),
    format("partial-date-time", "2026-11-24T09:30:00"),
    format("partial-time", "09:30:00"),
    format("duration", "PT2H30M"),
    format("decimal", "-1.5"),
    format("ipv4", "192.0.2.7"),
    format("ipv6", "2001:db8::7"),
    format("uri", "https://memgen.example/a?b=c"),
    format("email", "someone@memgen.example"),
    format("semver", "1.2.3"),
    format("byte", "aGk="),
];

/// What other names mean.
const FORMAT_NAMES: &[(&str, &str)] = &[
    ("base64", "byte"),
    ("bigdecimal", "decimal"),
    ("iri", "uri"),
    ("url", "uri"),
    ("time", "partial-time"),
];

/// Texts that every type for any text takes, as they are. The empty one comes last.
pub(crate) const TEXTS: &[&str] = &[
    "x",
    "memgen: any text, 1.5 €",
    "line\n\"and\" \\line\t",
    LONG,
    "",
];
const LONG: &str = concat!(
    "a text that is longer than what most people would think of when they set a limit for the length of a name: ",
    "a text that is longer than what most people would think of when they set a limit for the length of a name: ",
    "a text that is longer than what most people would think of when they set a limit for the length of a name."
);

/// Texts for types that take only some, beside those of the formats.
pub(crate) const OTHER_TEXTS: &[&str] = &[
    "text",
    "memgen",
    "TEXT",
    "a",
    "A",
    "0",
    "1",
    "10",
    "true",
    "en",
    "EUR",
    "+4930123456",
    "#ff0000",
    "a/b",
    "a.b",
    "a-b",
    "00",
    "ffffffff",
    "0123456789abcdef0123456789abcdef",
    "0123456789abcdef0123456789abcdef01234567",
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "16:30",
    "2026",
    "2026-11",
    "1h",
    "127.0.0.1:80",
];

/// The integers of Rust, by name.
const INTEGERS: &[(&str, i128, i128)] = &[
    ("i8", i8::MIN as i128, i8::MAX as i128),
    ("i16", i16::MIN as i128, i16::MAX as i128),
    ("i32", i32::MIN as i128, i32::MAX as i128),
    ("i64", i64::MIN as i128, i64::MAX as i128),
    ("u8", 0, u8::MAX as i128),
    ("u16", 0, u16::MAX as i128),
    ("u32", 0, u32::MAX as i128),
    ("u64", 0, u64::MAX as i128),
];

/// Where integers of Rust begin and end, from the least.
pub(crate) const BOUNDS: &[i128] = &[
    i64::MIN as i128,
    i32::MIN as i128 - 1,
    i32::MIN as i128,
    i16::MIN as i128 - 1,
    i16::MIN as i128,
    i8::MIN as i128 - 1,
    i8::MIN as i128,
    -1,
    1,
    i8::MAX as i128,
    i8::MAX as i128 + 1,
    u8::MAX as i128,
    u8::MAX as i128 + 1,
    i16::MAX as i128,
    i16::MAX as i128 + 1,
    u16::MAX as i128,
    u16::MAX as i128 + 1,
    i32::MAX as i128,
    i32::MAX as i128 + 1,
    u32::MAX as i128,
    u32::MAX as i128 + 1,
    i64::MAX as i128,
    i64::MAX as i128 + 1,
    u64::MAX as i128,
];

impl Format {
    /// The form that a schema calls so.
    pub(crate) fn of(name: &str) -> Option<&'static Self> {
        let other = FORMAT_NAMES.iter().find(|(other, _)| *other == name);
        let name = other.map_or(name, |(_, ours)| ours);
        FORMATS.iter().find(|format| format.name == name)
    }
}

impl Plain {
    /// The integers that a schema's format stands for.
    pub(crate) fn integer_of(format: &str) -> Option<Self> {
        let name = match format {
            "int" => "i64".to_owned(),
            "uint" => "u64".to_owned(),
            "int128" => return Some(Self::Wide { signed: true }),
            "uint128" => return Some(Self::Wide { signed: false }),
            format => format.replace("uint", "u").replace("int", "i"),
        };
        let found = INTEGERS.iter().find(|(known, ..)| *known == name)?;
        Some(Self::Integer(found.1, found.2))
    }

    /// Values that stand for all of its values: if a type reads them, it reads all. The first is the most harmless.
    pub(crate) fn samples(&self) -> Vec<Value> {
        match self {
            Self::Any => vec![
                Value::Null,
                json!(true),
                json!(-1),
                json!(0.5),
                json!("x"),
                json!([[]]),
                json!({"memgen": [{}]}),
            ],
            Self::Null => vec![Value::Null],
            Self::Bool => vec![json!(false), json!(true)],
            Self::Integer(min, max) => {
                let mut samples = vec![*min, *max];
                let zero = (*min..=*max).contains(&0);
                samples.retain(|sample| !zero || *sample != 0);
                if zero {
                    samples.insert(0, 0);
                }
                samples.dedup();
                samples.into_iter().filter_map(integer).collect()
            }
            Self::Wide { signed } => {
                let mut samples = vec![0, u64::MAX.into()];
                if *signed {
                    samples.push(i64::MIN.into());
                }
                samples.into_iter().filter_map(integer).collect()
            }
            Self::Float => vec![json!(0.5), json!(-1.5e30), json!(1e-30)],
            Self::Double => vec![json!(0.5), json!(-1.5e300), json!(1e-300)],
            Self::String => TEXTS.iter().map(|text| json!(text)).collect(),
            Self::NotEmpty => {
                let texts = TEXTS.iter().filter(|text| !text.is_empty());
                texts.map(|text| json!(text)).collect()
            }
            Self::Char => vec![json!("x"), json!("é")],
            Self::Format(format) => vec![json!(format.sample)],
            Self::Type(_) => Vec::new(),
        }
    }

    /// Whether a type of this layout reads a value, as far as the layout says.
    pub(crate) fn reads(&self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Null => value.is_null(),
            Self::Bool => value.is_boolean(),
            Self::Integer(min, max) => whole(value).is_some_and(|it| (*min..=*max).contains(&it)),
            Self::Wide { signed } => whole(value).is_some_and(|it| *signed || it >= 0),
            Self::Float | Self::Double => value.is_number(),
            Self::String => value.is_string(),
            Self::NotEmpty => value.as_str().is_some_and(|text| !text.is_empty()),
            Self::Char => value.as_str().is_some_and(|text| text.chars().count() == 1),
            Self::Format(format) => value.as_str() == Some(format.sample),
            Self::Type(_) => false,
        }
    }
}

/// An integer as JSON, if it has that many bits.
pub(crate) fn integer(value: i128) -> Option<Value> {
    let small = i64::try_from(value).map(Value::from);
    small
        .or_else(|_| u64::try_from(value).map(Value::from))
        .ok()
}

/// JSON as an integer.
pub(crate) fn whole(value: &Value) -> Option<i128> {
    let signed = value.as_i64().map(i128::from);
    signed.or_else(|| value.as_u64().map(i128::from))
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Integer(min, max) => {
                match INTEGERS
                    .iter()
                    .find(|(_, from, to)| (from, to) == (min, max))
                {
                    Some((name, ..)) => f.write_str(name),
                    None => write!(f, "int {min}..{max}"),
                }
            }
            Self::Wide { signed: true } => f.write_str("i128"),
            Self::Wide { signed: false } => f.write_str("u128"),
            Self::Float => f.write_str("f32"),
            Self::Double => f.write_str("f64"),
            Self::String => f.write_str("string"),
            Self::NotEmpty => f.write_str("string, not empty"),
            Self::Char => f.write_str("char"),
            Self::Format(format) => f.write_str(format.name),
            Self::Type(name) => write!(f, "#{name}"),
        }
    }
}

impl From<Plain> for String {
    fn from(plain: Plain) -> Self {
        plain.to_string()
    }
}

/// A word that stands for no kind of value.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no kind of value that this version of memgen knows")]
pub(crate) struct UnknownPlain(String);

impl TryFrom<String> for Plain {
    type Error = UnknownPlain;

    fn try_from(text: String) -> Result<Self, UnknownPlain> {
        text.parse()
    }
}

impl FromStr for Plain {
    type Err = UnknownPlain;

    fn from_str(text: &str) -> Result<Self, UnknownPlain> {
        let unknown = || UnknownPlain(text.to_owned());
        if let Some(name) = text.strip_prefix('#') {
            return Ok(Self::Type(name.to_owned()));
        }
        if let Some(range) = text.strip_prefix("int ") {
            let (min, max) = range.split_once("..").ok_or_else(unknown)?;
            let bound = |text: &str| text.parse().map_err(|_| unknown());
            return Ok(Self::Integer(bound(min)?, bound(max)?));
        }
        Ok(match text {
            "any" => Self::Any,
            "null" => Self::Null,
            "bool" => Self::Bool,
            "i128" => Self::Wide { signed: true },
            "u128" => Self::Wide { signed: false },
            "f32" => Self::Float,
            "f64" => Self::Double,
            "string" => Self::String,
            "string, not empty" => Self::NotEmpty,
            "char" => Self::Char,
            text => {
                let integer = INTEGERS.iter().find(|(name, ..)| *name == text);
                let integer = integer.map(|(_, min, max)| Self::Integer(*min, *max));
                let format = || FORMATS.iter().find(|format| format.name == text);
                integer
                    .or_else(|| format().map(Self::Format))
                    .ok_or_else(unknown)?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let rows = [
            Plain::Any,
            Plain::Null,
            Plain::Bool,
            Plain::Integer(-128, 127),
            Plain::Integer(0, u64::MAX.into()),
            Plain::Integer(1, 7),
            Plain::Integer(i64::MIN.into(), -1),
            Plain::Wide { signed: true },
            Plain::Wide { signed: false },
            Plain::Float,
            Plain::Double,
            Plain::String,
            Plain::NotEmpty,
            Plain::Char,
            Plain::Type("a #b".to_owned()),
        ];
        let formats = FORMATS.iter().map(Plain::Format);
        for plain in rows.into_iter().chain(formats) {
            assert_eq!(plain.to_string().parse::<Plain>().unwrap(), plain);
            for sample in plain.samples() {
                assert!(plain.reads(&sample), "{plain}: {sample}");
            }
        }
        for text in ["", "int", "int 1", "int a..2", "u7", "strings"] {
            assert!(text.parse::<Plain>().is_err(), "{text}");
        }
    }

    #[test]
    fn no_sample_is_of_two_formats() {
        for format in FORMATS {
            assert!(Format::of(format.name).is_some());
            let same = FORMATS.iter().filter(|other| other.sample == format.sample);
            assert_eq!(same.count(), 1, "{}", format.name);
        }
    }
}
