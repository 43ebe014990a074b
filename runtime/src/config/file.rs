//! `memgen.toml`: settings at the top level, one per line, by the names of the flags; and those that are passed through to librdkafka, by theirs,
//! below `kafka`.

use std::path::Path;

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{
    load::{Given, KAFKA, Origin, Passed, Said, Wrong},
    settings, values,
};

/// What the file at `path` with this text sets. What is wrong with it is added to `wrong`.
pub(super) fn read(path: &Path, text: &str, wrong: &mut Vec<Wrong>) -> Said {
    // Looked up, since there may be as many mistakes as lines.
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let line = |at: usize| ends.partition_point(|end| *end < at) + 1;
    let origin = |at: usize| Origin::File(path.to_owned(), line(at));
    let (table, errors) = DeTable::parse_recoverable(text);
    let unreadable = !errors.is_empty();
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        wrong.push(Wrong::new(origin(at), error.message()));
    }
    if unreadable {
        return Said::default(); // What could be read may mean something else than what was meant.
    }
    let mut said = Said::default();
    for (key, value) in table.get_ref() {
        let passed = match key.get_ref().strip_prefix(KAFKA) {
            None if key.get_ref() == KAFKA_TABLE => Some(String::new()),
            name => name.map(str::to_owned),
        };
        if let Some(name) = passed {
            pass(name, key, value, &origin, &mut said.passed, wrong);
            continue;
        }
        let origin = origin(key.span().start);
        // Both spellings are at home in TOML files; the flags have only one.
        let name = key.get_ref().replace('_', "-");
        let Some(setting) = settings::find(&name) else {
            let names = settings::SETTINGS.iter().map(|setting| setting.name);
            let what = match value.get_ref() {
                DeValue::Table(_) => {
                    "there are no tables but `kafka`: settings stand at the top level".to_owned()
                }
                _ => format!(
                    "there is no such setting{}",
                    values::did_you_mean(&name, names)
                ),
            };
            wrong.push(Wrong::new(origin, what).of(key.get_ref()));
            continue;
        };
        if said
            .given
            .iter()
            .any(|other| other.setting.name == setting.name)
        {
            wrong.push(Wrong::new(origin, "it is set twice in this file").of(setting.name));
            continue;
        }
        if let Some(text) = plain(value.get_ref()) {
            said.given.push(Given {
                setting,
                text,
                origin,
            });
        } else {
            let what = "expected a string, a whole number, or a list of them";
            wrong.push(Wrong::new(origin, what).of(setting.name));
        }
    }
    said
}

/// The table of what is passed through to librdkafka.
const KAFKA_TABLE: &str = "kafka";

/// Takes a setting of librdkafka, or all that a table holds: its dots may be written as tables or not.
fn pass(
    name: String,
    key: &Spanned<DeString<'_>>,
    value: &Spanned<DeValue<'_>>,
    origin: &impl Fn(usize) -> Origin,
    passed: &mut Vec<Passed>,
    wrong: &mut Vec<Wrong>,
) {
    if let DeValue::Table(table) = value.get_ref() {
        for (key, value) in table {
            let name = match name.as_str() {
                "" => key.get_ref().to_string(),
                name => format!("{name}.{}", key.get_ref()),
            };
            pass(name, key, value, origin, passed, wrong);
        }
        return;
    }
    let origin = origin(key.span().start);
    let shown = format!("{KAFKA}{name}");
    let text = match value.get_ref() {
        DeValue::Boolean(yes) => Some(yes.to_string()),
        other => plain(other),
    };
    match text {
        Some(text) if !name.is_empty() => {
            if passed.iter().any(|other| other.name == name) {
                wrong.push(Wrong::new(origin, "it is set twice in this file").of(&shown));
                return;
            }
            passed.push(Passed { name, text, origin });
        }
        _ => {
            let what = "expected a string, a whole number, true or false, by a name of librdkafka's, such as `kafka.client.id = \"…\"`";
            wrong.push(Wrong::new(origin, what).of(key.get_ref()));
        }
    }
}

/// The value as the text that a flag would have.
fn plain(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(|number| number.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> = items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::Array(_) => None,
                    item => plain(item),
                })
                .collect();
            Some(items?.join(","))
        }
        DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}
