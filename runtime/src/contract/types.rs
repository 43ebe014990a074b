//! The types of a document's formats.

use base64::{
    Engine as _,
    engine::{GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use bytes::Bytes;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// `format: date`: a day, such as `2026-11-24`.
pub type Date = chrono::NaiveDate;

/// `format: date-time`: a moment with its distance from UTC, such as `2026-11-24T09:30:00+01:00`.
pub type DateTime = chrono::DateTime<chrono::FixedOffset>;

/// The moment that it is now, in UTC and to the millisecond.
///
/// ```
/// assert!(memgen::contract::now().to_rfc3339().ends_with("+00:00"));
/// ```
#[must_use]
pub fn now() -> DateTime {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = now.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    });
    chrono::DateTime::from_timestamp_millis(millis)
        .unwrap_or_default()
        .fixed_offset()
}

/// `format: decimal`: an exact decimal number of up to 28 digits.
pub type Decimal = rust_decimal::Decimal;

/// Reads what many write: with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

/// Whether a text is base64.
pub(crate) fn is_base64(text: &str) -> bool {
    LENIENT.decode(text).is_ok()
}

/// `format: byte`: bytes, written in base64.
///
/// ```
/// use memgen::contract::Base64;
///
/// let bytes: Base64 = serde_json::from_str("\"aGk=\"")?;
/// assert_eq!(bytes.0, b"hi");
/// assert_eq!(serde_json::to_string(&bytes)?, "\"aGk=\"");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = LENIENT
            .decode(&text)
            .map_err(|error| D::Error::custom(format!("this is not base64: {error}")))?;
        Ok(Self(bytes))
    }
}

/// `format: binary` inside a value: a file in a multipart form.
///
/// In JSON it is a text: the content itself where that is text and nothing else is known of the file, else a `data:` URL.
///
/// ```
/// use memgen::contract::File;
///
/// let file = File { name: Some("a b.png".to_owned()), media_type: Some("image/png".to_owned()), bytes: vec![0x89].into() };
/// let text = serde_json::to_string(&file)?;
/// assert_eq!(text, "\"data:image/png;name=a%20b%2Epng;base64,iQ==\"");
/// assert_eq!(serde_json::from_str::<File>(&text)?, file);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// What the sender calls it. Not a path to be trusted.
    pub name: Option<String>,
    /// What the sender says it is.
    pub media_type: Option<String>,
    /// What is in it.
    pub bytes: Bytes,
}

impl File {
    /// The file as a text.
    pub(crate) fn to_text(&self) -> String {
        if self.name.is_none()
            && self.media_type.is_none()
            && let Ok(text) = std::str::from_utf8(&self.bytes)
            && !text.starts_with("data:")
        {
            return text.to_owned();
        }
        let media_type = self.media_type.as_deref().unwrap_or_default();
        let name = self.name.as_deref().map_or_else(String::new, |name| {
            format!(";name={}", utf8_percent_encode(name, NON_ALPHANUMERIC))
        });
        format!(
            "data:{media_type}{name};base64,{}",
            STANDARD.encode(&self.bytes)
        )
    }

    fn of_text(text: String) -> Self {
        let parsed = text.strip_prefix("data:").and_then(|url| {
            let (head, content) = url.split_once(";base64,")?;
            let bytes = STANDARD.decode(content).ok()?;
            let (media_type, name) = match head.rsplit_once(";name=") {
                Some((media_type, name)) => {
                    let name = percent_decode_str(name).decode_utf8().ok()?;
                    (media_type, Some(name.into_owned()))
                }
                None => (head, None),
            };
            let media_type = (!media_type.is_empty()).then(|| media_type.to_owned());
            Some(Self {
                name,
                media_type,
                bytes: bytes.into(),
            })
        });
        parsed.unwrap_or_else(|| Self {
            name: None,
            media_type: None,
            bytes: text.into(),
        })
    }
}

impl Serialize for File {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::of_text(String::deserialize(deserializer)?))
    }
}
