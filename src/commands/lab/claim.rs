//! Who may use the lab's folder: the one process that holds a lab, or one that removes what is left of it.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::exit::Failure;
use crate::lab::lock::{LOCK, Lock};
use crate::lab::record::{FOLDER, Holder};

/// How long a lab may take to end by itself.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at what is waited for.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// Waits for the end of all that a killed lab left running; `None` when a lab stands.
pub(super) async fn claim(folder: &Path) -> Result<Option<Lock>, Failure> {
    let begin = Instant::now();
    loop {
        let taken = Lock::try_take(folder).map_err(|error| cannot_use(folder, &error))?;
        if taken.is_some() {
            return Ok(taken);
        }
        if Holder::read(folder).is_some_and(|holder| holder.is_alive()) {
            return Ok(None);
        }
        if begin.elapsed() > PATIENCE {
            let lock = folder.join(LOCK);
            return Err(
                Failure::could_not_run("a process of a lab that was killed does not end")
                    .with_remedy(format!("fuser -v {} names it", lock.display())),
            );
        }
        tokio::time::sleep(PAUSE).await;
    }
}

pub(super) fn cannot_use(folder: &Path, error: &io::Error) -> Failure {
    Failure::could_not_run(format!("cannot use {}: {error}", folder.display()))
}

/// Removes the files of a lab that nobody holds; says whether there were any.
pub(super) async fn sweep() -> Result<bool, Failure> {
    let folder = Path::new(FOLDER);
    if !fs::exists(folder).unwrap_or(true) {
        return Ok(false);
    }
    match claim(folder).await? {
        None => Ok(false),
        Some(lock) => lock
            .remove()
            .map(|()| true)
            .map_err(|error| Failure::could_not_run(format!("cannot remove {FOLDER}: {error}"))),
    }
}
