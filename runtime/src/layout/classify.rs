//! Which kinds of plain values a type takes, by those that it was tried with.

use serde_json::{Value, json};

use super::{
    candidate::texts,
    node::Node,
    outline::Outline,
    plain::{BOUNDS, FORMATS, Format, OTHER_TEXTS, Plain, TEXTS, integer, whole},
};

/// What the type writes for a value that it reads; none if it does not read it, or leaves it out.
pub(super) type Echo<'e> = dyn Fn(&Value) -> Option<Value> + 'e;

/// The plain values that are written here, among those of the kinds that the schema allows.
pub(super) fn plain(outline: &Outline, echo: &Echo<'_>) -> Vec<Node> {
    if outline.is_tag {
        return vec![Node::Values {
            values: outline.values.clone(),
        }];
    }
    let has = |kind: &str| outline.kinds.contains(kind);
    let mut nodes = Vec::new();
    if has("null") && echo(&Value::Null) == Some(Value::Null) {
        nodes.push(Node::Plain(Plain::Null));
    }
    let mut values = Vec::new();
    if has("boolean") {
        let both = [json!(false), json!(true)];
        let known = both.iter().filter(|it| echo(it).as_ref() == Some(it));
        match known.clone().count() {
            2 => nodes.push(Node::Plain(Plain::Bool)),
            _ => values.extend(known.cloned()),
        }
    }
    // A number that is written as a text is one of those.
    let mut written_as_text = false;
    if has("integer") || has("number") {
        let integers = integers(outline, echo);
        let fraction = echo(&json!(0.5));
        match fraction {
            Some(Value::Number(number)) if number.is_f64() => {
                nodes.extend(integers);
                let exact = json!(0.123_456_789_012_345_6);
                let double = echo(&exact).as_ref() == Some(&exact);
                nodes.push(Node::Plain(if double {
                    Plain::Double
                } else {
                    Plain::Float
                }));
            }
            Some(Value::String(_)) => written_as_text = true,
            _ => {
                // An enum of numbers takes no other.
                let other = json!(1_000_003);
                let listed = listed(outline, echo, Value::is_number);
                if listed.is_empty() || echo(&other) == Some(other) {
                    nodes.extend(integers);
                } else {
                    values.extend(listed);
                }
            }
        }
        written_as_text |= echo(&json!(1)).is_some_and(|written| written.is_string());
    }
    if has("string") || written_as_text {
        let is = |text: &&&str| echo(&json!(text)) == Some(json!(text));
        // The empty one is the last of them.
        match TEXTS.len() - TEXTS.iter().take_while(is).count() {
            0 => nodes.push(Node::Plain(Plain::String)),
            1 => nodes.push(Node::Plain(Plain::NotEmpty)),
            _ => {
                let known = listed(outline, echo, Value::is_string);
                if known.is_empty() {
                    nodes.extend(some_texts(outline, echo));
                } else {
                    values.extend(known);
                }
            }
        }
    }
    if !values.is_empty() {
        nodes.push(Node::Values { values });
    }
    nodes
}

/// The values that a schema lists, and that are written as they are.
pub(super) fn listed(outline: &Outline, echo: &Echo<'_>, kind: fn(&Value) -> bool) -> Vec<Value> {
    let values = outline.values.iter().filter(|value| kind(value));
    values
        .filter(|value| echo(value).as_ref() == Some(value))
        .cloned()
        .collect()
}

/// The integers that are written as they are.
pub(super) fn integers(outline: &Outline, echo: &Echo<'_>) -> Vec<Node> {
    let is = |value: i128| {
        integer(value).is_some_and(|value| {
            let written = echo(&value);
            written.as_ref() == Some(&value) && written.as_ref().and_then(whole).is_some()
        })
    };
    let mut bounds = BOUNDS.to_vec();
    for bound in [outline.bounds.0, outline.bounds.1].into_iter().flatten() {
        bounds.extend([bound - 1, bound, bound + 1]);
    }
    bounds.sort_unstable();
    bounds.retain(|bound| *bound != 0);
    let below: Vec<i128> = bounds.iter().copied().filter(|bound| *bound < 0).collect();
    let above: Vec<i128> = bounds.iter().copied().filter(|bound| *bound > 0).collect();
    let zero = is(0);
    let least = farthest(&below.iter().copied().rev().collect::<Vec<_>>(), &is);
    let most = farthest(&above, &is);
    let wide = outline
        .formats
        .iter()
        .any(|format| format == "int128" || format == "uint128");
    if wide && zero && most == Some(u64::MAX.into()) {
        return vec![Node::Plain(Plain::Wide {
            signed: least.is_some(),
        })];
    }
    let plain = |from, to| Node::Plain(Plain::Integer(from, to));
    match (least, zero, most) {
        (None, false, None) => Vec::new(),
        (least, true, most) => vec![plain(least.unwrap_or(0), most.unwrap_or(0))],
        (least, false, most) => {
            let below = least.map(|from| {
                let to = below.iter().copied().rev().find(|bound| is(*bound));
                plain(from, to.unwrap_or(from))
            });
            let above = most.map(|to| {
                let from = above.iter().copied().find(|bound| is(*bound));
                plain(from.unwrap_or(to), to)
            });
            below.into_iter().chain(above).collect()
        }
    }
}

/// The last of `bounds`, which lead away from zero, that is taken. Most types take all up to somewhere.
fn farthest(bounds: &[i128], is: &dyn Fn(i128) -> bool) -> Option<i128> {
    let (first, last) = (*bounds.first()?, *bounds.last()?);
    if is(last) {
        return Some(last);
    }
    if !is(first) {
        // Who knows.
        return bounds.iter().copied().rev().find(|bound| is(*bound));
    }
    let beyond = bounds.partition_point(|bound| is(*bound));
    Some(bounds[beyond - 1])
}

/// Texts of some form that are taken, where not all are.
pub(super) fn some_texts(outline: &Outline, echo: &Echo<'_>) -> Vec<Node> {
    let write = |text: &str| echo(&json!(text)).filter(Value::is_string);
    let is = |text: &str| write(text).is_some();
    let mut written: Vec<Value> = texts().filter_map(write).collect();
    let number = written.len();
    written.dedup();
    if number > 1 && written.len() == 1 {
        // Whatever is read.
        return vec![Node::Values { values: written }];
    }
    let said = outline.formats.iter().find_map(|name| Format::of(name));
    if let Some(format) = said.filter(|format| is(format.sample)) {
        return vec![Node::Plain(Plain::Format(format))];
    }
    if is("x") && is("é") && !is("") && !is("text") {
        return vec![Node::Plain(Plain::Char)];
    }
    let taken: Vec<&Format> = FORMATS.iter().filter(|format| is(format.sample)).collect();
    let ip = |format: &&Format| format.name.starts_with("ipv");
    let other = OTHER_TEXTS.iter().any(|text| is(text));
    match taken.as_slice() {
        [only] if !other || only.name == "decimal" || only.name == "byte" => {
            vec![Node::Plain(Plain::Format(only))]
        }
        all if !all.is_empty() && all.iter().all(ip) => {
            let nodes = all.iter().map(|format| Node::Plain(Plain::Format(format)));
            nodes.collect()
        }
        _ => {
            let examples = outline.examples.iter().filter_map(Value::as_str);
            // As it is written in the end.
            let like = examples.chain(texts()).find_map(write);
            like.map(|like| Node::Text {
                text: form(outline),
                like: like.as_str().map(str::to_owned),
            })
            .into_iter()
            .collect()
        }
    }
}

/// What a schema calls the form of its texts.
fn form(outline: &Outline) -> String {
    let said = outline.formats.first().or(outline.patterns.first());
    said.cloned().unwrap_or_default()
}

/// The plain values that a schema allows, where they can't be tried.
pub(super) fn believed(outline: &Outline) -> Vec<Node> {
    if outline.is_open() {
        return vec![Node::Plain(Plain::Any)];
    }
    let has = |kind: &str| outline.kinds.contains(kind);
    let mut nodes = Vec::new();
    if has("null") {
        nodes.push(Node::Plain(Plain::Null));
    }
    let values: Vec<Value> = outline
        .values
        .iter()
        .filter(|value| !value.is_null())
        .cloned()
        .collect();
    if !values.is_empty() {
        nodes.push(Node::Values { values });
        return nodes;
    }
    if has("boolean") {
        nodes.push(Node::Plain(Plain::Bool));
    }
    if has("integer") {
        let by_format = outline
            .formats
            .iter()
            .find_map(|format| Plain::integer_of(format));
        let (least, most) = outline.bounds;
        nodes.push(Node::Plain(match by_format {
            Some(Plain::Integer(min, max)) => {
                Plain::Integer(least.unwrap_or(min).max(min), most.unwrap_or(max).min(max))
            }
            Some(wide) => wide,
            None => Plain::Integer(
                least.unwrap_or(i64::MIN.into()),
                most.unwrap_or(i64::MAX.into()),
            ),
        }));
    }
    let format = outline.formats.iter().find_map(|name| Format::of(name));
    if has("number") {
        nodes.push(Node::Plain(match format {
            Some(format) => Plain::Format(format),
            None if outline.formats.iter().any(|format| format == "float") => Plain::Float,
            None => Plain::Double,
        }));
    }
    if has("string") {
        nodes.push(match format {
            Some(format) => Node::Plain(Plain::Format(format)),
            None if outline.one_character => Node::Plain(Plain::Char),
            None if outline.formats.is_empty() && outline.patterns.is_empty() => {
                Node::Plain(Plain::String)
            }
            None => Node::Text {
                text: form(outline),
                like: None,
            },
        });
    }
    nodes
}
