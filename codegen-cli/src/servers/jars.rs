//! What Java needs to run the servers, fetched once by Maven into a cache.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{ServerError, at};

/// The version of Kafka.
pub const KAFKA: &str = "4.3.1";
/// The version of ZooKeeper.
pub const ZOOKEEPER: &str = "3.9.4";

/// The version of Apicurio, a registry of schemas.
pub const APICURIO: &str = "3.0.9";

const KAFKA_ARTIFACTS: &[(&str, &str, &str)] = &[
    ("org.apache.kafka", "kafka_2.13", KAFKA),
    ("org.apache.kafka", "kafka-tools", KAFKA),
];

/// ZooKeeper names what its server needs besides itself as optional.
const ZOOKEEPER_ARTIFACTS: &[(&str, &str, &str)] = &[
    ("org.apache.zookeeper", "zookeeper", ZOOKEEPER),
    ("ch.qos.logback", "logback-classic", "1.3.15"),
    ("io.dropwizard.metrics", "metrics-core", "4.1.12.1"),
    ("org.xerial.snappy", "snappy-java", "1.1.10.5"),
];

/// The folders with the jars of each server.
#[derive(Clone, Debug)]
pub struct Jars {
    pub(super) kafka: PathBuf,
    pub(super) zookeeper: PathBuf,
}

impl Jars {
    /// Finds the jars in the cache (`MEMGEN_CACHE`, or else `~/.cache/memgen`), and fetches what is missing: about 60 MB, once.
    ///
    /// # Errors
    /// [`ServerError::Program`] if Java or Maven is missing or fails, with what to install.
    pub fn fetch() -> Result<Self, ServerError> {
        check_java()?;
        let cache = cache();
        let jars = |name: &str, artifacts| {
            let goal = ["dependency:copy-dependencies"];
            fetched(&cache, name, artifacts, &goal)
        };
        Ok(Self {
            kafka: jars(&format!("kafka-{KAFKA}"), KAFKA_ARTIFACTS)?,
            zookeeper: jars(&format!("zookeeper-{ZOOKEEPER}"), ZOOKEEPER_ARTIFACTS)?,
        })
    }
}

/// The folder of Apicurio in the cache, fetched if it is missing: about 110 MB, once. What runs is published as an archive, and not as jars.
pub(super) fn apicurio() -> Result<PathBuf, ServerError> {
    check_java()?;
    let archive = format!("io.apicurio:apicurio-registry-app:{APICURIO}:tar.gz:all");
    let goal = ["dependency:unpack", &format!("-Dartifact={archive}")];
    fetched(&cache(), &format!("apicurio-{APICURIO}"), &[], &goal)
}

fn cache() -> PathBuf {
    if let Some(cache) = std::env::var_os("MEMGEN_CACHE") {
        return cache.into();
    }
    let home = std::env::var_os("HOME").map_or_else(std::env::temp_dir, PathBuf::from);
    home.join(".cache").join("memgen")
}

fn check_java() -> Result<(), ServerError> {
    let help = "install a Java runtime, 17 or later (Debian: default-jre-headless)";
    run(Command::new("java").arg("-version"), help)
}

/// A folder of the cache with what Maven makes of a project with these dependencies. It is complete if it is there: it is filled under another name first.
fn fetched(
    cache: &Path,
    name: &str,
    artifacts: &[(&str, &str, &str)],
    goal: &[&str],
) -> Result<PathBuf, ServerError> {
    let folder = cache.join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(cache).map_err(at(cache))?;
    let unfinished = cache.join(format!("{name}.{}", std::process::id()));
    let project = unfinished.join("project");
    fs::create_dir_all(&project).map_err(at(&project))?;
    let pom = project.join("pom.xml");
    fs::write(&pom, project_of(artifacts)).map_err(at(&pom))?;
    let content = unfinished.join("content");
    let mut maven = Command::new("mvn");
    maven
        .args(["--quiet", "--batch-mode"])
        .args(goal)
        .arg(format!("-DoutputDirectory={}", content.display()))
        .current_dir(&project);
    run(
        &mut maven,
        "install Maven (Debian: maven), and see that Maven Central can be reached",
    )?;
    // Another process may have been quicker; its folder is as good.
    if fs::rename(&content, &folder).is_err() && !folder.is_dir() {
        fs::create_dir_all(&folder).map_err(at(&folder))?;
    }
    fs::remove_dir_all(&unfinished).map_err(at(&unfinished))?;
    Ok(folder)
}

fn project_of(artifacts: &[(&str, &str, &str)]) -> String {
    let dependencies: Vec<String> = artifacts
        .iter()
        .map(|(group, artifact, version)| {
            format!(
                "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"
            )
        })
        .collect();
    let dependencies = dependencies.concat();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>memgen</groupId><artifactId>servers</artifactId><version>1</version><packaging>pom</packaging>\
         <dependencies>{dependencies}</dependencies></project>"
    )
}

/// Runs a program to its end, without its output unless it fails.
pub(super) fn run(command: &mut Command, help: &'static str) -> Result<(), ServerError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let fail = |what: String| ServerError::Program {
        program: program.clone(),
        what,
        help,
    };
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| fail(format!("can't be run: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(fail(format!(
        "failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&text).trim()
    )))
}
