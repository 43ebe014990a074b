//! Properties that may be left out, and may be `null`: the two are kept apart.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Reads a property that is there: `null` is `Some(None)`. One that is left out is none by `#[serde(default)]`.
///
/// ```
/// use memgen::contract::{nullable, prelude::*};
///
/// #[derive(Serialize, Deserialize)]
/// struct Pet {
///     #[serde(default, with = "nullable", skip_serializing_if = "Option::is_none")]
///     nickname: Option<Option<String>>,
/// }
///
/// for text in [r#"{}"#, r#"{"nickname":null}"#, r#"{"nickname":"Rex"}"#] {
///     let pet: Pet = serde_json::from_str(text)?;
///     assert_eq!(serde_json::to_string(&pet)?, text);
/// }
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
/// If it is no `T` and not `null`.
pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Writes a property; one that is left out is not written at all by `skip_serializing_if = "Option::is_none"`.
///
/// # Errors
/// Those of the value.
#[allow(clippy::ref_option)] // serde calls it so
pub fn serialize<T: Serialize, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.serialize(serializer)
}
