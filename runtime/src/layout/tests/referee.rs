//! serde itself is the referee: what it writes for one type, it reads, or does not, as another.
//!
//! Each type is compared with each other one. What is compatible must read all that the older type writes, however odd; what is not must fail for
//! a value that the older type writes indeed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    num::{NonZeroI16, NonZeroU64},
};

use fastrand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{
    super::{
        compare::compare,
        node::{Layout, Node},
        oracle::{Unread, ask},
        plain::Plain,
    },
    of,
};

/// A type, as far as it matters here.
struct Subject {
    name: &'static str,
    layout: Layout,
    reads: fn(&Value) -> Result<Value, Unread>,
}

fn subject<T: Serialize + DeserializeOwned + JsonSchema>(name: &'static str) -> Subject {
    Subject {
        name,
        layout: of::<T>(),
        reads: ask::<T>,
    }
}

macro_rules! subjects {
    ($($type:ty),* $(,)?) => { vec![$(subject::<$type>(stringify!($type))),*] };
}

/// Each type as a field among others.
macro_rules! fields {
    ($($type:ty),* $(,)?) => { subjects![$(Around<$type>),*] };
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Around<T> {
    id: u32,
    inner: Inside<T>,
    last: bool,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Inside<T> {
    value: T,
    more: Option<Vec<u8>>,
}

/// Values that a type writes: made from its layout, and changed in any way that it still reads.
fn written(subject: &Subject, rng: &mut Rng, number: usize) -> Vec<Value> {
    let mut values = Vec::new();
    for _ in 0..number {
        let mut value = random(&subject.layout, &subject.layout.value, rng, 0);
        for _ in 0..rng.usize(0..4) {
            change(&mut value, rng);
        }
        // What the type writes for it is what counts.
        values.extend((subject.reads)(&value));
    }
    values
}

fn random(layout: &Layout, node: &Node, rng: &mut Rng, depth: usize) -> Value {
    match layout.resolve(node) {
        Node::Plain(Plain::Integer(min, max)) if rng.bool() => {
            let value = rng.i128(*min..=*max);
            super::super::plain::integer(value).unwrap_or_default()
        }
        Node::Plain(plain) => rng.choice(plain.samples()).unwrap_or_default(),
        Node::Text { like, .. } => json!(like),
        Node::Values { values } => rng.choice(values).cloned().unwrap_or_default(),
        Node::List { list } => {
            let number = if depth > 5 { 0 } else { rng.usize(0..3) };
            (0..number)
                .map(|_| random(layout, list, rng, depth + 1))
                .collect()
        }
        Node::Tuple { tuple } => tuple
            .iter()
            .map(|node| random(layout, node, rng, depth + 1))
            .collect(),
        Node::Map { keys, map } => {
            let mut object = Map::new();
            let number = if depth > 5 { 0 } else { rng.usize(0..3) };
            for _ in 0..number {
                let key = random(layout, keys, rng, depth + 1);
                let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                object.insert(key, random(layout, map, rng, depth + 1));
            }
            object.into()
        }
        Node::Fields(fields) => {
            let mut object = Map::new();
            for (name, node, optional) in fields.all() {
                if !optional || (rng.bool() && depth < 6) {
                    object.insert(name.to_owned(), random(layout, node, rng, depth + 1));
                }
            }
            if let Some(rest) = &fields.rest {
                object.insert("other".to_owned(), random(layout, rest, rng, depth + 1));
            }
            object.into()
        }
        Node::OneOf { one_of } => {
            // Those without an inside end it.
            let chosen = if depth > 5 {
                0
            } else {
                rng.usize(0..one_of.len())
            };
            random(layout, &one_of[chosen], rng, depth + 1)
        }
    }
}

/// Something else somewhere.
fn change(value: &mut Value, rng: &mut Rng) {
    let odd = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(300),
        json!(70_000),
        json!(u64::MAX),
        json!(0.25),
        json!("odd"),
        json!("7"),
        json!("1.50"),
        json!("Red"),
        json!("2020-02-29"),
        json!([]),
        json!([1]),
        json!({}),
        json!({"a": 1}),
    ];
    match value {
        Value::Object(object) if !object.is_empty() && rng.u8(..) < 230 => {
            let index = rng.usize(0..object.len());
            let name = object.keys().nth(index).cloned().unwrap_or_default();
            match rng.u8(..20) {
                0 | 1 => drop(object.remove(&name)),
                2 | 3 => {
                    object.insert("odd".to_owned(), rng.choice(odd).unwrap_or_default());
                }
                _ => {
                    if let Some(inner) = object.get_mut(&name) {
                        change(inner, rng);
                    }
                }
            }
        }
        Value::Array(items) if !items.is_empty() && rng.u8(..) < 200 => {
            let index = rng.usize(0..items.len());
            change(&mut items[index], rng);
        }
        value => *value = rng.choice(odd).unwrap_or_default(),
    }
}

/// Compares each with each.
fn all_pairs(subjects: &[Subject]) {
    let seed = std::env::var("MEMGEN_TEST_SEED").map_or_else(
        |_| fastrand::u64(..),
        |seed| seed.parse().expect("a number"),
    );
    println!("MEMGEN_TEST_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let mut fine = 0;
    for old in subjects {
        let values = written(old, &mut rng, 150);
        assert!(values.len() > 5, "{} writes too little", old.name);
        for new in subjects {
            let findings = compare("S", &old.layout, &new.layout, &new.reads);
            let errors: Vec<_> = findings
                .iter()
                .filter(|finding| finding.is_error())
                .collect();
            let unread = values.iter().find_map(|value| {
                let unread = (new.reads)(value).err()?;
                Some((value, unread.what))
            });
            match (errors.as_slice(), unread) {
                ([], None) => fine += 1,
                // A field that takes its name from what could be anything is a note only.
                ([], Some(_))
                    if !findings.is_empty()
                        && findings
                            .iter()
                            .any(|it| it.what().contains("may have something else")) => {}
                ([], Some((value, what))) => panic!(
                    "{} => {} was missed: {value}: {what}\n{:?}\n{:?}",
                    old.name, new.name, old.layout, new.layout
                ),
                (_, Some(_)) => {}
                (errors, None) => {
                    // The random values may have missed it; those of the layout itself do not.
                    let proven = errors
                        .iter()
                        .all(|error| proof(old, new, error.place.as_str(), &error.because));
                    assert!(
                        proven,
                        "{} => {}: false alarm {errors:?}\n{:?}",
                        old.name, new.name, old.layout
                    );
                }
            }
        }
    }
    assert!(fine >= subjects.len(), "only {fine} pairs were compatible");
}

/// A value that the old type writes, and the new one does not read.
fn proof(old: &Subject, new: &Subject, _place: &str, because: &str) -> bool {
    let mut rng = Rng::with_seed(1);
    for _ in 0..20_000 {
        let value = random(&old.layout, &old.layout.value, &mut rng, 0);
        if (old.reads)(&value).as_ref() == Ok(&value) && (new.reads)(&value).is_err() {
            return true;
        }
    }
    // Beyond 64 bits there are no values to try.
    because.is_empty()
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
enum Color {
    Red,
    Green,
}

#[derive(Clone, Serialize, Deserialize, JsonSchema)]
enum Other {
    Red,
    Green,
    Blue,
    #[serde(other)]
    Unknown,
}

#[derive(Serialize, Deserialize, JsonSchema)]
enum Mixed {
    Red,
    Number(u8),
    Pair(u8, String),
    Named { a: u8 },
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum NumberOrText {
    Number(u32),
    Text(String),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
struct Newtype(u16);

#[derive(Serialize, Deserialize, JsonSchema)]
struct Unit;

#[test]
fn each_kind_of_field() {
    all_pairs(&fields![
        bool,
        u8,
        u32,
        u64,
        i8,
        i64,
        f32,
        f64,
        u128,
        NonZeroU64,
        NonZeroI16,
        char,
        String,
        (),
        uuid::Uuid,
        std::net::IpAddr,
        std::net::Ipv4Addr,
        std::time::Duration,
        Value,
        Option<u8>,
        Option<String>,
        Option<Value>,
        Vec<u8>,
        Vec<Option<u16>>,
        BTreeSet<String>,
        [u8; 2],
        (u8, String),
        (u8, u8, u8),
        BTreeMap<String, u8>,
        HashMap<String, Vec<u64>>,
        BTreeMap<u8, String>,
        BTreeMap<i64, String>,
        BTreeMap<String, Value>,
        Color,
        Other,
        Mixed,
        NumberOrText,
        Newtype,
        Unit,
        Result<u8, String>,
        Vec<Color>,
    ]);
}

macro_rules! structs {
    ($($(#[$meta:meta])* struct $name:ident $body:tt)*) => {
        $(
            #[derive(Serialize, Deserialize, JsonSchema)]
            $(#[$meta])*
            struct $name $body
        )*
        fn all_structs() -> Vec<Subject> {
            subjects![$($name),*]
        }
    };
}

structs! {
    struct A { id: u32 }
    struct Ab { id: u32, b: String }
    struct AbOption { id: u32, b: Option<String> }
    struct AbSkip { id: u32, #[serde(default, skip_serializing_if = "String::is_empty")] b: String }
    struct AbSkipZero { #[serde(default, skip_serializing_if = "is_zero")] id: u32, b: String }
    struct AbDefault { id: u32, #[serde(default)] b: String }
    #[serde(deny_unknown_fields)]
    struct AClosed { id: u32 }
    #[serde(deny_unknown_fields)]
    struct AbClosed { id: u32, #[serde(default)] b: String }
    struct Ac { id: u32, c: String }
    struct AcAlias { id: u32, #[serde(alias = "b")] c: String }
    struct AcAliasDefault { id: u32, #[serde(alias = "b", default)] c: Option<char> }
    struct Abc { id: u32, b: String, #[serde(default)] c: BTreeMap<String, A> }
    struct AbcMore { id: u64, b: String, #[serde(default)] c: BTreeMap<String, Ab> }
    struct ANested { id: u32, inner: Ab }
    struct AFlat { id: u32, #[serde(flatten)] inner: Text }
    struct AFlatMap { id: u32, #[serde(flatten)] rest: BTreeMap<String, Value> }
    struct AFlatTexts { id: u32, #[serde(flatten)] rest: BTreeMap<String, String> }
    struct AFlatEnum { id: u32, #[serde(flatten)] kind: Internal }
    struct AExternal { id: u32, kind: External }
    struct AExternalMore { id: u32, kind: ExternalMore }
    struct AInternal { id: u32, kind: Internal }
    struct AInternalMore { id: u32, kind: InternalMore }
    struct AInternalNewtype { id: u32, kind: InternalNewtype }
    struct AAdjacent { id: u32, kind: Adjacent }
    struct AUntagged { id: u32, kind: Untagged }
    struct AUntaggedMap { id: u32, kind: UntaggedMap }
    struct Tree { id: u32, children: Vec<Tree>, by_name: BTreeMap<String, Tree> }
    struct TreeMore { id: u32, children: Vec<TreeMore>, by_name: BTreeMap<String, TreeMore>, parent: Option<Box<TreeMore>> }
    struct Text { b: String }
    #[serde(from = "AbDefault", into = "Ac")]
    #[derive(Clone)]
    struct Through { id: u32 }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl From<AbDefault> for Through {
    fn from(from: AbDefault) -> Self {
        Self { id: from.id }
    }
}

impl From<Through> for Ac {
    fn from(from: Through) -> Self {
        Self {
            id: from.id,
            c: String::new(),
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
enum External {
    Unit,
    New(u8),
    Named { a: u8, b: Option<Color> },
}

#[derive(Serialize, Deserialize, JsonSchema)]
enum ExternalMore {
    #[serde(alias = "Unit")]
    Nothing,
    New(u16),
    Named {
        a: u16,
        b: Option<Other>,
        #[serde(default)]
        c: bool,
    },
    More(Vec<u8>),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
enum Internal {
    Unit,
    Named { a: u8 },
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
enum InternalMore {
    Unit,
    #[serde(alias = "Named")]
    Renamed {
        a: u16,
        #[serde(default)]
        b: u8,
    },
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
enum InternalNewtype {
    Unit,
    Named(Ab),
    Tree(Tree),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "a")]
enum Adjacent {
    Unit,
    Named(u8),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Untagged {
    Ab(Ab),
    A(A),
    Number(u8),
    List(Vec<u8>),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum UntaggedMap {
    Ab(Ab),
    Map(BTreeMap<String, Value>),
    Nothing,
}

#[test]
fn each_kind_of_struct() {
    all_pairs(&all_structs());
}
