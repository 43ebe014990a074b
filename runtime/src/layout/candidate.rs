//! Values that a schema lets expect to be readable.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    oracle::{Point, Reads, Step},
    outline::{Outline, Schemas, Shape},
    plain::{FORMATS, Format, OTHER_TEXTS, TEXTS, integer},
};

/// How often another value is tried.
const TRIES: usize = 200;
/// How deep values are made.
const DEPTH_MAX: usize = 12;

/// Which of the values was chosen at each place.
#[derive(Default)]
struct Choices {
    chosen: BTreeMap<Vec<Step>, usize>,
    /// How many there are.
    of: BTreeMap<Vec<Step>, usize>,
}

impl Choices {
    fn choose(&mut self, path: &[Step], number: usize) -> usize {
        self.of.insert(path.to_vec(), number);
        *self.chosen.get(path).unwrap_or(&0)
    }

    /// Chooses the next at a place, or at the nearest around it that has one. None if there is none.
    fn next(&mut self, mut path: &[Step]) -> Option<()> {
        loop {
            let number = *self.of.get(path).unwrap_or(&1);
            let chosen = *self.chosen.get(path).unwrap_or(&0);
            if chosen + 1 < number {
                self.chosen.insert(path.to_vec(), chosen + 1);
                // What is inside begins anew.
                self.chosen
                    .retain(|other, _| other == path || !other.starts_with(path));
                return Some(());
            }
            (_, path) = path.split_last()?;
        }
    }
}

/// A value of a schema that can be read at a place.
pub(super) fn readable(
    schemas: &Schemas,
    schema: &Value,
    point: &Point,
    reads: &Reads<'_>,
) -> Option<Value> {
    search(schemas, &schemas.outline(schema), point, reads)
}

/// The same, of one shape.
pub(super) fn readable_shape(
    schemas: &Schemas,
    shape: &Shape,
    point: &Point,
    reads: &Reads<'_>,
) -> Option<Value> {
    let outline = Outline {
        shapes: vec![shape.clone()],
        ..Outline::default()
    };
    search(schemas, &outline, point, reads)
}

fn search(schemas: &Schemas, outline: &Outline, point: &Point, reads: &Reads<'_>) -> Option<Value> {
    let mut choices = Choices::default();
    for _ in 0..TRIES {
        let value = of_outline(schemas, outline, &mut Vec::new(), &mut choices);
        let value = value.unwrap_or_default();
        let Err(unread) = reads(&point.with(value.clone())) else {
            return Some(value);
        };
        let blamed = point.blame(&value, &unread).unwrap_or_default();
        choices.next(&blamed)?;
    }
    None
}

/// None beyond the depth at which there is an end of it.
fn of_outline(
    schemas: &Schemas,
    outline: &Outline,
    path: &mut Vec<Step>,
    choices: &mut Choices,
) -> Option<Value> {
    if path.len() > DEPTH_MAX {
        return None;
    }
    let mut options = Vec::new();
    gather(schemas, outline, 0, &mut options);
    // Deep inside, what is plain comes first, so that there is an end.
    let deep = path.len() > DEPTH_MAX / 2;
    options.sort_by_key(|option| matches!(option, Choice::Plain(_)) != deep);
    let chosen = choices.choose(path, options.len());
    // A shape that has no end gives way to the next.
    options
        .into_iter()
        .skip(chosen)
        .find_map(|option| match option {
            Choice::Plain(value) => Some(value),
            Choice::Shape(shape, full) => of_shape(schemas, &shape, full, path, choices),
        })
}

/// What a value can be.
enum Choice {
    Plain(Value),
    /// As small as can be, or with all that it can have.
    Shape(Shape, bool),
}

/// All that a schema allows, through the names of types.
fn gather(schemas: &Schemas, outline: &Outline, depth: usize, options: &mut Vec<Choice>) {
    for shape in &outline.shapes {
        match shape {
            Shape::Named(name) => {
                if let Some(target) = schemas.named(name).filter(|_| depth < DEPTH_MAX) {
                    gather(schemas, &schemas.outline(target), depth + 1, options);
                }
            }
            shape => options.extend([false, true].map(|full| Choice::Shape(shape.clone(), full))),
        }
    }
    options.extend(plain_values(outline).into_iter().map(Choice::Plain));
}

fn of_shape(
    schemas: &Schemas,
    shape: &Shape,
    full: bool,
    path: &mut Vec<Step>,
    choices: &mut Choices,
) -> Option<Value> {
    let mut inner = |step: Step, schema: &Value| {
        path.push(step);
        let value = of_outline(schemas, &schemas.outline(schema), path, choices);
        path.pop();
        value
    };
    match shape {
        // `gather` leaves none.
        Shape::Named(_) => None,
        Shape::Object(map) => {
            let mut object = Map::new();
            let required = map.get("required").and_then(Value::as_array);
            let properties = map.get("properties").and_then(Value::as_object);
            for (name, schema) in properties.into_iter().flatten() {
                let is_required = required.is_some_and(|names| names.iter().any(|it| it == name));
                if !is_required && !full {
                    continue;
                }
                match inner(Step::Field(name.clone()), schema) {
                    Some(value) => drop(object.insert(name.clone(), value)),
                    None if is_required => return None,
                    None => {}
                }
            }
            Some(object.into())
        }
        Shape::List(item) => {
            let item = full.then(|| inner(Step::Item(0), item)).flatten();
            Some(item.into_iter().collect())
        }
        Shape::Tuple(prefix) => prefix
            .iter()
            .enumerate()
            .map(|(index, schema)| inner(Step::Item(index), schema))
            .collect(),
    }
}

/// Plain values of an outline, the most likely first.
fn plain_values(outline: &Outline) -> Vec<Value> {
    let mut values = outline.values.clone();
    let listed = !values.is_empty();
    values.extend(outline.examples.iter().cloned());
    if listed {
        return values;
    }
    let has = |kind: &str| outline.kinds.contains(kind);
    if has("string") {
        let formats = outline.formats.iter();
        values.extend(
            formats
                .filter_map(|name| Format::of(name))
                .map(|format| json!(format.sample)),
        );
        values.extend(texts().map(Value::from));
    }
    if has("integer") || has("number") {
        let (min, max) = outline.bounds;
        values.extend(
            [min.or(Some(0)), Some(1), max]
                .into_iter()
                .flatten()
                .filter_map(integer),
        );
    }
    if has("number") {
        values.push(json!(1.5));
    }
    if has("boolean") {
        values.push(json!(false));
    }
    if has("null") {
        values.push(Value::Null);
    }
    // Schemas may say something else than what is read.
    values.extend([
        json!({}),
        json!([]),
        json!(0),
        json!(1.5),
        json!("x"),
        json!(false),
        Value::Null,
    ]);
    values
}

/// Texts to try where only some are taken.
pub(super) fn texts<'t>() -> impl Iterator<Item = &'t str> {
    let formats = FORMATS.iter().map(|format| format.sample);
    TEXTS[..2]
        .iter()
        .chain(TEXTS.last())
        .copied()
        .chain(OTHER_TEXTS.iter().copied())
        .chain(formats)
}
