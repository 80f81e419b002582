//! Threads that block in a system call, and how they are called back: by a signal that does nothing but end the call.
//! It costs the thread nothing while it works, where a second descriptor to poll costs a system call a wake-up.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::thread::JoinHandleExt;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Ignored unless handled, and sent by the kernel only to who asked for it (`F_SETOWN`).
const SIGNAL: Signal = Signal::SIGURG;

/// How long one call is given before it is interrupted again: the first may have come just before it began.
const AGAIN: Duration = Duration::from_millis(1);

extern "C" fn nothing(_: libc::c_int) {}

/// Makes the signal end blocking calls (`EINTR`) of this process.
///
/// # Errors
/// The kernel's.
pub fn prepare() -> io::Result<()> {
    // Without SA_RESTART.
    let action = SigAction::new(
        SigHandler::Handler(nothing),
        SaFlags::empty(),
        SigSet::empty(),
    );
    // SAFETY: the handler does nothing, so it may run at any time; nothing else here handles the signal.
    unsafe { sigaction(SIGNAL, &action) }?;
    // A thread inherits what its parent blocks.
    let mut open = SigSet::empty();
    open.add(SIGNAL);
    Ok(open.thread_unblock()?)
}

/// Waits for the end of threads that look, before each call that may block, whether they are to end. A panic of
/// a thread is its own to report.
pub fn join(mut threads: Vec<JoinHandle<()>>) {
    // All at once: one may wait for another.
    loop {
        for ended in threads.extract_if(.., |thread| thread.is_finished()) {
            drop(ended.join());
        }
        if threads.is_empty() {
            return;
        }
        for thread in &threads {
            // SAFETY: the thread is not joined yet, so its handle is valid.
            unsafe { libc::pthread_kill(thread.as_pthread_t(), SIGNAL as libc::c_int) };
        }
        std::thread::sleep(AGAIN);
    }
}
