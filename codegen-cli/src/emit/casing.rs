//! How the names of a document are written: one word for a whole type in the place of one for each name.

/// The rules of serde's `rename_all` that documents use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Casing {
    /// As in Rust.
    Same,
    Lower,
    Upper,
    Camel,
    Pascal,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

const ALL: [Casing; 8] = [
    Casing::Lower,
    Casing::Upper,
    Casing::Camel,
    Casing::Pascal,
    Casing::Snake,
    Casing::ScreamingSnake,
    Casing::Kebab,
    Casing::ScreamingKebab,
];

/// The rule that leaves the fewest fields to be renamed. Pairs are of Rust's name and JSON's.
pub(super) fn of_fields<'a>(pairs: &(impl Iterator<Item = (&'a str, &'a str)> + Clone)) -> Casing {
    // A field is in snake case already.
    best(
        pairs,
        Casing::field,
        &[Casing::Camel, Casing::Pascal, Casing::Kebab],
    )
}

/// The rule that leaves the fewest variants to be renamed.
pub(super) fn of_variants<'a>(
    pairs: &(impl Iterator<Item = (&'a str, &'a str)> + Clone),
) -> Casing {
    best(pairs, Casing::variant, &ALL)
}

fn best<'a>(
    pairs: &(impl Iterator<Item = (&'a str, &'a str)> + Clone),
    rename: fn(Casing, &str) -> String,
    casings: &[Casing],
) -> Casing {
    let right = |casing: Casing| {
        let pairs = pairs.clone();
        pairs
            .filter(|(rust, json)| rename(casing, rust) == *json)
            .count()
    };
    let mut best = (right(Casing::Same), Casing::Same);
    for &casing in casings {
        let count = right(casing);
        // A line for the type must save more than one.
        if count > best.0 + usize::from(best.1 == Casing::Same) {
            best = (count, casing);
        }
    }
    best.1
}

impl Casing {
    /// The argument of `#[serde(…)]`.
    pub(super) fn attribute(self) -> Vec<String> {
        let rule = match self {
            Self::Same => return Vec::new(),
            Self::Lower => "lowercase",
            Self::Upper => "UPPERCASE",
            Self::Camel => "camelCase",
            Self::Pascal => "PascalCase",
            Self::Snake => "snake_case",
            Self::ScreamingSnake => "SCREAMING_SNAKE_CASE",
            Self::Kebab => "kebab-case",
            Self::ScreamingKebab => "SCREAMING-KEBAB-CASE",
        };
        vec![format!("rename_all = \"{rule}\"")]
    }

    /// What serde makes of the name of a field.
    pub(super) fn field(self, name: &str) -> String {
        let pascal = || -> String {
            let mut out = String::with_capacity(name.len());
            let mut capital = true;
            for one in name.chars() {
                if one == '_' {
                    capital = true;
                } else if capital {
                    out.push(one.to_ascii_uppercase());
                    capital = false;
                } else {
                    out.push(one);
                }
            }
            out
        };
        match self {
            Self::Same | Self::Lower | Self::Snake => name.to_owned(),
            Self::Upper | Self::ScreamingSnake => name.to_ascii_uppercase(),
            Self::Pascal => pascal(),
            Self::Camel => lower_first(&pascal()),
            Self::Kebab => name.replace('_', "-"),
            Self::ScreamingKebab => name.to_ascii_uppercase().replace('_', "-"),
        }
    }

    /// What serde makes of the name of a variant.
    pub(super) fn variant(self, name: &str) -> String {
        let snake = || -> String {
            let mut out = String::with_capacity(name.len() + 4);
            for (at, one) in name.char_indices() {
                if at > 0 && one.is_uppercase() {
                    out.push('_');
                }
                out.push(one.to_ascii_lowercase());
            }
            out
        };
        match self {
            Self::Same | Self::Pascal => name.to_owned(),
            Self::Lower => name.to_ascii_lowercase(),
            Self::Upper => name.to_ascii_uppercase(),
            Self::Camel => lower_first(name),
            Self::Snake => snake(),
            Self::ScreamingSnake => snake().to_ascii_uppercase(),
            Self::Kebab => snake().replace('_', "-"),
            Self::ScreamingKebab => snake().to_ascii_uppercase().replace('_', "-"),
        }
    }
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}", first.to_ascii_lowercase(), letters.as_str())
    })
}
