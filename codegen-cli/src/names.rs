//! Names of the document as names of Rust.

use std::collections::{HashMap, HashSet};

use heck::{ToSnakeCase as _, ToUpperCamelCase as _};

/// The longest name, without what makes it unique.
const LENGTH_MAX: usize = 120;

/// Words of the language, in the edition of generated crates.
const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Names that mean something in generated files, or in every file of Rust: a type of the document is called otherwise.
const TAKEN_TYPES: [&str; 57] = [
    "Self",
    "Option",
    "Some",
    "None",
    "Result",
    "Ok",
    "Err",
    "String",
    "Vec",
    "Box",
    "Clone",
    "Copy",
    "Debug",
    "Default",
    "PartialEq",
    "Eq",
    "PartialOrd",
    "Ord",
    "Hash",
    "Drop",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "Into",
    "TryFrom",
    "TryInto",
    "Iterator",
    "IntoIterator",
    "Extend",
    "ToString",
    "ToOwned",
    "AsRef",
    "AsMut",
    "Send",
    "Sync",
    "Sized",
    "Unpin",
    "Future",
    "IntoFuture",
    "BTreeMap",
    "Serialize",
    "Deserialize",
    "JsonSchema",
    "Uuid",
    "Date",
    "DateTime",
    "Decimal",
    "Base64",
    "File",
    "EventStream",
    "Json",
    "Bytes",
    "StatusCode",
    "Value",
    "Cx",
    "Problem",
];

/// Names that generated files take for macros or for functions of the user, next to those of types.
const TAKEN_MACROS: [&str; 3] = ["Body", "Reply", "Handlers"];

/// Names of `memgen::contract::prelude` that generated files do not use: a type of the document with such a name hides it.
pub const HIDDEN_TYPES: [&str; 12] = [
    "Attempt",
    "BadRequest",
    "Conflict",
    "Credentials",
    "Forbidden",
    "Gone",
    "Invalid",
    "NotFound",
    "PreconditionFailed",
    "Principal",
    "Store",
    "Unavailable",
];

/// Whether a type of the document can't have this name.
fn is_taken(name: &str) -> bool {
    TAKEN_TYPES.contains(&name) || TAKEN_MACROS.contains(&name)
}

/// Names of one scope, each given once.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    taken: HashSet<String>,
    /// Of names that were wanted more than once: the number that the last one got.
    numbers: HashMap<String, u32>,
}

impl Scope {
    /// A scope for types, in which the names that generated files use already are taken.
    #[must_use]
    pub fn of_types() -> Self {
        Self {
            taken: [&TAKEN_TYPES[..], &TAKEN_MACROS]
                .concat()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            numbers: HashMap::new(),
        }
    }

    /// A scope for the variants of an enum.
    #[must_use]
    pub fn of_variants() -> Self {
        let mut scope = Self::default();
        scope.claim("Self".to_owned());
        scope
    }

    /// Takes a name, or the first of `name2`, `name3`, … that is free.
    pub fn claim(&mut self, name: String) -> String {
        if self.taken.insert(name.clone()) {
            return name;
        }
        // `Pet2` and a document's own `Pet2` must not meet.
        let separator = if name.ends_with(|last: char| last.is_ascii_digit()) {
            "_"
        } else {
            ""
        };
        let last = self.numbers.entry(name.clone()).or_insert(1);
        loop {
            *last += 1;
            let name = format!("{name}{separator}{last}");
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }

    /// Takes the name of a type, or of a trait; one that means something already becomes `NameModel`.
    pub fn claim_type(&mut self, words: &str) -> String {
        let name = type_name(words);
        if is_taken(&name) {
            return self.claim(format!("{name}Model"));
        }
        self.claim(name)
    }

    /// Takes the name of a type that stands inside something, such as `CreatePetReplyValue` where `CreatePetReply` is taken.
    pub fn claim_inner_type(&mut self, words: &str) -> String {
        if self.taken.contains(&type_name(words)) {
            return self.claim_type(&format!("{words} value"));
        }
        self.claim_type(words)
    }
}

/// `order item` is `OrderItem`.
#[must_use]
pub fn type_name(words: &str) -> String {
    let mut name = spelled(words).to_upper_camel_case();
    if name.is_empty() {
        name = spelled(&symbols(words)).to_upper_camel_case();
    }
    if name.is_empty() {
        name.push_str("Empty");
    }
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, 'N');
    }
    name.truncate(LENGTH_MAX);
    name
}

/// `orderItem` is `order_item`. It may be a keyword; see [`ident`].
#[must_use]
pub fn value_name(words: &str) -> String {
    let mut name = spelled(words).to_snake_case();
    if name.is_empty() {
        name = spelled(&symbols(words)).to_snake_case();
    }
    if name.is_empty() {
        name.push_str("empty");
    }
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, 'n');
    }
    name.truncate(LENGTH_MAX);
    name
}

/// The name as an identifier: keywords are raw where the language allows it.
#[must_use]
pub fn ident(name: &str) -> String {
    match name {
        "self" | "super" | "crate" => format!("{name}_"),
        name if is_keyword(name) => format!("r#{name}"),
        name => name.to_owned(),
    }
}

/// Whether it is a word of the language.
#[must_use]
pub fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

/// In letters and digits of ASCII, with spaces between; signs before numbers in words.
fn spelled(words: &str) -> String {
    let ascii = any_ascii::any_ascii(words);
    let mut spelled = String::with_capacity(ascii.len());
    let mut letters = ascii.chars().peekable();
    let mut before = ' ';
    while let Some(one) = letters.next() {
        let number = letters.peek().is_some_and(char::is_ascii_digit);
        match one {
            one if one.is_ascii_alphanumeric() => spelled.push(one),
            '+' if number => spelled.push_str(" plus "),
            '-' if number && !before.is_ascii_alphanumeric() => spelled.push_str(" minus "),
            _ => spelled.push(' '),
        }
        before = one;
    }
    spelled
}

/// What is called so, where there is nothing but signs.
fn symbols(words: &str) -> String {
    let names = words.chars().map(|one| match one {
        '<' => "less",
        '>' => "greater",
        '=' => "equal",
        '!' => "not",
        '*' => "star",
        '%' => "percent",
        '&' => "and",
        '|' => "or",
        '@' => "at",
        '#' => "hash",
        '$' => "dollar",
        '/' => "slash",
        '.' => "dot",
        ',' => "comma",
        ':' => "colon",
        '+' => "plus",
        '-' => "minus",
        '_' => "underscore",
        '~' => "tilde",
        '^' => "caret",
        '?' => "question",
        ' ' => "space",
        _ => "sign",
    });
    names.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_rust() {
        let rows = [
            ("order item", "OrderItem", "order_item"),
            ("petId", "PetId", "pet_id"),
            ("HTTPServer", "HttpServer", "http_server"),
            (
                "io.k8s.api.apps.v1.Deployment",
                "IoK8sApiAppsV1Deployment",
                "io_k8s_api_apps_v1_deployment",
            ),
            ("+1", "Plus1", "plus_1"),
            ("-1", "Minus1", "minus_1"),
            ("2fa", "N2fa", "n2fa"),
            ("", "Empty", "empty"),
            ("<=", "LessEqual", "less_equal"),
            ("$ref", "Ref", "ref"),
            ("Größe", "Grosse", "grosse"),
            ("имя", "Imya", "imya"),
            ("*/ fn main() {}", "FnMain", "fn_main"),
        ];
        for (words, ty, value) in rows {
            assert_eq!(type_name(words), ty, "{words}");
            assert_eq!(value_name(words), value, "{words}");
        }
        assert_eq!(ident("type"), "r#type");
        assert_eq!(ident("self"), "self_");
        assert_eq!(ident("pet"), "pet");
    }

    /// Whatever the prelude has is known here.
    #[test]
    fn the_prelude_is_known() {
        fn leaves(tree: &syn::UseTree, names: &mut Vec<String>) {
            match tree {
                syn::UseTree::Path(path) => leaves(&path.tree, names),
                syn::UseTree::Group(group) => {
                    group.items.iter().for_each(|tree| leaves(tree, names));
                }
                syn::UseTree::Name(name) => names.push(name.ident.to_string()),
                syn::UseTree::Rename(rename) => names.push(rename.rename.to_string()),
                syn::UseTree::Glob(_) => panic!("names can't be told from a glob"),
            }
        }
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../runtime/src/contract/prelude.rs"
        );
        let file = syn::parse_file(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut names = Vec::new();
        for item in file.items {
            if let syn::Item::Use(item) = item {
                leaves(&item.tree, &mut names);
            }
        }
        assert!(names.len() > 10);
        // The names of functions and modules are in another case.
        names.retain(|name| name.starts_with(|first: char| first.is_ascii_uppercase()));
        names.retain(|name| !is_taken(name) && !HIDDEN_TYPES.contains(&name.as_str()));
        assert_eq!(names, [""; 0], "add them to TAKEN_TYPES or HIDDEN_TYPES");
    }

    #[test]
    fn each_name_is_given_once() {
        let mut scope = Scope::of_types();
        let rows = [
            ("pet", "Pet"),
            ("Pet", "Pet2"),
            ("PET", "Pet3"),
            ("pet2", "Pet2_2"),
            ("option", "OptionModel"),
            ("value", "ValueModel"),
            ("Value", "ValueModel2"),
        ];
        for (words, name) in rows {
            assert_eq!(scope.claim_type(words), name, "{words}");
        }
    }
}
