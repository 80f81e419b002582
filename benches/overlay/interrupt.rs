//! SIGINT, SIGTERM and SIGHUP end the benchmark in order: the lab is taken down first.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, Signal};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on these signals only set what [`seen`] tells. To be called before any thread is started.
pub fn watch() -> nix::Result<()> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    // Blocked here and in all threads to come. Children start with nothing blocked.
    signals.thread_block()?;
    std::thread::spawn(move || {
        while signals.wait().is_ok() {
            INTERRUPTED.store(true, Ordering::Relaxed);
        }
    });
    Ok(())
}

/// True once one of the signals has come.
pub fn seen() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}
