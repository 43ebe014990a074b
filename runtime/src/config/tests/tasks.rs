//! What a service is asked instead of serving.

use super::*;

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
    let Task::CheckLog(config) = asked else {
        panic!("{asked:?}");
    };
    assert_eq!(config.data, Path::new("/some/where"));
}

#[test]
fn mistakes_beside_a_task_are_said() {
    let rows: &[(&[&str], &str)] = &[
        (&["--print-layouts", "--htp", "1"], "--htp"),
        (&["--check-layouts"], "--check-layouts"),
        (&["--check-lock"], "`--check-log`"),
    ];
    for (args, part) in rows {
        let said = wrong(load(args));
        assert!(said.contains(part), "{args:?}: {said}");
    }
}
