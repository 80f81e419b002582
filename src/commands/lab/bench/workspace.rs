//! Where the hosts' files are: a folder that ends with the run. The folder of a killed run is removed by the next.

use std::fs;
use std::path::{Path, PathBuf};

use crate::kernel::file::FileError;

const PARENT: &str = "/run/flannelctl-bench";

/// A folder of this process. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Workspace(PathBuf);

impl Workspace {
    /// A new, empty one.
    pub(super) fn new() -> Result<Self, FileError> {
        let parent = Path::new(PARENT);
        fs::create_dir_all(parent).map_err(|error| FileError::new("create", parent, error))?;
        remove_abandoned(parent);
        let own = parent.join(std::process::id().to_string());
        fs::create_dir(&own).map_err(|error| FileError::new("create", &own, error))?;
        Ok(Self(own))
    }

    /// A folder in it.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, FileError> {
        let path = self.0.join(name);
        fs::create_dir(&path).map_err(|error| FileError::new("create", &path, error))?;
        Ok(path)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
        // It stays while another run is in it.
        drop(fs::remove_dir(PARENT));
    }
}

/// Folders are named by the process that they belong to. What cannot be removed is in nobody's way.
fn remove_abandoned(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.parse::<u32>().ok());
        let runs = |pid: u32| {
            pid != std::process::id() && Path::new("/proc").join(pid.to_string()).exists()
        };
        if pid.is_some_and(|pid| !runs(pid)) {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}
