//! The operator's log: lines of `tracing`, as text or JSON, on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt, fmt::MakeWriter, layer::SubscriberExt as _,
};

use crate::config::{Config, LogFormat};

/// What is written if nobody says.
const DEFAULT_LEVEL: &str = "info";

/// The variable that is used if the settings do not say which lines to write.
const VARIABLE: &str = "RUST_LOG";

/// Begins to write the log of this process, and writes the warnings of the configuration. Returns whether it began: if the program has
/// set a subscriber of its own, that one stays.
pub fn start(config: &Config) -> bool {
    let variable = std::env::var(VARIABLE).ok();
    let (filter, complaint) = filter(config.log_level.as_deref(), variable.as_deref());
    let ansi = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber =
        Registry::default()
            .with(filter)
            .with(lines(config.log_format, ansi, std::io::stderr));
    let started = tracing::subscriber::set_global_default(subscriber).is_ok();
    for warning in complaint.iter().chain(&config.warnings) {
        tracing::warn!("{warning}");
    }
    started
}

/// What is written: what the settings say, or else the variable. A variable that can't be read is complained of and not used.
fn filter(level: Option<&str>, variable: Option<&str>) -> (EnvFilter, Option<String>) {
    let parse = |text: &str| EnvFilter::builder().parse(text);
    let default = || parse(DEFAULT_LEVEL).expect("`info` is a level");
    match (level, variable.filter(|text| !text.is_empty())) {
        // The settings have checked theirs.
        (Some(level), _) => (parse(level).unwrap_or_else(|_| default()), None),
        (None, Some(text)) => match parse(text) {
            Ok(filter) => (filter, None),
            Err(error) => (
                default(),
                Some(format!("{VARIABLE}={text} is not used: {error}")),
            ),
        },
        (None, None) => (default(), None),
    }
}

/// The layer that writes lines.
fn lines<W>(format: LogFormat, ansi: bool, writer: W) -> Box<dyn Layer<Filtered> + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    match format {
        LogFormat::Text => fmt::layer().with_ansi(ansi).with_writer(writer).boxed(),
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_writer(writer)
            .boxed(),
    }
}

type Filtered = tracing_subscriber::layer::Layered<EnvFilter, Registry>;

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is written of some lines.
    fn written(format: LogFormat, level: Option<&str>, variable: Option<&str>) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let (filter, _) = filter(level, variable);
        let subscriber = Registry::default()
            .with(filter)
            .with(lines(format, false, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(keys = 3, "replayed");
            tracing::debug!("detail");
        });
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_has_a_line_per_event() {
        let text = written(LogFormat::Text, None, None);
        assert!(
            text.contains("INFO") && text.contains("replayed keys=3"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn json_has_an_object_per_event() {
        let text = written(LogFormat::Json, None, None);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&line["level"], &line["message"], &line["keys"]),
            (&"INFO".into(), &"replayed".into(), &3.into())
        );
        assert!(line["timestamp"].is_string());
    }

    #[test]
    fn the_setting_beats_the_variable_beats_info() {
        for (level, variable, lines) in [
            (None, None, 1),
            (None, Some("debug"), 2),
            (None, Some(""), 1),
            (None, Some("off"), 0),
            (Some("debug"), Some("off"), 2),
            (Some("error"), Some("debug"), 0),
            (None, Some("memgen=notalevel"), 1),
        ] {
            let text = written(LogFormat::Text, level, variable);
            assert_eq!(
                text.lines().count(),
                lines,
                "{level:?} {variable:?}: {text}"
            );
        }
    }

    #[test]
    fn a_variable_that_can_not_be_read_is_complained_of() {
        let (_, complaint) = filter(None, Some("memgen=notalevel"));
        assert!(
            complaint
                .unwrap()
                .starts_with("RUST_LOG=memgen=notalevel is not used: ")
        );
    }
}
