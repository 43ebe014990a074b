//! A service as a process: settings, the operator's log, signals, exit codes.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use crate::{
    config::{Config, Sources, Stop},
    logging,
    server::{Running, StartError},
    service::Service,
};

mod tasks;

pub(crate) use self::tasks::{Verified, Verify};

/// The exit code of a service that can't start.
const EXIT_START: u8 = 1;
/// The exit code of a service that could not read its log; the same as that of `memgen check`.
const EXIT_INCOMPATIBLE: u8 = 5;

/// SIGXFSZ: sent to a process that writes beyond its limit of file size. With a handler the write fails instead, and is answered as
/// a full disk is.
const SIGXFSZ: i32 = 25;

/// Runs until SIGINT or SIGTERM.
pub(crate) fn run(service: Service) -> ExitCode {
    let sources = Sources::of_this_process();
    let config = match Config::from_sources(service.name, service.version, &sources) {
        Ok(config) => config,
        Err(Stop::Task(task)) => return tasks::run(&service, &task),
        Err(stop) => stop.exit(),
    };
    logging::start(&config);
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "the runtime does not start");
            return ExitCode::from(EXIT_START);
        }
    };
    runtime.block_on(async {
        let several = config.nodes > 1;
        let running = match service.start(config).await {
            Ok(running) => running,
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::from(match error {
                    StartError::Incompatible(_) => EXIT_INCOMPATIBLE,
                    _ => EXIT_START,
                });
            }
        };
        announce(&running, several);
        wait_for_signal().await;
        info!("stopping");
        running.stop().await;
        info!("stopped");
        ExitCode::SUCCESS
    })
}

/// Says on standard output where each node listens, for people and for programs that start this one.
fn announce(running: &Running, several: bool) {
    use std::io::Write as _;
    // Whoever started the service may have stopped listening: that is no reason to end.
    let mut out = std::io::stdout().lock();
    for (number, node) in (1..).zip(running.nodes()) {
        let prefix = if several {
            format!("node {number} ")
        } else {
            String::new()
        };
        let _ = writeln!(out, "{prefix}api   http://{}", node.http);
        let _ = writeln!(out, "{prefix}docs  http://{}/docs", node.http);
        let _ = writeln!(out, "{prefix}admin http://{}", node.admin);
    }
}

async fn wait_for_signal() {
    let _beyond_file_size = signal(SignalKind::from_raw(SIGXFSZ));
    let interrupt = signal(SignalKind::interrupt());
    let terminate = signal(SignalKind::terminate());
    match (interrupt, terminate) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}
