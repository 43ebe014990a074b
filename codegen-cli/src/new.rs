//! `memgen new`: a project that builds, runs and tests itself.

use std::{
    fs,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    cli::Failure,
    diagnostic::Diagnostics,
    exit::Exit,
    generate,
    scaffold::{self, Scaffold, Template},
    ui::{Ui, count},
};

/// What project, and where.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// The name of the project: that of its crate, and of its folder.
    name: Option<String>,
    /// What it begins as.
    #[arg(long, value_name = "TEMPLATE")]
    template: Option<Template>,
    /// The folder to make; otherwise one of the project's name.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    source: generate::Source,
    /// Asks nothing, also on a terminal.
    #[arg(long, short)]
    yes: bool,
}

/// Makes it.
///
/// # Errors
/// If the name is none for a crate, the folder is in use, or can't be written.
pub fn run(ui: Ui, options: &Options) -> Result<Exit, Failure> {
    let ask = !options.yes && io::stdin().is_terminal() && io::stderr().is_terminal();
    let name = match &options.name {
        Some(name) => name.clone(),
        None if ask => inquire::Text::new("Name of the project:")
            .with_validator(|name: &str| {
                Ok(match generate::check_package_name(name) {
                    Ok(()) => inquire::validator::Validation::Valid,
                    Err(why) => inquire::validator::Validation::Invalid(why.into()),
                })
            })
            .prompt()?,
        None => {
            ui.error("the name of the project is missing: `memgen new NAME`");
            return Ok(Exit::Usage);
        }
    };
    if let Err(why) = generate::check_package_name(&name) {
        ui.error(why);
        return Ok(Exit::Usage);
    }
    let template = match options.template {
        Some(template) => template,
        None if ask => {
            let choices = [
                "service: a state in annotated Rust",
                "openapi: the service of an OpenAPI document",
                "graph: entities that refer to one another",
            ];
            let chosen =
                inquire::Select::new("What does it begin as?", choices.to_vec()).raw_prompt()?;
            [Template::Service, Template::Openapi, Template::Graph][chosen.index]
        }
        None => Template::Service,
    };
    let folder = options.dir.clone().unwrap_or_else(|| PathBuf::from(&name));
    if in_use(&folder)? {
        return Err(format!(
            "{} is there already, and not empty: give another name, or another folder by --dir",
            folder.display()
        )
        .into());
    }
    let scaffold = Scaffold::render(template, &name, options.source.dependency().into());
    let files = scaffold
        .files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()));
    let remembered = scaffold.to_text();
    for (path, text) in files.chain([(scaffold::PATH, remembered.as_str())]) {
        write(&folder.join(path), text)?;
    }
    let mut files = scaffold.files.len() + 1;
    if template == Template::Openapi {
        files += generate_into(ui, &folder, &name, &options.source)?;
    }
    ui.step(
        "Created",
        format_args!("{} in {}", count(files, "file"), folder.display()),
    );
    let first = match template {
        Template::Openapi => "memgen dev openapi.yaml",
        Template::Service | Template::Graph => "cargo run",
    };
    ui.step("Next", format_args!("cd {} && {first}", folder.display()));
    Ok(Exit::Done)
}

/// Generates what the project's document says.
fn generate_into(
    ui: Ui,
    folder: &Path,
    name: &str,
    source: &generate::Source,
) -> Result<usize, Failure> {
    let mut diagnostics = Diagnostics::default();
    let options = generate::Options {
        out: folder.to_owned(),
        name: Some(name.to_owned()),
        overlay: None,
        source: source.clone(),
        force: false,
    };
    let document = folder.join(scaffold::DOCUMENT);
    let (sources, generated) = generate::generate(&document, &options, &mut diagnostics)?;
    ui.diagnostics(&sources, &diagnostics);
    let generated = generated.ok_or("the document of the template has errors")?;
    generated.plan.apply()?;
    Ok(generated.plan.changes.len())
}

fn in_use(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)?;
    Ok(())
}
