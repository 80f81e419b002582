//! Files that others read at any moment: written whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {op} {}: {source}", path.display())]
pub struct FileError {
    op: &'static str,
    path: PathBuf,
    /// The kernel's reason.
    pub source: io::Error,
}

impl FileError {
    /// `op` is a verb: "read", "create".
    pub fn new(op: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            op,
            path: path.to_owned(),
            source,
        }
    }
}

/// Replaces `path` atomically: temporary file in the same folder, fsync, `mode` whatever the umask, rename.
///
/// # Errors
/// Names the step and the path; the old file is then untouched.
pub fn write_atomic(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let temporary = folder.join(name);
    let result = write_new(&temporary, contents, mode)
        .and_then(|()| fs::rename(&temporary, path).map_err(|e| FileError::new("replace", path, e)))
        .and_then(|()| sync_folder(folder));
    if result.is_err() {
        // What matters is the first error; a temporary file that was never made cannot be removed.
        drop(fs::remove_file(&temporary));
    }
    result
}

fn write_new(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    let mut file = File::create(path).map_err(|e| FileError::new("create", path, e))?;
    file.write_all(contents)
        .map_err(|e| FileError::new("write", path, e))?;
    file.set_permissions(Permissions::from_mode(mode))
        .map_err(|e| FileError::new("set the mode of", path, e))?;
    file.sync_all()
        .map_err(|e| FileError::new("write", path, e))
}

fn sync_folder(folder: &Path) -> Result<(), FileError> {
    let sync = || File::open(folder)?.sync_all();
    sync().map_err(|e| FileError::new("write", folder, e))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn replaces_whole_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("subnet.env");
        write_atomic(&path, b"one", 0o644).unwrap();
        write_atomic(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_names_the_path() {
        let error = write_atomic(Path::new("/proc/no/such"), b"x", 0o644).unwrap_err();
        assert!(error.to_string().contains("/proc/no/"), "{error}");
    }
}
