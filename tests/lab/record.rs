//! The record of a running test process below `/run/flannelctl-tests`: by it `tests/run` can prove
//! that a namespace belongs to a run that is dead.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const FOLDER: &str = "/run/flannelctl-tests";

static LABS: Mutex<usize> = Mutex::new(0);
static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// Held by each lab; the file is there while any lab is.
pub struct Record {
    /// Numbers the labs of this process.
    pub number: usize,
}

impl Record {
    /// Writes the record: the process's start time (so that a recycled pid is told apart) and the folder
    /// of the labs' files. Under `tests/run` it also has this process die with the runner.
    pub fn take() -> Self {
        let mut labs = LABS.lock().unwrap();
        if *labs == 0 {
            if std::env::var_os("FLANNELCTL_TESTS_RUN").is_some() {
                nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).unwrap();
            }
            std::fs::create_dir_all(FOLDER).unwrap();
            let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
            // The name in parentheses may hold blanks; field 22 is the 20th after it.
            let (_, fields) = stat.rsplit_once(')').unwrap();
            let start = fields.split_whitespace().nth(19).unwrap();
            let files = std::env::temp_dir();
            std::fs::write(path(), format!("{start}\n{}\n", files.display())).unwrap();
        }
        *labs += 1;
        Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let mut labs = match LABS.lock() {
            Ok(labs) => labs,
            Err(poisoned) => poisoned.into_inner(),
        };
        *labs -= 1;
        if *labs == 0 && std::fs::remove_file(path()).is_err() {
            eprintln!("lab: cannot remove {}", path().display());
        }
    }
}

fn path() -> PathBuf {
    PathBuf::from(FOLDER).join(std::process::id().to_string())
}
