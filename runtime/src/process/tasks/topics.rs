//! The topics in Kafka: made, and checked.

use std::process::ExitCode;

use crate::{config::Config, service::Service};

/// The exit code if a topic is not as it must be; the same as that of `memgen topics check`.
#[cfg(feature = "kafka")]
const EXIT_UNSAFE: u8 = 4;

/// Prints what is known of them, made first if that is asked for.
#[cfg(feature = "kafka")]
pub(super) async fn run(
    service: &Service,
    config: &Config,
    make: bool,
) -> Result<ExitCode, String> {
    use super::said;
    use crate::log::kafka::topics::Report;

    let topics: Vec<_> = service.topics().collect();
    let reports = crate::log::topics(config, &topics, make).await;
    let reports = reports.map_err(said)?;
    let text = serde_json::to_string_pretty(&reports).map_err(said)?;
    println!("{text}");
    Ok(if reports.iter().all(Report::is_safe) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_UNSAFE)
    })
}

#[cfg(not(feature = "kafka"))]
pub(super) async fn run(_: &Service, _: &Config, _: bool) -> Result<ExitCode, String> {
    Err("this service was built without the feature `kafka` of memgen".to_owned())
}
