//! Enums of a document that serde's own attributes can't write: `values!` and `union!`.

use serde_json::Value;

/// A value of an enum: an integer or a text.
#[doc(hidden)]
pub trait Constant: serde::Serialize {
    /// Whether it is this value.
    fn is(&self, value: &Value) -> bool;
}

impl Constant for i64 {
    fn is(&self, value: &Value) -> bool {
        value.as_i64() == Some(*self)
    }
}

impl Constant for &'static str {
    fn is(&self, value: &Value) -> bool {
        value.as_str() == Some(*self)
    }
}

/// Whether it is this value.
#[doc(hidden)]
pub fn is(constant: &impl Constant, value: &Value) -> bool {
    constant.is(value)
}

/// Writes a value of an enum.
#[doc(hidden)]
pub fn write<C: Constant, S: serde::Serializer>(
    constant: &C,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    constant.serialize(serializer)
}

/// An enum of integers, or of integers and texts.
///
/// ```
/// memgen::values! {
///     /// How urgent it is.
///     pub enum Level {
///         One = 1,
///         Two = 2,
///         High = "high",
///     }
/// }
///
/// assert_eq!(serde_json::from_str::<Level>("2")?, Level::Two);
/// assert_eq!(serde_json::to_string(&Level::High)?, "\"high\"");
/// assert!(serde_json::from_str::<Level>("3").is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[macro_export]
macro_rules! values {
    ($(#[$meta:meta])* $visibility:vis enum $name:ident { $($(#[$about:meta])* $variant:ident = $value:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility enum $name { $($(#[$about])* $variant),+ }

        impl $crate::private::serde::Serialize for $name {
            fn serialize<S: $crate::private::serde::Serializer>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error> {
                match self { $(Self::$variant => $crate::contract::values::write(&$value, serializer)),+ }
            }
        }

        impl<'de> $crate::private::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::private::serde::Deserializer<'de>>(deserializer: D) -> ::core::result::Result<Self, D::Error> {
                let value = <$crate::private::serde_json::Value as $crate::private::serde::Deserialize>::deserialize(deserializer)?;
                $(if $crate::contract::values::is(&$value, &value) { return ::core::result::Result::Ok(Self::$variant); })+
                ::core::result::Result::Err($crate::private::serde::de::Error::custom(::std::format_args!(
                    "{value} is not one of the values of {}", ::core::stringify!($name)
                )))
            }
        }
    };
}

/// One of several types, told apart by the text of a property that the types have themselves.
///
/// A value whose property says nothing that is known is read as the first of them that fits.
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
/// pub struct Cat { kind: String, lives: u8 }
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
/// pub struct Dog { kind: String, #[serde(default)] tricks: Vec<String> }
///
/// memgen::union! {
///     /// An animal.
///     pub enum Animal by "kind" {
///         Cat(Cat) = "cat",
///         Dog(Dog) = "dog" | "puppy",
///     }
/// }
///
/// let animal: Animal = serde_json::from_str(r#"{"kind": "puppy"}"#)?;
/// assert!(matches!(animal, Animal::Dog(_)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[macro_export]
macro_rules! union {
    ($(#[$meta:meta])* $visibility:vis enum $name:ident by $property:literal { $($(#[$about:meta])* $variant:ident($type:ty) $(= $($tag:literal)|+)?),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        $visibility enum $name { $($(#[$about])* $variant($type)),+ }

        impl $crate::private::serde::Serialize for $name {
            fn serialize<S: $crate::private::serde::Serializer>(&self, serializer: S) -> ::core::result::Result<S::Ok, S::Error> {
                match self { $(Self::$variant(inner) => $crate::private::serde::Serialize::serialize(inner, serializer)),+ }
            }
        }

        impl<'de> $crate::private::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::private::serde::Deserializer<'de>>(deserializer: D) -> ::core::result::Result<Self, D::Error> {
                let value = <$crate::private::serde_json::Value as $crate::private::serde::Deserialize>::deserialize(deserializer)?;
                let tag = value.get($property).and_then($crate::private::serde_json::Value::as_str).unwrap_or_default().to_owned();
                $({
                    const TAGS: &[&str] = &[$($($tag),+)?];
                    if TAGS.contains(&tag.as_str()) {
                        return $crate::private::serde_json::from_value(value)
                            .map(Self::$variant)
                            .map_err($crate::private::serde::de::Error::custom);
                    }
                })+
                $(if let ::core::result::Result::Ok(inner) = $crate::private::serde_json::from_value(value.clone()) {
                    return ::core::result::Result::Ok(Self::$variant(inner));
                })+
                ::core::result::Result::Err($crate::private::serde::de::Error::custom(::std::format_args!(
                    "this is none of the types of {}", ::core::stringify!($name)
                )))
            }
        }
    };
}
