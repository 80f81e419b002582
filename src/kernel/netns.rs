//! Network namespaces by descriptor: work is done in one on a thread of its own, so that no other thread of
//! the process ever leaves its namespace. Whatever happens, the namespace of a killed process ends with it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use nix::sched::{CloneFlags, setns, unshare};

/// A thread's own namespace; unlike `/proc/self` it follows the thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace that lives at least as long as this.
#[derive(Debug, Clone)]
pub struct Netns {
    file: Arc<OwnedFd>,
    inode: u64,
}

impl PartialEq for Netns {
    fn eq(&self, other: &Self) -> bool {
        self.inode == other.inode
    }
}

impl Eq for Netns {}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Netns {
    /// The one of the calling thread.
    ///
    /// # Errors
    /// `/proc` is not mounted.
    pub fn own() -> io::Result<Self> {
        Self::open(Path::new(OWN))
    }

    /// The one that a file stands for: `/proc/PID/ns/net`, `/run/netns/NAME`.
    ///
    /// # Errors
    /// No such file, or another user's process without the capability.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let inode = file.metadata()?.ino();
        Ok(Self {
            file: Arc::new(file.into()),
            inode,
        })
    }

    /// A new, empty one. Ends when the last `Netns` of it and all sockets in it are gone.
    ///
    /// # Errors
    /// No CAP_SYS_ADMIN.
    pub fn create() -> io::Result<Self> {
        on_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Self::own()
        })?
    }

    /// Its number, equal for equal namespaces.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// For a netlink attribute.
    pub(super) fn raw(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// Does `work` in it, on another thread; waits for it.
    ///
    /// # Errors
    /// No CAP_SYS_ADMIN, or no thread to be had.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        on_thread(|| {
            setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        })?
    }
}

/// Does `work` on a thread that ends with it.
fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("netns".into())
            .spawn_scoped(scope, work)?
            .join()
            .map_err(|_| io::Error::other("the thread in the namespace panicked"))
    })
}
