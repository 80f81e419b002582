//! Finds the firewall programs and runs them.

use std::path::{Path, PathBuf};

use super::exec::{ExecError, run};
use crate::plan::firewall::Implementation;

/// What is installed.
#[derive(Debug, Clone, Default)]
pub struct Programs {
    /// The variant that writes nftables.
    pub iptables_nft: Option<Iptables>,
    /// The variant that writes x_tables.
    pub iptables_legacy: Option<Iptables>,
    /// What plain `iptables` is.
    pub default: Option<Implementation>,
    /// `nft`.
    pub nft: Option<Nft>,
}

/// One variant of iptables.
#[derive(Debug, Clone)]
pub struct Iptables {
    save: PathBuf,
    restore: PathBuf,
    /// Knows `-w` of iptables-restore and `MASQUERADE --random-fully`: version 1.6.2 and later.
    modern: bool,
}

/// The program `nft`.
#[derive(Debug, Clone)]
pub struct Nft {
    program: PathBuf,
}

/// `PATH`, absolute entries only, then where the programs are when `PATH` is a user's.
pub fn search_path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .collect()
}

fn find(dirs: &[PathBuf], name: &str) -> Option<PathBuf> {
    dirs.iter().map(|dir| dir.join(name)).find(|p| p.is_file())
}

impl Programs {
    /// Looks in `dirs`. Runs `iptables --version` at most.
    ///
    /// # Errors
    /// `iptables` is there and does not tell its version.
    pub async fn find(dirs: &[PathBuf]) -> Result<Self, ExecError> {
        let variant = |name: &str, modern| {
            Some(Iptables {
                save: find(dirs, &format!("{name}-save"))?,
                restore: find(dirs, &format!("{name}-restore"))?,
                modern,
            })
        };
        // The variants have names of their own since 1.8.
        let mut found = Self {
            iptables_nft: variant("iptables-nft", true),
            iptables_legacy: variant("iptables-legacy", true),
            default: None,
            nft: find(dirs, "nft").map(|program| Nft { program }),
        };
        if let Some(program) = find(dirs, "iptables") {
            let version = run(&program, &["--version"], "").await?;
            let plain = variant("iptables", at_least_1_6_2(&version));
            let (default, slot) = if version.contains("nf_tables") {
                (Implementation::IptablesNft, &mut found.iptables_nft)
            } else {
                (Implementation::IptablesLegacy, &mut found.iptables_legacy)
            };
            if slot.is_none() {
                *slot = plain;
            }
            found.default = slot.is_some().then_some(default);
        }
        Ok(found)
    }

    /// True when nothing is installed.
    pub fn is_empty(&self) -> bool {
        self.iptables_nft.is_none() && self.iptables_legacy.is_none() && self.nft.is_none()
    }

    /// The variant of this name.
    pub fn iptables(&self, implementation: Implementation) -> Option<&Iptables> {
        match implementation {
            Implementation::IptablesNft => self.iptables_nft.as_ref(),
            Implementation::IptablesLegacy => self.iptables_legacy.as_ref(),
            Implementation::NftTable => None,
        }
    }
}

/// `iptables v1.8.9 (nf_tables)`; false for what it cannot read.
fn at_least_1_6_2(version: &str) -> bool {
    let Some((_, version)) = version.split_once(" v") else {
        return false;
    };
    let number = version.split_whitespace().next().unwrap_or_default();
    let parts: Vec<u32> = number.split('.').map_while(|p| p.parse().ok()).collect();
    parts.as_slice() >= [1, 6, 2].as_slice()
}

impl Iptables {
    /// All tables that exist, as text. Loads no kernel module.
    ///
    /// # Errors
    /// `ExecError`.
    pub async fn save(&self) -> Result<String, ExecError> {
        run(&self.save, &[], "").await
    }

    /// Applies `text` as one transaction per table; foreign rules stay.
    ///
    /// # Errors
    /// `ExecError`; then nothing was changed in a table whose `COMMIT` was not reached.
    pub async fn restore(&self, text: &str) -> Result<(), ExecError> {
        // Old ones take no lock, or wait for it without being asked.
        let args: &[&str] = if self.modern {
            &["--noflush", "-w", "5"]
        } else {
            &["--noflush"]
        };
        run(&self.restore, args, text).await.map(drop)
    }

    /// False when `--random-fully` is certainly unknown to it.
    pub fn knows_random_fully(&self) -> bool {
        self.modern
    }
}

impl Nft {
    /// `nft -j list table FAMILY NAME`; `None` when there is no such table.
    ///
    /// # Errors
    /// `ExecError`.
    pub async fn table(&self, family_and_name: &str) -> Result<Option<String>, ExecError> {
        let mut args = vec!["-j", "list", "table"];
        args.extend(family_and_name.split(' '));
        match run(&self.program, &args, "").await {
            Err(ExecError::Failed { stderr, .. }) if stderr.contains("No such file") => Ok(None),
            other => other.map(Some),
        }
    }

    /// `nft -j list chains`: all chains of all tables, without rules.
    ///
    /// # Errors
    /// `ExecError`.
    pub async fn chains(&self) -> Result<String, ExecError> {
        run(&self.program, &["-j", "list", "chains"], "").await
    }

    /// Applies a script as one transaction.
    ///
    /// # Errors
    /// `ExecError`; then nothing was changed.
    pub async fn apply(&self, script: &str) -> Result<(), ExecError> {
        run(&self.program, &["-f", "-"], script).await.map(drop)
    }
}

/// False when the kernel says that no x_tables table exists in this namespace, so that
/// `iptables-legacy-save` need not be run. True when it does not say.
pub fn legacy_in_use() -> bool {
    let names = Path::new("/proc/thread-self/net/ip_tables_names");
    match std::fs::read_to_string(names) {
        Ok(names) => !names.trim().is_empty(),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::at_least_1_6_2;

    #[test]
    fn versions_are_read_as_flanneld_reads_them() {
        for (text, modern) in [
            ("iptables v1.8.9 (nf_tables)\n", true),
            ("iptables v1.6.2\n", true),
            ("iptables v1.10\n", true),
            ("iptables v1.6.1\n", false),
            ("iptables v1.4.21\n", false),
            ("iptables v1.6\n", false),
            ("", false),
            (" v", false),
            ("iptables vx.y.z", false),
        ] {
            assert_eq!(at_least_1_6_2(text), modern, "{text:?}");
        }
    }
}
