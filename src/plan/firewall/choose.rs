//! Which of the host's packet filters our rules go to. One only: rules in two of them are both asked,
//! and each may drop.

use super::Implementation;
use super::rules::{FORWARD, MASQUERADE, Place};
use super::save::Listing;

/// What is installed and what it holds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen<'a> {
    /// `iptables-nft-save`, when installed and working.
    pub nft: Option<&'a Listing>,
    /// `iptables-legacy-save`, when installed and working.
    pub legacy: Option<&'a Listing>,
    /// What plain `iptables` is.
    pub default: Option<Implementation>,
    /// `nft` is installed.
    pub nft_program: bool,
    /// `EnableNFTables`.
    pub prefer_nft: bool,
}

/// The filter to use, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The filter.
    pub implementation: Implementation,
    /// Half a sentence for a log line.
    pub reason: &'static str,
}

/// Chooses; `None` when nothing is installed.
pub fn choose(seen: &Seen<'_>) -> Option<Choice> {
    let chosen = |implementation, reason| {
        Some(Choice {
            implementation,
            reason,
        })
    };
    let variants = [
        (Implementation::IptablesNft, seen.nft),
        (Implementation::IptablesLegacy, seen.legacy),
    ];
    // The default first, so that it wins where both qualify.
    let mut installed: Vec<(Implementation, &Listing)> = variants
        .into_iter()
        .filter_map(|(implementation, listing)| Some((implementation, listing?)))
        .collect();
    installed.sort_by_key(|(implementation, _)| Some(*implementation) != seen.default);

    if seen.prefer_nft && seen.nft_program {
        return match installed.iter().find(|(_, listing)| decides(listing)) {
            None => chosen(
                Implementation::NftTable,
                "EnableNFTables, and no iptables rules decide",
            ),
            // Where Docker is, its chains decide; both variants can.
            Some(_) => chosen(
                best(&installed)?,
                "EnableNFTables is set, but iptables rules decide here, and an accept in a table of our own cannot override them",
            ),
        };
    }
    if let Some((implementation, _)) = installed.iter().find(|(_, l)| holds_docker(l)) {
        return chosen(*implementation, "it holds Docker's rules");
    }
    if let Some((implementation, _)) = installed.iter().find(|(_, l)| decides(l)) {
        return chosen(*implementation, "it holds the host's rules");
    }
    if let Some((implementation, _)) = installed.first() {
        return chosen(*implementation, "it is the host's default");
    }
    if seen.nft_program {
        return chosen(Implementation::NftTable, "iptables is not installed");
    }
    None
}

fn best(installed: &[(Implementation, &Listing)]) -> Option<Implementation> {
    installed
        .iter()
        .find(|(_, l)| holds_docker(l))
        .or_else(|| installed.iter().find(|(_, l)| decides(l)))
        .map(|(implementation, _)| *implementation)
}

/// True when dockerd keeps its chains here.
pub fn holds_docker(listing: &Listing) -> bool {
    [FORWARD.table, MASQUERADE.table].iter().any(|table| {
        listing.table(table).is_some_and(|t| {
            t.chains
                .iter()
                .any(|c| c.name == "DOCKER" || c.name == "DOCKER-FORWARD")
        })
    })
}

/// True when someone else's rules or policies are on the way that forwarded packets take.
pub fn decides(listing: &Listing) -> bool {
    let foreign = |place: &Place| {
        listing.chain(place.table, place.base).is_some_and(|chain| {
            chain.policy.as_deref().is_some_and(|p| p != "ACCEPT")
                || chain.rules.iter().any(|r| !place.owns(&chain.name, r))
        })
    };
    holds_docker(listing) || foreign(&FORWARD) || foreign(&MASQUERADE)
}
