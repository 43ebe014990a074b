//! `memgen upgrade`: a project's scaffold and generated files as this version of memgen writes them, by a three-way merge.
//!
//! Base is the file as memgen wrote it then, ours what it is now, theirs what this version writes. A line of the user's is never lost: where both changed the
//! same lines, the file stays as it is, and the merge with its marks is put beside it.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    cli::Failure,
    diagnostic::Diagnostics,
    exit::Exit,
    files::Change,
    generate,
    lock::{self, Lock},
    scaffold::{self, Scaffold},
    ui::{Ui, count},
};

/// What is put beside a file that could not be merged.
const BESIDE: &str = "memgen-merge";

/// Which project, and how.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The folder of the project.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Writes nothing, and fails (4) if something would be written.
    #[arg(long, group = "mode")]
    check: bool,
    /// Writes nothing, and shows what would be.
    #[arg(long, group = "mode")]
    diff: bool,
}

/// What becomes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge {
    /// It stays as it is.
    Same,
    /// It becomes this.
    Write(String),
    /// Both sides changed the same lines: this has marks in it.
    Conflict(String),
    /// The user removed it, and the scaffold changed it.
    Removed,
}

/// Merges one file.
#[must_use]
pub fn merge(base: Option<&str>, ours: Option<&str>, theirs: Option<&str>) -> Merge {
    // A version control system may have given it other line ends than the scaffold's: they are no change, and stay.
    if let Some(text) = ours
        && is_dos(text)
    {
        let dos = |text: String| text.replace('\n', "\r\n");
        return match merge(base, Some(&text.replace("\r\n", "\n")), theirs) {
            Merge::Write(text) => Merge::Write(dos(text)),
            Merge::Conflict(text) => Merge::Conflict(dos(text)),
            same => same,
        };
    }
    match (base, ours, theirs) {
        // The scaffold has it no more: it is the user's now.
        (_, _, None) => Merge::Same,
        (_, ours, Some(theirs)) if ours == Some(theirs) => Merge::Same,
        (base, _, Some(theirs)) if base == Some(theirs) => Merge::Same,
        (Some(_), None, Some(_)) => Merge::Removed,
        (None, None, Some(theirs)) => Merge::Write(theirs.to_owned()),
        (base, Some(ours), Some(theirs)) => {
            if base == Some(ours) {
                return Merge::Write(theirs.to_owned());
            }
            match diffy::merge(base.unwrap_or_default(), ours, theirs) {
                Ok(merged) if merged == ours => Merge::Same,
                Ok(merged) => Merge::Write(merged),
                Err(marked) => Merge::Conflict(marked),
            }
        }
    }
}

/// Whether each line ends with CR LF.
fn is_dos(text: &str) -> bool {
    let lines = text.matches('\n').count();
    lines > 0 && text.matches("\r\n").count() == lines && text.matches('\r').count() == lines
}

/// Upgrades a project.
///
/// # Errors
/// If it is no project of `memgen new`, or can't be written.
pub fn run(ui: Ui, options: &Options) -> Result<Exit, Failure> {
    let base = Scaffold::read(&options.dir)?;
    let theirs = base.raised();
    let paths: BTreeSet<&String> = base.files.keys().chain(theirs.files.keys()).collect();
    let (mut changes, mut conflicts) = (Vec::new(), Vec::new());
    for path in paths {
        let ours = read(&options.dir.join(path))?;
        let of = |scaffold: &'_ Scaffold| scaffold.files.get(path).cloned();
        match merge(
            of(&base).as_deref(),
            ours.as_deref(),
            of(&theirs).as_deref(),
        ) {
            Merge::Same => {}
            Merge::Removed => ui.warning(format_args!("{path} was removed, and stays so")),
            Merge::Write(text) => changes.push(Change {
                path: path.clone(),
                before: ours,
                after: Some(text),
            }),
            Merge::Conflict(text) => {
                let beside = format!("{path}.{BESIDE}");
                if read(&options.dir.join(&beside))?.is_some_and(|there| there != text) {
                    return Err(format!(
                        "{beside} is left of another upgrade: merge {path} by hand, and remove it; nothing was written"
                    )
                    .into());
                }
                conflicts.push((beside, path.clone(), text));
            }
        }
    }
    if theirs != base {
        changes.push(Change {
            path: scaffold::PATH.to_owned(),
            before: Some(base.to_text()),
            after: Some(theirs.to_text()),
        });
    }
    let mut generated = generate_anew(ui, &options.dir, &base)?;
    let generated_changes = generated.iter().flat_map(|it| &it.plan.changes);
    let all: Vec<&Change> = changes.iter().chain(generated_changes).collect();
    let mut out = io::stdout().lock();
    for change in &all {
        if options.diff {
            write!(out, "{}", change.diff())?;
        } else if options.check {
            writeln!(out, "{change}")?;
        }
    }
    for (_, path, _) in &conflicts {
        ui.warning(format_args!(
            "{path} was changed here and in memgen at the same lines; it stays as it is"
        ));
    }
    if options.check || options.diff {
        // Where there is a conflict, what is remembered changes, too.
        return Ok(if options.check && !all.is_empty() {
            Exit::OutOfDate
        } else {
            Exit::Done
        });
    }
    // What can't be merged is put beside first: if something fails, nothing was forgotten.
    for (beside, _, text) in &conflicts {
        replace(&options.dir.join(beside), text)?;
    }
    for change in &changes {
        replace(
            &options.dir.join(&change.path),
            change.after.as_deref().unwrap_or_default(),
        )?;
    }
    if changes
        .iter()
        .any(|change| change.path == scaffold::DOCUMENT)
    {
        // What was merged is the document itself.
        generated = generate_anew(ui, &options.dir, &base)?;
    }
    let mut files = changes.len();
    if let Some(generated) = &generated {
        generated.plan.apply()?;
        files += generated.plan.changes.len();
    }
    let what = if files == 0 {
        "nothing: all files are up to date".to_owned()
    } else {
        format!("{} to memgen {}", count(files, "file"), theirs.memgen)
    };
    ui.step("Upgraded", what);
    if conflicts.is_empty() {
        return Ok(Exit::Done);
    }
    for (beside, path, _) in &conflicts {
        ui.error(format_args!(
            "merge {path} by hand: {beside} has both sides between marks; then remove it"
        ));
    }
    Ok(Exit::Failed)
}

/// The generated files, if the project has some.
fn generate_anew(
    ui: Ui,
    folder: &Path,
    base: &Scaffold,
) -> Result<Option<generate::Generated>, Failure> {
    let Some(text) = read(&folder.join(lock::PATH))? else {
        return Ok(None);
    };
    let lock = Lock::parse(&text)?;
    let mut diagnostics = Diagnostics::default();
    let options = generate::Options {
        out: folder.to_owned(),
        name: Some(base.name.clone()),
        overlay: lock.options.overlay.map(|overlay| folder.join(overlay)),
        source: generate::Source::default(),
        force: false,
    };
    let document = folder.join(&lock.document);
    let (sources, generated) = generate::generate(&document, &options, &mut diagnostics)?;
    ui.diagnostics(&sources, &diagnostics);
    match generated {
        Some(generated) => Ok(Some(generated)),
        None => Err(format!("{} has errors", document.display()).into()),
    }
}

fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display()).into()),
    }
}

/// Writes beside, then takes the place.
fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
    fs::write(&beside, text).map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_the_user_is_lost() {
        let base = "a\nb\nc\nd\ne\n";
        let rows = [
            // base, ours, theirs
            (
                Some(base),
                Some(base),
                Some("a\nB\nc\nd\ne\n"),
                Merge::Write("a\nB\nc\nd\ne\n".to_owned()),
            ),
            (
                Some(base),
                Some("a\nb\nc\nd\ne\nmine\n"),
                Some("A\nb\nc\nd\ne\n"),
                Merge::Write("A\nb\nc\nd\ne\nmine\n".to_owned()),
            ),
            (Some(base), Some("mine\n"), Some(base), Merge::Same),
            (
                Some(base),
                Some("a\nb\nc\nd\nE\n"),
                Some("a\nb\nc\nd\nE\n"),
                Merge::Same,
            ),
            (Some(base), None, Some("x\n"), Merge::Removed),
            (Some(base), None, Some(base), Merge::Same),
            (Some(base), Some("mine\n"), None, Merge::Same),
            (None, None, Some("new\n"), Merge::Write("new\n".to_owned())),
        ];
        for (base, ours, theirs, expected) in rows {
            assert_eq!(merge(base, ours, theirs), expected, "{ours:?} {theirs:?}");
        }
        for (base, ours, theirs) in [
            (Some(base), "a\nmine\nc\nd\ne\n", "a\ntheirs\nc\nd\ne\n"),
            (None, "mine\n", "theirs\n"),
        ] {
            let Merge::Conflict(marked) = merge(base, Some(ours), Some(theirs)) else {
                panic!("{ours:?} and {theirs:?} can't be merged");
            };
            assert!(
                marked.contains("mine") && marked.contains("theirs"),
                "{marked}"
            );
        }
    }

    #[test]
    fn other_line_ends_are_no_change() {
        let dos = |text: &str| text.replace('\n', "\r\n");
        let (base, theirs) = ("a\nb\nc\nd\ne\n", "a\nB\nc\nd\ne\n");
        let rows = [
            (dos(base), Merge::Write(dos(theirs))),
            (
                dos("a\nb\nc\nd\nmine\n"),
                Merge::Write(dos("a\nB\nc\nd\nmine\n")),
            ),
            (dos(theirs), Merge::Same),
            // Only the user's own line is different.
            (
                "a\nb\nc\nd\nmine\r\n".to_owned(),
                Merge::Write("a\nB\nc\nd\nmine\r\n".to_owned()),
            ),
        ];
        for (ours, expected) in rows {
            assert_eq!(
                merge(Some(base), Some(&ours), Some(theirs)),
                expected,
                "{ours:?}"
            );
        }
        let ours = dos("a\nmine\nc\nd\ne\n");
        let Merge::Conflict(marked) = merge(Some(base), Some(&ours), Some(theirs)) else {
            panic!("both changed the same line");
        };
        assert!(is_dos(&marked) && marked.contains("mine\r\n"), "{marked:?}");
    }

    /// Whatever both sides do: what the user wrote is in the file, or in the merge beside it while the file stays.
    #[test]
    fn chance_loses_no_line_of_the_user() {
        let mut random = fastrand::Rng::with_seed(4);
        for _ in 0..20_000 {
            let base: Vec<String> = (0..random.usize(..9))
                .map(|n| format!("line {n}"))
                .collect();
            let edit = |whose: &str, random: &mut fastrand::Rng| {
                let mut lines = base.clone();
                for n in 0..random.usize(..4) {
                    let at = random.usize(..=lines.len());
                    match random.u8(..3) {
                        0 => lines.insert(at, format!("{whose} {n}")),
                        1 if at < lines.len() => lines[at] = format!("{whose} {n}"),
                        _ if at < lines.len() => drop(lines.remove(at)),
                        _ => {}
                    }
                }
                lines
            };
            let text = |lines: &[String], end: &str| -> String {
                lines.iter().flat_map(|line| [line.as_str(), end]).collect()
            };
            let (ours, theirs) = (edit("mine", &mut random), edit("theirs", &mut random));
            let end = if random.bool() { "\r\n" } else { "\n" };
            let before = text(&ours, end);
            let (base, theirs) = (text(&base, "\n"), text(&theirs, "\n"));
            let merged = match merge(Some(&base), Some(&before), Some(&theirs)) {
                Merge::Same | Merge::Removed => before.clone(),
                Merge::Write(text) | Merge::Conflict(text) => text,
            };
            let found: Vec<&str> = merged.lines().collect();
            for line in ours.iter().filter(|line| line.starts_with("mine")) {
                assert!(
                    found.contains(&line.as_str()),
                    "{line}: {before:?} {base:?} {theirs:?} {merged:?}"
                );
            }
        }
    }
}
