//! The listings that one check compares, and which of them are worth a program.

use crate::kernel::firewall::{ExecError, Programs, legacy_in_use};
use crate::plan::firewall::choose::holds_docker;
use crate::plan::firewall::{Implementation, Listing};

/// What the iptables variants hold; `None` = not installed, not working or not looked at.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) iptables_nft: Option<Listing>,
    pub(super) iptables_legacy: Option<Listing>,
}

impl Read {
    /// Reads the variant in use, and the other one where it could have come to matter: always at
    /// first; later unless Docker's rules bind us to the one in use or the kernel says it is empty.
    pub(super) async fn of_host(
        programs: &Programs,
        current: Option<Implementation>,
    ) -> Result<Self, ExecError> {
        use Implementation::{IptablesLegacy, IptablesNft, NftTable};

        let mut read = Self::default();
        let mut error = None;
        let order = match current {
            Some(IptablesLegacy) => [IptablesLegacy, IptablesNft],
            _ => [IptablesNft, IptablesLegacy],
        };
        for implementation in order {
            let Some(iptables) = programs.iptables(implementation) else {
                continue;
            };
            let in_use = current.filter(|c| *c != implementation);
            if in_use.and_then(|c| read.of(c)).is_some_and(holds_docker) {
                continue;
            }
            let listing = if implementation == IptablesLegacy && !legacy_in_use() {
                Listing::default()
            } else {
                match iptables.save().await {
                    Ok(text) => Listing::parse(&text),
                    // Installed, and this kernel cannot do it: as if not installed.
                    Err(failed) => {
                        error.get_or_insert(failed);
                        continue;
                    }
                }
            };
            match implementation {
                IptablesLegacy => read.iptables_legacy = Some(listing),
                _ => read.iptables_nft = Some(listing),
            }
        }
        let nothing = read.iptables_nft.is_none() && read.iptables_legacy.is_none();
        // A failure of the variant in use is no reason to move to the other one.
        let lacking = current.is_some_and(|c| c != NftTable && read.of(c).is_none());
        match error {
            Some(failed) if nothing || lacking => Err(failed),
            _ => Ok(read),
        }
    }

    pub(super) fn of(&self, implementation: Implementation) -> Option<&Listing> {
        match implementation {
            Implementation::IptablesNft => self.iptables_nft.as_ref(),
            Implementation::IptablesLegacy => self.iptables_legacy.as_ref(),
            Implementation::NftTable => None,
        }
    }
}
