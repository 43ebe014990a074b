//! What a service is asked instead of serving.

use super::*;
use crate::log::TopicPartition;

#[track_caller]
fn task(result: Result<Config, Stop>) -> Task {
    match result {
        Err(Stop::Task(task)) => task,
        other => panic!("expected a task, got {other:?}"),
    }
}

#[test]
fn layouts_are_asked_for_whatever_the_settings_are() {
    let folder = Folder::with("tasks", "http = 'nowhere'\n");
    let variables = [("MEMGEN_ADMIN", "nowhere")];
    let ask = |args: &[&str]| load_in(&folder.0, args, &variables);
    assert_eq!(task(ask(&["--print-layouts"])), Task::PrintLayouts);
    let file = |path: &str| Task::CheckLayouts(path.into());
    assert_eq!(task(ask(&["--check-layouts", "a/b"])), file("a/b"));
    assert_eq!(task(ask(&["--check-layouts=-"])), file("-"));
    // The log is found by the settings, so these have to be right.
    let said = wrong(ask(&["--check-log"]));
    assert!(said.contains("nowhere"), "{said}");
}

#[test]
fn the_log_to_check_is_that_of_the_settings() {
    let asked = task(load(&["--check-log", "--data", "/some/where"]));
    let Task::WithLog(LogTask::Check, config) = asked else {
        panic!("{asked:?}");
    };
    assert_eq!(config.data, Path::new("/some/where"));
}

#[test]
fn what_can_be_asked_about_a_log() {
    let partition = || TopicPartition::new("vertex", 3);
    let rows: &[(&[&str], LogTask)] = &[
        (&["--dump-log", "vertex/3"], LogTask::Dump(partition())),
        (
            &["--verify-log", "vertex/3"],
            LogTask::Verify(partition(), None),
        ),
        (
            &["--verify-log=vertex/3@17"],
            LogTask::Verify(partition(), Some(17)),
        ),
        (&["--create-topics"], LogTask::CreateTopics),
        (&["--check-topics"], LogTask::CheckTopics),
    ];
    for (args, expected) in rows {
        let Task::WithLog(asked, _) = task(load(args)) else {
            panic!("{args:?} takes a log");
        };
        assert_eq!(asked, *expected, "{args:?}");
    }
}

#[test]
fn mistakes_beside_a_task_are_said() {
    let rows: &[(&[&str], &str)] = &[
        (&["--print-layouts", "--htp", "1"], "--htp"),
        (&["--check-layouts"], "--check-layouts"),
        (&["--check-lock"], "`--check-log`"),
        (&["--check-log=yes"], "--check-log: it takes no value"),
        (
            &["--dump-log"],
            "--dump-log: its value is missing: expected TOPIC/PARTITION",
        ),
        (
            &["--dump-log", "vertex"],
            "--dump-log: `vertex` is no partition",
        ),
        (
            &["--verify-log", "vertex/0@end"],
            "--verify-log: `end` is no position",
        ),
        (
            &["--check-log", "--check-topics"],
            "--check-topics: the service does one thing at a time",
        ),
    ];
    for (args, part) in rows {
        let said = wrong(load(args));
        assert!(said.contains(part), "{args:?}: {said}");
    }
}
