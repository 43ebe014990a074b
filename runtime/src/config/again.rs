//! For the fuzzer: the settings of a file, and a file that says the same.

use std::{fmt::Write as _, path::Path};

use super::{Config, Stop, file, load, settings::SETTINGS};

/// The settings that a file with this text makes, and the text of a file that sets each of them to what it is.
///
/// # Errors
/// What a user would read.
pub(crate) fn again(text: &str) -> Result<(Config, String), String> {
    let mut wrong = Vec::new();
    let said = file::read(Path::new("memgen.toml"), text, &mut wrong);
    let config = match load::settle("fuzz", [said], None, wrong) {
        Ok(config) => config,
        Err(Stop::Wrong(text) | Stop::Asked(text)) => return Err(text),
        Err(Stop::Task(_)) => return Err("a file asks for no task".to_owned()),
    };
    let mut written = String::new();
    let mut line = |name: &str, value: &str| {
        writeln!(written, "{name} = {}", quoted(value)).expect("a String takes everything");
    };
    for setting in SETTINGS {
        let shown = (setting.show)(&config);
        if !shown.is_empty() {
            line(setting.name, &shown);
        }
    }
    for (name, value) in config.kafka.settings.all() {
        line(&format!("kafka.{}", quoted(name)), value);
    }
    Ok((config, written))
}

/// A string of TOML. It has all escapes of JSON, and may not have one character as it is that JSON may.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007f")
}
