//! Versions of one service `vertices`: programs of one package, so that they share `memgen.layouts`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Folder, project};

/// The fields of a first version, which later ones add to.
pub const FIRST: &str = "
    pub rank: String,
    #[serde(default, skip_serializing_if = \"Option::is_none\")]
    pub note: Option<String>,";

/// The package of a service with a state `Vertex`, in a folder of its own.
#[derive(Debug)]
pub struct Versions(Folder);

impl Versions {
    /// Versions by name: the attributes of the state, its fields, and other items.
    #[must_use]
    pub fn new(versions: &[(&str, &str, &str, &str)]) -> Self {
        let folder = Folder::new();
        let manifest = format!(
            "[package]\nname = \"vertices\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\nmemgen = {{ path = {:?} }}\n\
             schemars = \"1\"\nserde = {{ version = \"1\", features = [\"derive\"] }}\n\n[workspace]\n",
            project::runtime()
        );
        fs::write(folder.path().join("Cargo.toml"), manifest).expect("the folder is writable");
        // What the repository builds with.
        let lock = project::repository().join("Cargo.lock");
        fs::copy(lock, folder.path().join("Cargo.lock")).expect("the folder is writable");
        let programs = folder.path().join("src/bin");
        fs::create_dir_all(&programs).expect("the folder is writable");
        for (name, attributes, fields, items) in versions {
            let text = format!(
                "use memgen::prelude::*;\n\n/// A vertex.\n#[stateful_api(path = \"/vertex\", crud(get, put, list), partitions = 2)]\n{attributes}\n\
                 #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]\npub struct Vertex {{\n    #[key]\n    pub id: u32,{fields}\n}}\n\n\
                 {items}\n\nmemgen::main!(Vertex);\n"
            );
            fs::write(programs.join(format!("{name}.rs")), text).expect("the folder is writable");
        }
        Self(folder)
    }

    /// Where the package is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Builds all versions, and keeps their programs.
    pub fn build(&self) {
        let built = project::cargo(self.folder(), &["build", "--quiet", "--bins"]);
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{said}");
    }

    /// The program of a version that was built before.
    #[must_use]
    pub fn program(&self, version: &str) -> PathBuf {
        let built = project::target().join("debug").join(version);
        // The next test's version of that name would take its place.
        let own = self.0.path().join("built").join(version);
        if !own.exists() {
            fs::create_dir_all(self.0.path().join("built")).expect("the folder is writable");
            fs::copy(built, &own).expect("the folder is writable");
        }
        own
    }
}
