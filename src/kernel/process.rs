//! What a process asks the kernel about itself.

#![allow(unsafe_code)]

use nix::sys::signal::{SigHandler, Signal, signal};

/// Lets the process die of SIGPIPE like every Unix tool, so that `flannelctl leases | head` is no error.
/// For commands; the agent must survive a closed log pipe.
pub fn die_of_broken_pipe() {
    // SAFETY: the default disposition is installed, no handler code of ours runs.
    let result = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    if let Err(error) = result {
        tracing::debug!("SIGPIPE stays ignored: {error}");
    }
}
