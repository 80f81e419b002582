//! A refusal of the kernel, told so that an admin knows what to do: operation, object, cause.

use std::fmt;
use std::io;

use nix::errno::Errno;

/// What was asked of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// Open a netlink socket.
    Open,
    /// Read the state of something.
    Read,
    /// Listen for changes.
    Watch,
    /// Carry out a step of a plan; the object tells which.
    Apply,
    /// Carry out a step that only one peer depends on.
    ApplyPeer,
}

/// The kernel refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {}{object}: {cause}", .op.words())]
pub struct Error {
    /// What was asked.
    pub op: Op,
    /// Of what, in words (`set route 10.5.83.0/24 via 192.0.2.3`).
    pub object: String,
    /// Why not.
    pub cause: Cause,
}

/// Why the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// `EPERM`: the process lacks CAP_NET_ADMIN.
    NoPermission,
    /// The kernel has no VXLAN (module missing).
    NoVxlan,
    /// Anything else, with what the kernel adds in words (empty where it does not).
    Errno(Errno, String),
    /// No answer, or one that was lost in a full buffer; the truth shows at the next look.
    NoAnswer,
    /// An answer that is not netlink.
    Garbled,
}

impl Op {
    fn words(self) -> &'static str {
        match self {
            Op::Open => "open ",
            Op::Read => "read ",
            Op::Watch => "watch ",
            Op::Apply | Op::ApplyPeer => "",
        }
    }
}

impl Error {
    /// From the error of a system call.
    pub fn io(op: Op, object: impl Into<String>, error: &io::Error) -> Self {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        Self {
            op,
            object: object.into(),
            cause: Cause::from_errno(errno, String::new()),
        }
    }
}

impl Cause {
    /// From an errno and the kernel's own words.
    pub fn from_errno(errno: Errno, words: String) -> Self {
        match errno {
            Errno::EPERM | Errno::EACCES => Cause::NoPermission,
            errno => Cause::Errno(errno, words),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::NoPermission => {
                f.write_str("permission denied (needs root or the capability CAP_NET_ADMIN)")
            }
            Cause::NoVxlan => f.write_str("this kernel has no vxlan (try `modprobe vxlan`)"),
            Cause::Errno(errno, words) if words.is_empty() => f.write_str(errno.desc()),
            Cause::Errno(errno, words) => write!(f, "{} ({words})", errno.desc()),
            Cause::NoAnswer => f.write_str("the kernel's answer was lost"),
            Cause::Garbled => f.write_str("the kernel's answer cannot be read"),
        }
    }
}
