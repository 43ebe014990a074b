//! Paths as they are seen from a folder: the same on each machine that has the same files.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

/// How a path is written in a file of this folder: with `/`, and relative.
#[must_use]
pub fn relative(folder: &Path, path: &Path) -> String {
    let (folder, path) = (real(folder), real(path));
    let shared = folder
        .components()
        .zip(path.components())
        .take_while(|(one, other)| one == other)
        .count();
    let up = folder.components().skip(shared).map(|_| "..".into());
    let down = path
        .components()
        .skip(shared)
        .map(|part| part.as_os_str().to_string_lossy());
    let parts: Vec<_> = up.chain(down).collect();
    if parts.is_empty() {
        return ".".to_owned();
    }
    parts.join("/")
}

/// Without links and dots, also if the end of it is not there yet.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    if let Ok(real) = fs::canonicalize(&absolute) {
        return real;
    }
    let beside = match (absolute.parent(), absolute.components().next_back()) {
        (Some(parent), Some(Component::Normal(name))) => real(parent).join(name),
        (Some(parent), Some(Component::ParentDir)) => {
            let mut real = real(parent);
            real.pop();
            real
        }
        _ => absolute,
    };
    fs::canonicalize(&beside).unwrap_or(beside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_seen_from_the_folder() {
        let there = tempfile::tempdir().unwrap();
        let root = there.path();
        fs::create_dir_all(root.join("api/v1")).unwrap();
        fs::write(root.join("api/v1/openapi.yaml"), "").unwrap();
        std::os::unix::fs::symlink(root.join("api"), root.join("link")).unwrap();
        let rows = [
            ("api/v1", "api/v1/openapi.yaml", "openapi.yaml"),
            ("api/v1/", "link/v1/openapi.yaml", "openapi.yaml"),
            ("api", "api/v1/openapi.yaml", "v1/openapi.yaml"),
            // Of what is not there yet, too.
            (
                "new/crate",
                "api/v1/openapi.yaml",
                "../../api/v1/openapi.yaml",
            ),
            ("new/../link", "api/./v1/none.yaml", "v1/none.yaml"),
            ("api", "api", "."),
            ("api/v1", "api", ".."),
        ];
        for (folder, path, expected) in rows {
            let found = relative(&root.join(folder), &root.join(path));
            assert_eq!(found, expected, "{folder} {path}");
        }
    }
}
