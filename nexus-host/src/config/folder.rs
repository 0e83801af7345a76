//! The one rule for relative paths: receives a path as the configuration writes it, hands on the
//! path it means. It never looks at the file system.

use std::path::{Path, PathBuf};

/// Where relative paths in the configuration start: the config file's folder, or the working
/// directory when there is no file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn of_file(file: &Path) -> Self {
        Self(file.parent().map(Path::to_path_buf).unwrap_or_default())
    }

    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        self.0.join(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_start_at_the_files_folder() {
        let folder = Folder::of_file(Path::new("etc/nexus.toml"));
        assert_eq!(folder.resolve(Path::new("p")), Path::new("etc/p"));
        assert_eq!(folder.resolve(Path::new("/p")), Path::new("/p"));
        let here = Folder::of_file(Path::new("nexus.toml"));
        assert_eq!(here.resolve(Path::new("p")), Path::new("p"));
        assert_eq!(Folder::default().resolve(Path::new("p")), Path::new("p"));
    }
}
