//! The lock of the lab's folder. All that the holder of a lab starts inherits it, so it is free when nothing of the lab
//! runs any more, however the holder ended.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// The lock's name in the folder.
pub const LOCK: &str = "lock";
/// A folder that goes away while it is taken is made again.
const TRIES: u32 = 5;

/// The lock, held until it is dropped and no process that inherited it runs.
#[derive(Debug)]
pub struct Lock {
    file: File,
    folder: PathBuf,
}

impl Lock {
    /// Takes it, and makes the folder if there is none; `None` while somebody else has it.
    ///
    /// # Errors
    /// The folder or the file cannot be made.
    pub fn try_take(folder: &Path) -> io::Result<Option<Self>> {
        let path = folder.join(LOCK);
        for _ in 0..TRIES {
            fs::create_dir_all(folder)?;
            let mut options = OpenOptions::new();
            let file = match options.create(true).append(true).open(&path) {
                // The folder went in between.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Who had it may have removed it with the folder: then it is nobody's lock.
            let own = file.metadata()?.ino();
            if fs::metadata(&path).is_ok_and(|found| found.ino() == own) {
                return Ok(Some(Self {
                    file,
                    folder: folder.to_owned(),
                }));
            }
        }
        // It is removed again and again.
        Ok(None)
    }

    /// From now on, what this process starts holds it too.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn share(&self) -> io::Result<()> {
        fcntl(&self.file, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(())
    }

    /// Removes all else in the folder.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn empty(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.ends_with(LOCK) {
                continue;
            }
            match path.is_dir() {
                true => fs::remove_dir_all(&path),
                false => fs::remove_file(&path),
            }?;
        }
        Ok(())
    }

    /// Removes the folder, and the lock with it.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn remove(self) -> io::Result<()> {
        self.empty()?;
        fs::remove_file(self.folder.join(LOCK))?;
        // From here on it may be somebody else's.
        match fs::remove_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_was_started_holds_it_and_nobody_takes_a_removed_one() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("lab");
        let lock = Lock::try_take(&folder).expect("made").expect("free");
        fs::create_dir(folder.join("node1")).expect("a folder");
        fs::write(folder.join("lab.json"), "{}").expect("a file");
        lock.share().expect("shared");
        let mut cat = Command::new("cat");
        let mut started = cat.stdin(Stdio::piped()).spawn().expect("cat");
        lock.empty().expect("emptied");
        assert_eq!(fs::read_dir(&folder).expect("there").count(), 1);
        drop(lock);
        assert!(Lock::try_take(&folder).expect("looked").is_none());
        drop(started.stdin.take());
        started.wait().expect("ended");
        let lock = Lock::try_take(&folder).expect("made").expect("free");
        lock.remove().expect("removed");
        assert!(!folder.exists());
        assert!(Lock::try_take(&folder).expect("made").is_some());
    }
}
