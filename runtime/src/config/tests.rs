use std::{fs, path::Path};

use super::*;
use crate::log::Ack;

mod kafka;
mod tasks;

/// A folder of its own per test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("memgen-config-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn with(test: &str, settings: &str) -> Self {
        let folder = Self::new(test);
        fs::write(folder.0.join("memgen.toml"), settings).unwrap();
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn load_in(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Result<Config, Stop> {
    let sources = Sources {
        args: args.iter().map(Into::into).collect(),
        variables: variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        folder: folder.to_owned(),
    };
    Config::from_sources("graph", "0.1.0", &sources)
}

fn load(args: &[&str]) -> Result<Config, Stop> {
    load_in(Path::new("/nonexistent"), args, &[])
}

#[track_caller]
fn wrong(result: Result<Config, Stop>) -> String {
    match result {
        Err(Stop::Wrong(text)) => text,
        other => panic!("expected an error, got {other:?}"),
    }
}

/// The lines that say what is wrong.
#[track_caller]
fn wrong_lines(result: Result<Config, Stop>) -> Vec<String> {
    wrong(result)
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn without_anything_it_is_the_default() {
    let config = load(&[]).unwrap();
    assert_eq!(
        config,
        Config {
            cluster: "graph".to_owned(),
            ..Config::default()
        }
    );
}

#[test]
fn flag_beats_variable_beats_file_beats_default() {
    let folder = Folder::with(
        "precedence",
        "http = \"127.0.0.1:1\"\nqueue-max = 1\nlist_limit_max = 300\nack = \"os\"\n",
    );
    let variables = [
        ("MEMGEN_HTTP", "127.0.0.1:2"),
        ("MEMGEN_QUEUE_MAX", "2"),
        ("HOME", "/x"),
    ];
    let config = load_in(&folder.0, &["--http", "127.0.0.1:3"], &variables).unwrap();
    assert_eq!(config.http.port(), 3, "flag");
    assert_eq!(config.limits.queue_max, 2, "variable");
    assert_eq!(config.limits.list_limit_max, 300, "file");
    assert_eq!(config.ack.all, [Ack::Os], "file");
    assert_eq!(config.limits.list_limit_default, 100, "default");
}

#[test]
fn a_wrong_value_that_a_stronger_source_replaces_does_no_harm() {
    let folder = Folder::with("replaced", "http = \"nonsense\"\n");
    assert!(load_in(&folder.0, &["--http", "127.0.0.1:3"], &[]).is_ok());
    assert!(load_in(&folder.0, &[], &[]).is_err());
}

#[test]
fn every_setting_can_be_set_from_each_source() {
    for setting in settings::SETTINGS {
        let value = match (setting.show)(&Config::default()) {
            text if !text.is_empty() => text,
            _ if ["node", "zone", "advertise", "topic-prefix"].contains(&setting.name) => {
                "name".to_owned()
            }
            _ if setting.name == "peer-secret" => "0123456789abcdef".to_owned(),
            _ if setting.name == "memory-max" => "512MiB".to_owned(),
            _ if setting.name == "serve" => "0,1".to_owned(),
            _ if setting.name == "ack" => "leader,os,vertex=all".to_owned(),
            _ if setting.name == "credentials" => "key=secret,login=user:password".to_owned(),
            _ => "debug".to_owned(),
        };
        let flag = format!("--{}", setting.name);
        // Warnings quote the source, which is what differs here.
        let quiet = |config: Result<Config, Stop>| {
            config.map(|config| Config {
                warnings: Vec::new(),
                ..config
            })
        };
        // Three that are of no use without one another.
        let tls = ["peer-tls-cert", "peer-tls-key", "peer-tls-ca"];
        let mut others: Vec<String> = Vec::new();
        if tls.contains(&setting.name) {
            let others_of = tls.iter().filter(|name| **name != setting.name);
            others = others_of.map(|name| format!("--{name}=x")).collect();
        }
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let load = |args: &[&str]| quiet(load(&[args, &others].concat()));
        let load_in =
            |folder: &Path, variables: &[(&str, &str)]| quiet(load_in(folder, &others, variables));
        let expected = load(&[&flag, &value]).unwrap();
        assert_eq!((setting.show)(&expected), value);
        assert_eq!(load(&[&format!("{flag}={value}")]).as_ref(), Ok(&expected));
        let variable = load_in(Path::new("/nonexistent"), &[(&setting.variable(), &value)]);
        assert_eq!(variable.as_ref(), Ok(&expected));
        let folder = Folder::with(
            &format!("each-{}", setting.name),
            &format!("{} = {value:?}\n", setting.name),
        );
        assert_eq!(load_in(&folder.0, &[]).as_ref(), Ok(&expected));
    }
}

#[test]
fn mistakes_on_the_command_line() {
    for (args, expected) in [
        (
            &["--http", "localhost"][..],
            &["--http localhost: expected HOST:PORT, such as 127.0.0.1:8081"][..],
        ),
        (
            &["--htpp", "x:1"],
            &["--htpp: there is no such flag; did you mean `--http`?"],
        ),
        (
            &["--help-me"],
            &["--help-me: there is no such flag; did you mean `--help`?"],
        ),
        (&["--xyzzy"], &["--xyzzy: there is no such flag"]),
        (&["-x"], &["-x: there is no such flag; see --help"]),
        (
            &["--http"],
            &["--http: its value is missing: expected ADDR"],
        ),
        (
            &["--http", "--admin", "127.0.0.1:1"],
            &["--http: its value is missing: expected ADDR"],
        ),
        (
            &["--config"],
            &["--config: its value is missing: expected FILE"],
        ),
        (&["--data="], &["--data : expected a folder"]),
        (
            &["--node", "a", "--node", "b"],
            &["--node: it is given twice"],
        ),
        (
            &["--nodes", "17"],
            &["--nodes 17: expected a whole number from 1 to 16"],
        ),
        (
            &["--nodes", "-1"],
            &["--nodes -1: expected a whole number from 1 to 16"],
        ),
        (
            &["--replicas", "x"],
            &["--replicas x: expected a whole number from 0 to 100"],
        ),
        (
            &["--log", "kafka://me:secret@h:1"],
            &["--log kafka://…@h:1: expected HOST:PORT"],
        ),
        (
            &["--coordinator", "zookeeper://me:secret@h:x/r"],
            &["--coordinator zookeeper://…@h:x/r: expected HOST or HOST:PORT"],
        ),
        (
            &["--serve", "0-"],
            &["--serve 0-: expected numbers of partitions from 0 to 4095"],
        ),
        (
            &["--json-depth-max", "128"],
            &["--json-depth-max 128: expected a whole number from 1 to 127"],
        ),
        (
            &["--cluster", "a b"],
            &["--cluster a b: expected 1 to 128 letters"],
        ),
        (
            &["--log-level", "inof"],
            &["--log-level inof: expected one of off, error"],
        ),
        (
            &["surplus"],
            &[
                "surplus: expected flags, or all of SYSTEM PEER_PORT HOST HTTP_PORT PARTITIONS SERVED",
            ],
        ),
        (
            &["--nodes", "0", "--bogus", "1", "--ack", "never"],
            &[
                "--bogus: there is no such flag",
                "--nodes 0: expected",
                "--ack never: expected `all` or `leader`",
            ],
        ),
    ] {
        let lines = wrong_lines(load(args));
        assert_eq!(lines.len(), expected.len(), "{args:?}: {lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{args:?}: {line}");
        }
    }
}

#[test]
fn a_secret_is_never_shown() {
    for args in [
        &["--log", "kafka://me:hunter2@h"][..],
        &["kafka://me:hunter2@h"],
        &["--nodes", "x://me:hunter2@h"],
        &["--coordinator", "zookeeper://me:hunter2@h:x"],
        &["--coordinator", "zookeeper://me:hunter2@h", "--nodes", "0"],
    ] {
        let text = wrong(load(args));
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn mistakes_in_the_file_name_their_line() {
    for (at, (text, expected)) in [
        (
            "# first\nhtpp = \"x\"\n",
            "memgen.toml:2: htpp: there is no such setting; did you mean `http`?",
        ),
        (
            "\n\nnodes = 17\n",
            "memgen.toml:3: nodes = 17: expected a whole number from 1 to 16",
        ),
        (
            "nodes = \"two\"\n",
            "memgen.toml:1: nodes = two: expected a whole number from 1 to 16",
        ),
        (
            "nodes = 1.5\n",
            "memgen.toml:1: nodes: expected a string, a whole number, or a list of them",
        ),
        (
            "nodes = true\n",
            "memgen.toml:1: nodes: expected a string, a whole number, or a list of them",
        ),
        (
            "serve = [[0]]\n",
            "memgen.toml:1: serve: expected a string, a whole number, or a list of them",
        ),
        (
            "queue-max = 1\nqueue_max = 2\n",
            "memgen.toml:2: queue-max: it is set twice in this file",
        ),
        (
            "[limits]\nqueue-max = 1\n",
            "memgen.toml:1: limits: there are no tables but `kafka`: settings stand at the top level",
        ),
        ("http = \n", "memgen.toml:1: "),
        ("a = 1\na = 2\n", "memgen.toml:2: "),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = Folder::with(&format!("mistake-{at}"), text);
        let lines = wrong_lines(load_in(&folder.0, &[], &[]));
        assert_eq!(lines.len(), 1, "{text:?}: {lines:#?}");
        assert!(lines[0].starts_with(expected), "{text:?}: {}", lines[0]);
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let folder = Folder::with("all", "nodes = 17\ntypo = 1\n");
    let variables = [("MEMGEN_HTTP", "x"), ("MEMGEN_REPLICAS", "-2")];
    let text = wrong(load_in(
        &folder.0,
        &["--ack", "never", "--bogus"],
        &variables,
    ));
    assert!(text.starts_with("graph: 6 settings are wrong:\n"), "{text}");
    for expected in [
        "--bogus: ",
        "memgen.toml:2: typo: ",
        "MEMGEN_HTTP=x: ",
        "MEMGEN_REPLICAS=-2: ",
        "memgen.toml:1: nodes = 17: ",
        "--ack never: ",
    ] {
        assert!(
            text.contains(&format!("\n  {expected}")),
            "{expected} in {text}"
        );
    }
    assert!(text.contains("graph --help"), "{text}");
}

#[test]
fn values_in_the_file_may_have_their_own_types() {
    let folder = Folder::with(
        "types",
        "serve = [0, 2, \"4-5\"]\nqueue-max = 1_000\nbody-bytes-max = 0x400\ngroup-bytes-max = \"2MiB\"\n",
    );
    let config = load_in(&folder.0, &[], &[]).unwrap();
    assert_eq!(config.serve, Some(BTreeSet::from([0, 2, 4, 5])));
    assert_eq!(
        (
            config.limits.queue_max,
            config.limits.body_bytes_max,
            config.limits.group_bytes_max
        ),
        (1000, 1024, 2 << 20)
    );
}

#[test]
fn the_file_can_be_named() {
    let folder = Folder::with("named", "nodes = 2\n");
    fs::write(folder.0.join("one.toml"), "nodes = 3").unwrap();
    fs::write(folder.0.join("two.toml"), "nodes = 4").unwrap();
    let nodes = |args: &[&str], variables: &[(&str, &str)]| {
        load_in(&folder.0, args, variables).unwrap().nodes
    };
    assert_eq!(nodes(&[], &[]), 2);
    assert_eq!(nodes(&[], &[("MEMGEN_CONFIG", "one.toml")]), 3);
    assert_eq!(
        nodes(&["--config", "two.toml"], &[("MEMGEN_CONFIG", "one.toml")]),
        4
    );
    for (args, expected) in [
        (
            ["--config", "none.toml"],
            "--config none.toml: the file can't be read: ",
        ),
        (["--config", ""], "--config : expected a file"),
    ] {
        let lines = wrong_lines(load_in(&folder.0, &args, &[]));
        assert!(lines[0].starts_with(expected), "{lines:?}");
    }
    fs::write(folder.0.join("long.toml"), "#".repeat(2 << 20)).unwrap();
    assert!(wrong(load_in(&folder.0, &["--config", "long.toml"], &[])).contains("too long"));
    fs::write(folder.0.join("binary.toml"), [0xff, 0xfe]).unwrap();
    assert!(wrong(load_in(&folder.0, &["--config", "binary.toml"], &[])).contains("UTF-8"));
}

#[test]
fn the_positional_form() {
    let form = ["ExampleSystem", "2551", "127.0.0.1", "8090", "4", "0,1,2,3"];
    let config = load(&form).unwrap();
    assert_eq!(config.cluster, "ExampleSystem");
    assert_eq!(config.peer.to_string(), "127.0.0.1:2551");
    assert_eq!(config.http.to_string(), "127.0.0.1:8090");
    assert_eq!(config.partitions, Some(4));
    assert_eq!(config.serve, Some(BTreeSet::from([0, 1, 2, 3])));
    let with_flags = [&["--data", "/x"], &form[..], &["--ack", "os"]].concat();
    let config = load(&with_flags).unwrap();
    assert_eq!(
        (config.data, config.ack.all),
        (PathBuf::from("/x"), vec![Ack::Os])
    );
    let over_variables = load_in(
        Path::new("/nonexistent"),
        &form,
        &[("MEMGEN_CLUSTER", "other")],
    )
    .unwrap();
    assert_eq!(over_variables.cluster, "ExampleSystem");
    let six = load(&["a", "1", "::1", "2", "1", "0"]).unwrap();
    assert_eq!(six.http.to_string(), "[::1]:2");
}

#[test]
fn mistakes_in_the_positional_form() {
    for (args, expected) in [
        ("a 1 h", &["a 1 h: expected flags, or all of"][..]),
        (
            "a 1 127.0.0.1 2 4 0 7",
            &["a 1 127.0.0.1 2 4 0 7: expected flags, or all of"],
        ),
        (
            "a x 127.0.0.1 y 4 0",
            &[
                "PEER_PORT x: expected a whole number",
                "HTTP_PORT y: expected a whole number",
            ],
        ),
        (
            "a 1 127.0.0.1 2 0 0",
            &["PARTITIONS 0: expected a whole number from 1 to 4096"],
        ),
        (
            "a 1 127.0.0.1 2 4097 0",
            &["PARTITIONS 4097: expected a whole number from 1 to 4096"],
        ),
        (
            "a 1 127.0.0.1 2 4 0,4",
            &["SERVED 0,4: there is no partition 4: the 4 partitions are 0 to 3"],
        ),
        (
            "a 1 127.0.0.1 2 4 x",
            &["SERVED x: expected numbers of partitions"],
        ),
        (
            "a/b 1 127.0.0.1 2 4 0",
            &["SYSTEM a/b: expected 1 to 128 letters"],
        ),
        (
            "a 1 127.0.0.1 2 4 0 --http 127.0.0.1:3",
            &["--http: HOST HTTP_PORT of the positional form already says it"],
        ),
        (
            "--serve 0 a 1 127.0.0.1 2 4 0 --cluster c --peer 127.0.0.1:3",
            &[
                "--cluster: SYSTEM of the",
                "--peer: HOST PEER_PORT of the",
                "--serve: SERVED of the",
            ],
        ),
    ] {
        let args: Vec<&str> = args.split(' ').collect();
        let lines = wrong_lines(load(&args));
        assert_eq!(lines.len(), expected.len(), "{args:?}: {lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{args:?}: {line}");
        }
    }
}

#[test]
fn settings_that_do_not_fit_together() {
    for (args, expected) in [
        (
            "--http 127.0.0.1:9081",
            Some(
                "admin 127.0.0.1:9081 (the default): `http` and `admin` would listen on one port, 9081",
            ),
        ),
        (
            "--http 0.0.0.0:7081",
            Some("peer 127.0.0.1:7081 (the default): `http` and `peer` would listen on one port"),
        ),
        ("--http 127.0.0.2:9081", None),
        (
            "--http 127.0.0.1:0 --admin 127.0.0.1:0 --peer 127.0.0.1:0 --nodes 16",
            None,
        ),
        ("--nodes 16", None),
        (
            "--peer 0.0.0.0:7081 --log kafka://k:9092 --coordinator zookeeper://z:2181",
            Some("--peer 0.0.0.0:7081: other nodes can't reach this address: say by --advertise"),
        ),
        (
            "--peer 0.0.0.0:7081 --log kafka://k:9092 --coordinator zookeeper://z:2181 --advertise node-7",
            None,
        ),
        ("--peer 0.0.0.0:7081", None),
        (
            "--peer-tls-cert a --peer-tls-ca b",
            Some("--peer-tls-cert a: TLS between nodes also takes `peer-tls-key`"),
        ),
        ("--peer-tls-cert a --peer-tls-ca b --peer-tls-key c", None),
        (
            "--nodes 2 --http 127.0.0.1:65535",
            Some("--http 127.0.0.1:65535: with 2 nodes, the last one would listen"),
        ),
        ("--nodes 1 --http 127.0.0.1:65535", None),
        (
            "--nodes 3 --http 127.0.0.1:8081 --peer 127.0.0.1:8083",
            Some(
                "--http 127.0.0.1:8081: `peer` and `http` would listen on one port, 8083: `peer` of node 1 and `http` of node 3",
            ),
        ),
        (
            "--nodes 2 --serve 0",
            Some("--serve 0: the nodes of one process share the partitions"),
        ),
        (
            "--coordinator zookeeper://me:secret@h",
            Some(
                "--coordinator zookeeper://…@h: the nodes of a cluster need a log that they share",
            ),
        ),
        (
            "--list-limit-default 50 --list-limit-max 49",
            Some("--list-limit-default 50: it is more than list-limit-max, 49"),
        ),
        (
            "--list-limit-max 99",
            Some("list-limit-default 100 (the default): it is more than list-limit-max, 99"),
        ),
    ] {
        let args: Vec<&str> = args.split(' ').collect();
        match expected {
            None => assert!(load(&args).is_ok(), "{args:?}: {:?}", load(&args)),
            Some(expected) => {
                let lines = wrong_lines(load(&args));
                assert!(
                    lines.len() == 1 && lines[0].starts_with(expected),
                    "{args:?}: {lines:#?}"
                );
            }
        }
    }
}

#[test]
fn nodes_of_one_process_differ() {
    let config = load(&["--nodes", "2", "--admin", "127.0.0.1:0"]).unwrap();
    let (first, second) = (config.node_at(0), config.node_at(1));
    assert_eq!((first.node.as_str(), second.node.as_str()), ("1", "2"));
    assert_eq!((first.http.port(), second.http.port()), (8081, 8082));
    assert_eq!((first.peer.port(), second.peer.port()), (7081, 7082));
    assert_eq!((first.admin.port(), second.admin.port()), (0, 0));
    assert_eq!(
        load(&["--nodes", "2", "--node", "a"])
            .unwrap()
            .node_at(1)
            .node,
        "a-2"
    );
    assert_eq!(load(&["--node", "a"]).unwrap().node_at(0).node, "a");

    let cluster = Config {
        coordinator: CoordinatorChoice::ZooKeeper("zookeeper://h".parse().unwrap()),
        nodes: 2,
        ..Config::default()
    };
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy();
    assert_eq!(cluster.node_at(1).node, format!("{host}-7082"));
    let named = Config {
        node: Some("a".to_owned()),
        ..cluster.clone()
    };
    assert_eq!(named.node_at(1).node, "a-2");
    let any_port = Config {
        peer: "127.0.0.1:0".parse().unwrap(),
        ..cluster
    };
    let expected = format!("{host}-{}-2", std::process::id());
    assert_eq!(any_port.node_at(1).node, expected);
}

#[test]
fn help_and_version_are_asked_for() {
    for args in [&["--help"][..], &["-h"], &["--nodes", "99", "--help"]] {
        let Err(Stop::Asked(text)) = load(args) else {
            panic!("{args:?}")
        };
        assert!(
            text.lines().all(|line| line.chars().count() <= 100),
            "{text}"
        );
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for setting in settings::SETTINGS {
            assert!(
                text.contains(&format!("--{} <{}>", setting.name, setting.value)),
                "{}",
                setting.name
            );
            assert!(
                text.contains(&format!("[env: {}]", setting.variable())),
                "{}",
                setting.name
            );
        }
        for expected in [
            "[default: 127.0.0.1:8081]",
            "[default: graph]",
            "[default: 1MiB]",
            "memgen.toml",
            "SYSTEM PEER_PORT",
            "Limits:",
        ] {
            assert!(text.contains(expected), "{expected} in\n{text}");
        }
    }
    for args in [["--version"], ["-V"]] {
        let expected = format!("graph 0.1.0 (memgen {})\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(load(&args), Err(Stop::Asked(expected)));
    }
}

#[test]
fn what_is_likely_not_meant_is_warned_of() {
    for (args, variables, expected) in [
        (
            &["--admin", "0.0.0.0:9081"][..],
            &[][..],
            Some("--admin 0.0.0.0:9081 is not on loopback"),
        ),
        (&["--admin", "[::1]:9081"], &[], None),
        (
            &[],
            &[("MEMGEN_HTPP", "x")],
            Some("the variable MEMGEN_HTPP sets nothing; did you mean `MEMGEN_HTTP`?"),
        ),
        (
            &[],
            &[("MEMGEN_SESION_TIMEOUT_MS", "x")],
            Some(
                "the variable MEMGEN_SESION_TIMEOUT_MS sets nothing; did you mean `MEMGEN_SESSION_TIMEOUT_MS`?",
            ),
        ),
        (&[], &[("MEMGENX", "x")], None),
    ] {
        let config = load_in(Path::new("/nonexistent"), args, variables).unwrap();
        match expected {
            None => assert_eq!(config.warnings, [] as [&str; 0]),
            Some(expected) => assert!(
                config.warnings[0].starts_with(expected),
                "{:?}",
                config.warnings
            ),
        }
    }
}

#[test]
fn connections_are_bounded_by_both_limits() {
    let config = load(&["--connections-max", "1"]).unwrap();
    assert_eq!(config.connections_allowed(), 1);
    let many = load(&["--connections-max", "1000000", "--nodes", "16"]).unwrap();
    let one = load(&["--connections-max", "1000000"]).unwrap();
    assert!(
        many.connections_allowed() >= 1 && many.connections_allowed() <= one.connections_allowed()
    );
}

#[cfg(unix)]
#[test]
fn bytes_that_are_no_text_are_refused_without_a_panic() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};
    let bytes = || OsString::from_vec(vec![b'-', b'-', 0xff]);
    let sources = Sources {
        args: vec![bytes(), "--http".into(), OsString::from_vec(vec![0xff])],
        variables: vec![
            ("MEMGEN_HTTP".into(), bytes()),
            (OsString::from_vec(vec![0xff]), bytes()),
        ],
        folder: PathBuf::new(),
    };
    let text = wrong(Config::from_sources("graph", "0.1.0", &sources));
    assert!(
        text.contains("UTF-8") && text.contains("MEMGEN_HTTP: it is not valid UTF-8"),
        "{text}"
    );
}
