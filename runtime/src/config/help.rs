//! What `--help` and `--version` print.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

use super::{Config, flags::POSITIONS, settings::SETTINGS, task::TASKS};

/// The help: each setting in its group, with its default and its variable.
pub(super) fn help(service: &str, version: &str) -> String {
    let default = Config {
        cluster: service.to_owned(),
        ..Config::default()
    };
    let mut command = Command::new("service")
        .override_usage(format!("{service} [FLAGS]\n       {service} {} [FLAGS]", POSITIONS.join(" ")))
        .about(format!("{service} {version}: a stateful, partitioned, durable REST service, made with memgen"))
        .after_long_help(
            "Each flag can also be set by its variable, or by its name in memgen.toml (in the working directory, or the file of \
             --config), such as `http = \"0.0.0.0:80\"`. A flag wins over a variable, a variable over the file, the file over the \
             default.",
        )
        .disable_help_flag(true)
        .disable_version_flag(true)
        .term_width(100);
    for setting in SETTINGS {
        let value = (setting.show)(&default);
        let mut help = setting.help.to_owned();
        if !value.is_empty() {
            let _ = write!(help, " [default: {value}]");
        }
        let _ = write!(help, " [env: {}]", setting.variable());
        command = command.arg(
            Arg::new(setting.name)
                .long(setting.name)
                .value_name(setting.value)
                .help(help)
                .help_heading(setting.group),
        );
    }
    let other = |name: &'static str| Arg::new(name).long(name).help_heading("Other");
    command = command.arg(other("config").value_name("FILE").help(
        "The file of settings; memgen.toml by default, if there is one [env: MEMGEN_CONFIG]",
    ));
    for task in TASKS {
        let arg = Arg::new(task.name)
            .long(task.name)
            .help_heading("Instead of serving")
            .help(task.help);
        command = command.arg(match task.value {
            Some(value) => arg.value_name(value),
            None => arg.action(ArgAction::SetTrue),
        });
    }
    command
        .arg(
            other("help")
                .short('h')
                .action(ArgAction::SetTrue)
                .help("Print this"),
        )
        .arg(
            other("version")
                .short('V')
                .action(ArgAction::SetTrue)
                .help("Print the version"),
        )
        .render_long_help()
        .to_string()
}
