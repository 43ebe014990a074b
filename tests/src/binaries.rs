//! The binaries under test.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Builds all binaries. There are no examples, but whoever asks for them gets the features that tests get (those of development dependencies, too), so
/// that nothing is compiled a second time.
const BUILD: [&str; 5] = ["build", "--quiet", "--workspace", "--bins", "--examples"];

/// The path of the binary `name`, which is built first, in the profile of the test that asks.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build).join(name)
}

fn build() -> PathBuf {
    let profile_folder = profile_folder();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(BUILD);
    match profile_folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => {}
        Some(profile) => {
            cargo.args(["--profile", profile]);
        }
        None => panic!("{} is no profile's folder", profile_folder.display()),
    }
    run(cargo, &profile_folder);
    profile_folder
}

/// Runs a build into the target folder of the running test.
fn run(mut cargo: Command, profile_folder: &Path) {
    let target = profile_folder.parent().expect("it is target/<profile>");
    cargo.arg("--target-dir").arg(target);
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    // Where it was not cargo that started us, each crate would be compiled by the toolchain that it asks for.
    if let Some(toolchain) = option_env!("RUSTUP_TOOLCHAIN") {
        cargo.env("RUSTUP_TOOLCHAIN", toolchain);
    }
    let status = cargo.status().expect("cargo runs, since it runs this test");
    assert!(status.success(), "the services do not build");
}

/// The folder `target/<profile>` of the running test, which is `target/<profile>/deps/<test>-<hash>`, or of the running program, which is `target/<profile>/<program>`.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a path");
    let folder = test.parent().expect("a program is in a folder");
    if !folder.ends_with("deps") {
        return folder.to_owned();
    }
    let profile = folder.parent().expect("deps has a parent");
    profile.to_owned()
}
