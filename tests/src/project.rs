//! Crates that the command `memgen` wrote, built as their users build them.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Mutex, PoisonError},
};

use serde_json::Value;

use crate::binaries::binary;

/// The repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of the runtime, for `--memgen-path`.
#[must_use]
pub fn runtime() -> String {
    repository().join("runtime").display().to_string()
}

/// Runs the command `memgen` in a folder: exit code, stdout, stderr.
#[must_use]
pub fn memgen(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(binary("memgen"))
        .args(args)
        .current_dir(folder)
        .output()
        .expect("the command is built");
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
    let code = status.code().expect("it was not killed");
    (code, text(stdout), text(stderr))
}

/// Documents that are not ours, and not in the repository: the folder in `MEMGEN_SPECS`, or else `shared/specs` beside the repository.
#[must_use]
pub fn specs() -> PathBuf {
    let folder = env::var_os("MEMGEN_SPECS")
        .map_or_else(|| repository().join("../shared/specs"), PathBuf::from);
    assert!(
        folder.join("asana.yaml").exists(),
        "the documents of others are missing: there is no asana.yaml in {}. Say where they are: MEMGEN_SPECS=FOLDER",
        folder.display()
    );
    folder
}

/// Where such crates are built: one folder for all, so that what they share is compiled once.
#[must_use]
pub fn target() -> PathBuf {
    repository().join("target/projects")
}

/// Has a command build such crates there, and without what a debugger needs: each program is a fifth as large.
pub fn builds(command: &mut Command) -> &mut Command {
    command
        .env("CARGO_TARGET_DIR", target())
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
}

/// Runs cargo for the crate in a folder. One at a time: each wants all processors.
#[must_use]
pub fn cargo(folder: &Path, args: &[&str]) -> Output {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    builds(&mut Command::new(env!("CARGO")))
        .args(args)
        .current_dir(folder)
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo runs, since it runs this test")
}

/// Runs cargo, which has to succeed without a warning.
pub fn cargo_clean(folder: &Path, args: &[&str]) {
    let output = cargo(folder, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "cargo {args:?}:\n{errors}\n{out}");
    assert!(!errors.contains("warning:"), "cargo {args:?}:\n{errors}");
}

/// Builds the crate in a folder, and returns its program.
#[must_use]
pub fn build(folder: &Path) -> PathBuf {
    let output = cargo(
        folder,
        &[
            "build",
            "--quiet",
            "--message-format=json-render-diagnostics",
        ],
    );
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(!errors.contains("warning:"), "{errors}");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut programs = lines.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message["executable"].as_str()?))
    });
    programs.next_back().expect("the crate is a program")
}
