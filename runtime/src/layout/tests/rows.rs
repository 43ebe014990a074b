use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU8,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{mends, said};

/// A type with the derives of a state.
macro_rules! data {
    ($($(#[$meta:meta])* $kind:ident $name:ident $body:tt)*) => { $(
        #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
        $(#[$meta])*
        pub(super) $kind $name $body
    )* };
}

/// `says!(Old => New: lines)`
macro_rules! says {
    ($old:ty => $new:ty $(: $($line:expr),+)?) => {
        let expected: Vec<&str> = vec![$($($line),+)?];
        assert_eq!(said::<$old, $new>(), expected, "{} => {}", stringify!($old), stringify!($new));
    };
}

data! {
    struct Base { id: u32, text: String }
    struct Wrapped { id: u32, inner: Base }
}

#[test]
fn fields_that_come() {
    data! {
        struct Required { id: u32, text: String, rank: u32 }
        struct Optional { id: u32, text: String, rank: Option<u32> }
        struct Default { id: u32, text: String, #[serde(default)] rank: u32 }
        struct Skipped { id: u32, text: String, #[serde(default, skip_serializing_if = "Vec::is_empty")] rank: Vec<u8> }
        #[serde(default)]
        struct AllDefault { id: u32, text: String, rank: u32 }
        struct NeverWritten { id: u32, text: String, #[serde(skip)] _rank: u32 }
        struct Flattened { id: u32, #[serde(flatten)] rest: Text }
        struct Text { text: String, more: u8 }
        struct FlattenedSame { id: u32, #[serde(flatten)] rest: TextAlone }
        struct TextAlone { text: String }
        struct FlattenedMap { id: u32, text: String, #[serde(flatten)] rest: BTreeMap<String, u8> }
    }
    impl std::default::Default for AllDefault {
        fn default() -> Self {
            Self {
                id: 0,
                text: String::new(),
                rank: 7,
            }
        }
    }
    says!(Base => Base);
    says!(Base => Required: "error S.rank: it is new (`u32`) and has no default, and older values don't have it");
    says!(Base => Optional);
    says!(Base => Default);
    says!(Base => Skipped);
    says!(Base => AllDefault);
    says!(Base => NeverWritten);
    says!(NeverWritten => Base);
    says!(Base => FlattenedSame);
    says!(FlattenedSame => Base);
    says!(Base => Flattened: "error S.more: it is new (`u8`) and has no default, and older values don't have it");
    says!(Base => FlattenedMap);
    says!(FlattenedMap => Base: "note S.*: it is gone; its values are lost as entities are written again");
    says!(FlattenedMap => Default: "note S.*: it is gone; its values are lost as entities are written again");
}

#[test]
fn fields_that_go() {
    data! {
        struct Less { id: u32 }
        #[serde(deny_unknown_fields)]
        struct Closed { id: u32 }
        #[serde(deny_unknown_fields)]
        struct ClosedSame { id: u32, text: String }
        struct Keeps { id: u32, #[serde(flatten)] rest: BTreeMap<String, serde_json::Value> }
        struct KeepsNumbers { id: u32, #[serde(flatten)] rest: BTreeMap<String, u8> }
    }
    says!(Base => Less: "note S.text: it is gone; its values are lost as entities are written again");
    says!(Base => Closed: "error S.text: it is gone, and a field that is not known is refused");
    says!(Base => ClosedSame);
    says!(ClosedSame => Base);
    says!(Base => Keeps);
    says!(Keeps => Base:
        "error S.text: it is new (any text) and has no default, and older values don't have it",
        "note S.*: it is gone; its values are lost as entities are written again",
        "note S.text: it is new (any text), and older values may have something else under this name, such as null: those can't be read");
    says!(Base => KeepsNumbers: "error S.text: it was any text, and is now `u8`: \"x\" can't be read");
}

#[test]
fn fields_under_other_names() {
    data! {
        struct Renamed { id: u32, label: String }
        struct Alias { id: u32, #[serde(alias = "text")] label: String }
        struct AliasOptional { id: u32, #[serde(alias = "text")] label: Option<String> }
        struct RenamedOptional { id: u32, label: Option<String> }
        struct AliasNarrow { id: u32, #[serde(alias = "text")] label: char }
        struct Two { a: u8, b: u16 }
        struct TwoAliases { #[serde(alias = "b")] d: u16, #[serde(alias = "a")] c: u8 }
        struct Swapped { #[serde(alias = "a")] d: u16, #[serde(alias = "b")] c: u8 }
        struct AliasInside { id: u32, inner: Alias }
        #[serde(rename_all = "camelCase")]
        struct Camel { some_name: u8 }
        struct Snake { some_name: u8 }
        struct AliasDefault { id: u32, #[serde(default, alias = "text")] label: String }
    }
    says!(Base => Renamed: "error S.label: it is new (any text) and has no default, and older values don't have it; they have `text`, which is gone",
        "note S.text: it is gone; its values are lost as entities are written again. If it is `label` now: `#[serde(alias = \"text\")]` there keeps them");
    says!(Base => Alias);
    says!(Base => AliasOptional);
    says!(Base => AliasDefault);
    says!(Base => RenamedOptional: "note S.text: it is gone; its values are lost as entities are written again");
    says!(Base => AliasNarrow: "error S.label: it was any text, and is now `char`: \"memgen: any text, 1.5 €\" can't be read");
    says!(Two => TwoAliases);
    says!(Two => Swapped: "error S.c: it was `u16`, and is now `u8`: 65535 can't be read");
    says!(Wrapped => AliasInside);
    says!(Snake => Camel: "error S.someName: it is new (`u8`) and has no default, and older values don't have it; they have `some_name`, which is gone",
        "note S.some_name: it is gone; its values are lost as entities are written again. If it is `someName` now: `#[serde(alias = \"some_name\")]` there keeps them");
}

#[test]
fn numbers_and_texts() {
    data! {
        struct U8 { v: u8 }
        struct U32 { v: u32 }
        struct U64 { v: u64 }
        struct I32 { v: i32 }
        struct I64 { v: i64 }
        struct U128 { v: u128 }
        struct I128 { v: i128 }
        struct F32 { v: f32 }
        struct F64 { v: f64 }
        struct NonZero { v: NonZeroU8 }
        struct Text { v: String }
        struct Letter { v: char }
        struct Bool { v: bool }
        struct Uuid { v: uuid::Uuid }
        struct Any { v: serde_json::Value }
        struct Lenient { #[serde(deserialize_with = "text_or_number")] v: u64 }
    }
    fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        use serde::de::Error as _;
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(_) => Ok(0),
            value => value.as_u64().ok_or_else(|| D::Error::custom("no number")),
        }
    }
    says!(U8 => U32);
    says!(U32 => U8: "error S.v: it was `u32`, and is now `u8`: 4294967295 can't be read");
    says!(U32 => I32: "error S.v: it was `u32`, and is now `i32`: 4294967295 can't be read");
    says!(I32 => U32: "error S.v: it was `i32`, and is now `u32`: -2147483648 can't be read");
    says!(U32 => I64);
    says!(U64 => I64: "error S.v: it was `u64`, and is now `i64`: 18446744073709551615 can't be read");
    says!(U64 => U128);
    says!(U64 => I128);
    says!(I64 => U128: "error S.v: it was `i64`, and is now `u128`: -9223372036854775808 can't be read");
    says!(U128 => U64: "error S.v: it was `u128`, and is now `u64`: 340282366920938463463374607431768211455 can't be read");
    says!(I128 => U128: "error S.v: it was `i128`, and is now `u128`: -9223372036854775808 can't be read");
    says!(U32 => F64);
    says!(F64 => U32: "error S.v: it was `f64`, and is now `u32`: 0.5 can't be read");
    says!(F32 => F64);
    says!(U8 => NonZero: "error S.v: it was `u8`, and is now `int 1..255`: 0 can't be read");
    says!(NonZero => U8);
    says!(Text => Letter: "error S.v: it was any text, and is now `char`: \"memgen: any text, 1.5 €\" can't be read");
    says!(Letter => Text);
    says!(Uuid => Text);
    says!(Text => Uuid: "error S.v: it was any text, and is now a text of the form uuid: \"x\" can't be read");
    says!(Text => U32: "error S.v: it was any text, and is now `u32`: \"x\" can't be read");
    says!(U32 => Text: "error S.v: it was `u32`, and is now any text: 0 can't be read");
    says!(Bool => U8: "error S.v: it was `bool`, and is now `u8`: false can't be read");
    says!(Text => Any);
    says!(Any => Text: "error S.v: it was anything, and is now any text: null can't be read");
    // What the schema doesn't say: the type reads texts, too.
    says!(Text => Lenient);
    says!(U64 => Lenient);
    says!(Lenient => U64);
}

#[test]
#[expect(
    clippy::option_option,
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "that is how `with` has to be, and what the test is about"
)]
fn what_may_be_missing() {
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    struct Twice {
        #[serde(default, skip_serializing_if = "Option::is_none", with = "twice")]
        #[schemars(with = "Option<u8>")]
        v: Option<Option<u8>>,
    }
    data! {
        struct Plain { v: u8 }
        struct Null { v: Option<u8> }
        struct Skipped { #[serde(skip_serializing_if = "Option::is_none")] v: Option<u8> }
        struct Default { #[serde(default)] v: u8 }
    }
    mod twice {
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        pub(super) fn serialize<S: Serializer>(
            value: &Option<Option<u8>>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            value.unwrap_or_default().serialize(serializer)
        }

        pub(super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Option<u8>>, D::Error> {
            Option::deserialize(deserializer).map(Some)
        }
    }
    says!(Plain => Null);
    says!(Plain => Skipped);
    says!(Plain => Default);
    says!(Default => Plain);
    says!(Null => Plain: "error S.v: it could be null, and can't any more");
    says!(Null => Default: "error S.v: it could be null, and can't any more");
    says!(Skipped => Plain: "error S.v: it could be left out, and now it has to be there");
    says!(Skipped => Default);
    says!(Null => Skipped);
    says!(Skipped => Null);
    says!(Skipped => Twice);
    says!(Twice => Null);
    says!(Twice => Default: "error S.v: it could be null, and can't any more");
}

#[test]
fn lists_and_maps() {
    data! {
        struct List { v: Vec<u8> }
        struct Set { v: BTreeSet<u16> }
        struct Texts { v: Vec<String> }
        struct Pair { v: (u8, u8) }
        struct Three { v: [u8; 3] }
        struct Map { v: BTreeMap<String, u8> }
        struct Numbers { v: BTreeMap<u16, u8> }
        struct Wider { v: BTreeMap<String, u32> }
        struct MapOfLists { v: BTreeMap<String, Vec<Base>> }
        struct MapOfListsMore { v: BTreeMap<String, Vec<Longer>> }
        struct Longer { id: u32, text: String, more: u8 }
        struct Single { v: u8 }
        struct Object { v: Base }
    }
    says!(List => Set);
    says!(Set => List: "error S.v[]: it was `u16`, and is now `u8`: 65535 can't be read");
    says!(List => Texts: "error S.v[]: it was `u8`, and is now any text: 0 can't be read");
    says!(Pair => List);
    says!(Pair => Set);
    says!(Three => Pair: "error S.v: it was a tuple of `u8`, `u8`, `u8`, and is now a tuple of `u8`, `u8`: [0,0,0] can't be read");
    says!(List => Three: "error S.v: it was a list of `u8`, and is now a tuple of `u8`, `u8`, `u8`: [] can't be read");
    says!(Map => Wider);
    says!(Wider => Map: "error S.v.*: it was `u32`, and is now `u8`: 4294967295 can't be read");
    says!(Numbers => Map);
    says!(Map => Numbers: "error S.v: it was a map with names of the kind any text, and is now a map with names of the kind `u16`: \"x\" can't be read");
    says!(MapOfLists => MapOfListsMore: "error S.v.*[].more: it is new (`u8`) and has no default, and older values don't have it");
    says!(MapOfListsMore => MapOfLists: "note S.v.*[].more: it is gone; its values are lost as entities are written again");
    says!(Single => List: "error S.v: it was `u8`, and is now a list of `u8`: 0 can't be read");
    says!(List => Single: "error S.v: it was a list of `u8`, and is now `u8`: [] can't be read");
    says!(Object => Wider:
        "error S.v.text: it was any text, and is now `u32`: \"x\" can't be read");
    says!(Object => Single: "error S.v: it was `Base`, and is now `u8`: {\"id\":0,\"text\":\"x\"} can't be read");
    says!(Wider => Object:
        "error S.v.id: it is new (`u32`) and has no default, and older values don't have it",
        "error S.v.text: it is new (any text) and has no default, and older values don't have it",
        "note S.v.text: it is new (any text), and older values may have something else under this name, such as 0: those can't be read",
        "note S.v.*: it is gone; its values are lost as entities are written again");
}

#[test]
fn enums() {
    data! {
        struct Old { v: Color }
        enum Color { Red, Green }
        struct MoreColors { v: More }
        enum More { Red, Green, Blue }
        struct FewerColors { v: Fewer }
        enum Fewer { Red }
        struct RenamedColor { v: Renamed }
        enum Renamed { Red, Greenish }
        struct AliasColor { v: Alias }
        enum Alias { Red, #[serde(alias = "Green")] Greenish }
        struct OtherColor { v: Other }
        enum Other { Red, #[serde(other)] Unknown }
        struct AnyText { v: String }
        struct WithData { v: Data }
        enum Data { Red, Green { deep: bool } }
    }
    says!(Old => MoreColors);
    says!(Old => FewerColors: "error S.v: the value \"Green\" is gone");
    says!(MoreColors => FewerColors: "error S.v: the value \"Green\" is gone", "error S.v: the value \"Blue\" is gone");
    says!(Old => RenamedColor: "error S.v: the value \"Green\" is gone");
    assert!(
        mends::<Old, RenamedColor>()[0]
            .starts_with("`#[serde(alias = \"Green\")]` above the variant `Greenish`")
    );
    says!(Old => AliasColor);
    says!(MoreColors => AliasColor: "error S.v: the value \"Blue\" is gone");
    says!(MoreColors => OtherColor);
    says!(OtherColor => Old: "error S.v: the value \"Unknown\" is gone");
    says!(Old => AnyText);
    says!(AnyText => Old: "error S.v: it was any text, and is now one of \"Red\", \"Green\": \"x\" can't be read");
    says!(Old => WithData: "error S.v: the value \"Green\" is gone");
    says!(WithData => Old: "error S.v: it was an object of Green, and is now one of \"Red\", \"Green\": {\"Green\":{\"deep\":false}} can't be read");
}

#[test]
fn variants_with_data() {
    data! {
        enum External { Circle { radius: u8 }, Square(u16), Nothing }
        enum ExternalWider { Circle { radius: u32 }, Square(u32), Nothing, More }
        enum ExternalFewer { Circle { radius: u8 }, Nothing }
        enum ExternalRequired { Circle { radius: u8, color: String }, Square(u16), Nothing }
        #[serde(tag = "kind")]
        enum Internal { Circle { radius: u8 }, Square { side: u16 } }
        #[serde(tag = "kind")]
        enum InternalNarrow { Circle { radius: u8 }, Square { side: u8 } }
        #[serde(tag = "kind")]
        enum InternalFewer { Circle { radius: u8 } }
        #[serde(tag = "kind")]
        enum InternalRenamed { Disc { radius: u8 }, Square { side: u16 } }
        #[serde(tag = "kind")]
        enum InternalAlias { #[serde(alias = "Circle")] Disc { radius: u8 }, Square { side: u16 } }
        #[serde(tag = "kind")]
        enum InternalAliasRequired { #[serde(alias = "Circle")] Disc { radius: u8, color: u8 }, Square { side: u16 } }
        #[serde(tag = "type")]
        enum InternalTag { Circle { radius: u8 }, Square { side: u16 } }
        #[serde(tag = "kind", content = "of")]
        enum Adjacent { Circle { radius: u8 }, Square(u16), Nothing }
        #[serde(tag = "kind", content = "of")]
        enum AdjacentNarrow { Circle { radius: u8 }, Square(u8), Nothing }
        #[serde(untagged)]
        enum Untagged { Circle { radius: u8 }, Number(u16), Text(String) }
        #[serde(untagged)]
        enum UntaggedFewer { Circle { radius: u8 }, Number(u16) }
        #[serde(untagged)]
        enum UntaggedMore { Circle { radius: u8, color: Option<u8> }, Number(u16), Text(String), List(Vec<u8>) }
    }
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    struct V<T> {
        v: T,
    }
    says!(V<External> => V<ExternalWider>);
    says!(V<ExternalWider> => V<External>:
        "error S.v: the value \"More\" is gone",
        "error S.v.Circle.radius: it was `u32`, and is now `u8`: 4294967295 can't be read",
        "error S.v.Square: it was `u32`, and is now `u16`: 4294967295 can't be read");
    says!(V<External> => V<ExternalFewer>: "error S.v: the variant `Square` is gone");
    says!(V<External> => V<ExternalRequired>: "error S.v.Circle.color: it is new (any text) and has no default, and older values don't have it");
    says!(V<Internal> => V<InternalNarrow>: "error S.v.side: it was `u16`, and is now `u8`: 65535 can't be read");
    says!(V<InternalNarrow> => V<Internal>);
    says!(V<Internal> => V<InternalFewer>: "error S.v: the variant `Square` is gone");
    says!(V<InternalFewer> => V<Internal>);
    says!(V<Internal> => V<InternalRenamed>: "error S.v: the variant `Circle` is gone");
    says!(V<Internal> => V<InternalAlias>);
    says!(V<Internal> => V<InternalAliasRequired>: "error S.v.color: it is new (`u8`) and has no default, and older values don't have it");
    assert_eq!(said::<V<Internal>, V<InternalTag>>().len(), 2);
    says!(V<Adjacent> => V<Adjacent>);
    says!(V<Adjacent> => V<AdjacentNarrow>: "error S.v.of: it was `u16`, and is now `u8`: 65535 can't be read");
    says!(V<Untagged> => V<UntaggedMore>);
    says!(V<Untagged> => V<UntaggedFewer>: "error S.v: it was any text, and is now `UntaggedFewer`: \"x\" can't be read");
    says!(V<UntaggedFewer> => V<Untagged>);
    assert!(!said::<V<External>, V<Internal>>().is_empty());
    assert!(!said::<V<Internal>, V<Adjacent>>().is_empty());
}

#[test]
fn types_that_hold_themselves() {
    data! {
        struct Tree { value: u8, children: Vec<Tree> }
        struct TreeWider { value: u16, children: Vec<TreeWider> }
        struct TreeMore { value: u8, children: Vec<TreeMore>, more: bool }
        struct TreeNarrow { value: u8, children: Vec<Leaf> }
        struct Leaf { value: u8 }
        struct Chain { next: Option<Box<Chain>>, value: u8 }
        struct ChainNarrow { next: Option<Box<ChainNarrow>>, value: bool }
        enum Expression { Number(i64), Sum(Box<Expression>, Box<Expression>), Negative(Box<Expression>) }
        enum ExpressionFewer { Number(i64), Sum(Box<ExpressionFewer>, Box<ExpressionFewer>) }
    }
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    struct V<T> {
        v: T,
    }
    says!(Tree => TreeWider);
    says!(TreeWider => Tree: "error S.value: it was `u16`, and is now `u8`: 65535 can't be read");
    says!(Tree => TreeMore: "error S.more: it is new (`bool`) and has no default, and older values don't have it");
    says!(V<Tree> => V<TreeMore>: "error S.v.more: it is new (`bool`) and has no default, and older values don't have it");
    says!(Tree => TreeNarrow: "note S.children[].children: it is gone; its values are lost as entities are written again");
    says!(Chain => ChainNarrow: "error S.value: it was `u8`, and is now `bool`: 0 can't be read");
    says!(V<Expression> => V<ExpressionFewer>: "error S.v: the variant `Negative` is gone");
    says!(V<ExpressionFewer> => V<Expression>);
}

/// A text that serde takes only in one form, of which memgen knows nothing.
macro_rules! checked {
    ($name:ident, $is:expr, $schema:tt) => {
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        struct $name(String);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let is: fn(&str) -> bool = $is;
                if is(&text) {
                    Ok(Self(text))
                } else {
                    Err(format!("{text} is none"))
                }
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}

checked!(Hash, |text| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit()), {"type": "string"});
checked!(NotEmpty, |text| !text.is_empty(), {"type": "string"});
checked!(Secret, |text| text == "open sesame", {"type": "string", "pattern": "^open .*$"});
checked!(Shown, |text| text == "open sesame", {"type": "string", "examples": ["open sesame"]});

#[test]
fn texts_of_a_form_of_their_own() {
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    struct Two<T> {
        v: T,
        n: u8,
    }
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    struct Renamed<T> {
        v: T,
        #[serde(alias = "n")]
        m: u8,
    }
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    struct Longer {
        v: Secret,
        n: u16,
        #[serde(default)]
        more: u8,
    }
    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    struct Other {
        v: Secret,
        n: bool,
        more: u8,
    }
    says!(Two<Hash> => Two<Hash>);
    says!(Two<Hash> => Two<String>);
    says!(Two<Hash> => Renamed<Hash>);
    says!(Two<String> => Two<Hash>: "error S.v: it was any text, and is now a text of some form: \"x\" can't be read");
    says!(Two<String> => Two<NotEmpty>: "error S.v: it was any text, and is now any text but the empty one: \"\" can't be read");
    says!(Two<NotEmpty> => Two<NotEmpty>);
    says!(Two<NotEmpty> => Renamed<NotEmpty>);
    says!(Two<Shown> => Renamed<Shown>);
    says!(Two<Shown> => Two<Hash>: "error S.v: it is still a text of some form, but does not take all of them: \"open sesame\" can't be read");
    // No text is found that it reads, so its schema is believed.
    says!(Two<Secret> => Two<Secret>);
    says!(Two<Secret> => Two<String>);
    says!(Two<String> => Two<Secret>);
    says!(Two<Secret> => Longer);
    says!(Two<Secret> => Other:
        "error S.n: it was `u8`, and is now `bool`: 0 can't be read",
        "error S.more: it is new (`u8`) and has no default, and older values don't have it");
}

#[test]
fn names_of_types_say_nothing() {
    mod one {
        use super::*;
        data! {
            struct Inner { a: u8, b: Vec<Inner> }
            struct S { x: Inner, y: Option<Inner>, z: Kind }
            enum Kind { A { inner: Inner }, B(u8) }
        }
    }
    mod two {
        use super::*;
        data! {
            struct AnInner { a: u8, b: Vec<AnInner> }
            /// With a description.
            struct Outer {
                /// And here.
                x: AnInner, y: Option<AnInner>, z: Z }
            enum Z { A { inner: AnInner }, B(u8) }
            struct Other { x: AnInner, y: Option<AnInner>, z: Option<Z> }
        }
    }
    let layout = super::of::<one::S>();
    assert_eq!(layout.canonical(), super::of::<two::Outer>().canonical());
    assert_ne!(layout.canonical(), super::of::<two::Other>().canonical());
    let text = serde_json::to_string_pretty(&layout).unwrap();
    let read: super::super::node::Layout = serde_json::from_str(&text).unwrap();
    assert_eq!(read, layout);
}
