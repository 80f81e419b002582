//! One check of the firewall: read, choose, compare, write what is missing, read again. Keeps between
//! checks only what saves programs: which are installed, where the rules were last.

use crate::kernel::firewall::{ExecError, Iptables, Nft, Programs};
use crate::plan::firewall::findings::{self, Finding};
use crate::plan::firewall::{
    Change, Choice, FirewallGoal, Implementation, Listing, Seen, choose, holds_any, nft, plan,
};

use super::FirewallError;
use super::read::Read;

/// What one check found and did.
#[derive(Debug, Default)]
pub struct Round {
    /// Where the rules are; `None` on a host without any program.
    pub choice: Option<Choice>,
    /// Why rules were written, one sentence each; empty when all was right.
    pub written: Vec<String>,
    /// What could not be written, with the table it concerns.
    pub failed: Vec<(&'static str, FirewallError)>,
    /// What our rules cannot overcome.
    pub findings: Vec<Finding>,
}

impl Round {
    /// What is wrong, one sentence each.
    pub fn problems(&self, goal: &FirewallGoal) -> Vec<String> {
        let found = self.findings.iter().map(ToString::to_string);
        self.unwritten(goal).chain(found).collect()
    }

    /// The first thing that is wrong and costs overlay traffic.
    pub fn stops(&self, goal: &FirewallGoal) -> Option<String> {
        let found = self.findings.iter().filter(|found| found.stops_traffic());
        self.unwritten(goal)
            .chain(found.map(ToString::to_string))
            .next()
    }

    fn unwritten(&self, goal: &FirewallGoal) -> impl Iterator<Item = String> {
        let unable =
            (self.choice.is_none() && goal.ip_masq).then(|| FirewallError::NoProgram.to_string());
        let failed = self.failed.iter().map(|(_, error)| error.to_string());
        unable.into_iter().chain(failed)
    }
}

/// Reads, compares and writes.
#[derive(Debug)]
pub struct Keeper {
    dirs: Vec<std::path::PathBuf>,
    programs: Option<Programs>,
    prefer_nft: bool,
    current: Option<Implementation>,
    /// `--random-fully` was refused once.
    no_random: bool,
    /// Chains of nftables that drop whatever we accept; looked for when the rules are written.
    dropping: Vec<String>,
}

impl Keeper {
    /// Looks for programs in `dirs` when first used, and again as long as there are none.
    pub fn new(dirs: Vec<std::path::PathBuf>, prefer_nft: bool) -> Self {
        Self {
            dirs,
            programs: None,
            prefer_nft,
            current: None,
            no_random: false,
            dropping: Vec::new(),
        }
    }

    /// Checks once, and writes what is missing.
    ///
    /// # Errors
    /// The rules cannot be read. What cannot be written is in [`Round::failed`].
    pub async fn round(&mut self, goal: &FirewallGoal) -> Result<Round, FirewallError> {
        let programs = self.programs().await.map_err(exec("read"))?;
        let read = Read::of_host(&programs, self.current)
            .await
            .map_err(exec("read"))?;
        let seen = Seen {
            nft: read.iptables_nft.as_ref(),
            legacy: read.iptables_legacy.as_ref(),
            default: programs.default,
            nft_program: programs.nft.is_some(),
            prefer_nft: self.prefer_nft,
        };
        let Some(choice) = choose(&seen) else {
            return Ok(Round::default());
        };
        let implementation = choice.implementation;
        let mut round = Round {
            choice: Some(choice),
            ..Round::default()
        };
        match (implementation, &programs.nft) {
            (Implementation::NftTable, Some(nft)) => {
                self.hold_table(nft, goal, &mut round).await?;
            }
            (implementation, _) => {
                if let (Some(iptables), Some(listing)) =
                    (programs.iptables(implementation), read.of(implementation))
                {
                    self.hold_iptables(iptables, implementation, listing, goal, &mut round)
                        .await;
                    round.findings.extend(findings::findings(listing, goal));
                }
            }
        }
        self.leave_others(&programs, &read, implementation, goal, &mut round)
            .await;
        self.look_at_base_chains(&programs, implementation, goal, &mut round)
            .await;
        self.current = Some(implementation);
        Ok(round)
    }

    async fn programs(&mut self) -> Result<Programs, ExecError> {
        match &self.programs {
            Some(programs) => Ok(programs.clone()),
            None => {
                let found = Programs::find(&self.dirs).await?;
                if !found.is_empty() {
                    self.programs = Some(found.clone());
                }
                Ok(found)
            }
        }
    }

    /// The goal that the program can meet.
    fn effective(&self, goal: &FirewallGoal, knows_random: bool) -> FirewallGoal {
        FirewallGoal {
            random_fully: goal.random_fully && knows_random && !self.no_random,
            ..*goal
        }
    }

    async fn hold_iptables(
        &mut self,
        iptables: &Iptables,
        implementation: Implementation,
        listing: &Listing,
        goal: &FirewallGoal,
        round: &mut Round,
    ) {
        let wanted = self.effective(goal, iptables.knows_random_fully());
        let changes = plan(listing, Some(&wanted));
        if changes.is_empty() {
            return;
        }
        for change in changes {
            match self.write(iptables, &change, goal).await {
                Ok(reasons) => round.written.extend(reasons),
                Err(source) => round.failed.push((change.table, exec("write")(source))),
            }
        }
        // What the kernel holds now is what counts. A table that failed has its error already.
        let wanted = self.effective(goal, iptables.knows_random_fully());
        match iptables.save().await {
            Ok(text) => {
                for left in plan(&Listing::parse(&text), Some(&wanted)) {
                    if round.failed.iter().all(|(table, _)| *table != left.table) {
                        round.failed.push((
                            left.table,
                            FirewallError::NotHeld {
                                implementation,
                                missing: left.reasons.join("; "),
                            },
                        ));
                    }
                }
            }
            Err(source) => round.failed.push(("all", exec("read")(source))),
        }
    }

    /// Writes one table. Refused: with a fresh listing, in case someone changed the table between our
    /// reading and writing; then without `--random-fully`, in case that is what this kernel lacks.
    async fn write(
        &mut self,
        iptables: &Iptables,
        change: &Change,
        goal: &FirewallGoal,
    ) -> Result<Vec<String>, ExecError> {
        let Err(first) = iptables.restore(&change.text).await else {
            return Ok(change.reasons.clone());
        };
        let listing = Listing::parse(&iptables.save().await?);
        let random = change.text.contains("--random-fully");
        for without in [false, true] {
            if without && !random {
                break;
            }
            let mut wanted = self.effective(goal, iptables.knows_random_fully());
            wanted.random_fully &= !without;
            let again = plan(&listing, Some(&wanted))
                .into_iter()
                .find(|c| c.table == change.table);
            let Some(again) = again else {
                return Ok(change.reasons.clone());
            };
            if iptables.restore(&again.text).await.is_ok() {
                self.no_random |= without;
                return Ok(again.reasons);
            }
        }
        Err(first)
    }

    async fn hold_table(
        &mut self,
        nft: &Nft,
        goal: &FirewallGoal,
        round: &mut Round,
    ) -> Result<(), FirewallError> {
        let wanted = self.effective(goal, true);
        let held = nft.table(nft::TABLE).await.map_err(exec("read"))?;
        let complaints = nft::complaints(held.as_deref(), &wanted);
        if complaints.is_empty() {
            return Ok(());
        }
        let mut applied = nft.apply(&nft::script(&wanted)).await;
        if applied.is_err() && wanted.random_fully {
            let plain = FirewallGoal {
                random_fully: false,
                ..wanted
            };
            if nft.apply(&nft::script(&plain)).await.is_ok() {
                self.no_random = true;
                applied = Ok(());
            }
        }
        if let Err(source) = applied {
            round.failed.push((nft::TABLE, exec("write")(source)));
            return Ok(());
        }
        round.written.extend(complaints);
        let wanted = self.effective(goal, true);
        let held = nft.table(nft::TABLE).await.map_err(exec("read"))?;
        let left = nft::complaints(held.as_deref(), &wanted);
        if !left.is_empty() {
            round.failed.push((
                nft::TABLE,
                FirewallError::NotHeld {
                    implementation: Implementation::NftTable,
                    missing: left.join("; "),
                },
            ));
        }
        Ok(())
    }

    /// Other base chains of nftables are read when something changes and when there is no iptables to
    /// read, not every time.
    async fn look_at_base_chains(
        &mut self,
        programs: &Programs,
        chosen: Implementation,
        goal: &FirewallGoal,
        round: &mut Round,
    ) {
        let Some(nft) = programs.nft.as_ref().filter(|_| goal.forward) else {
            return;
        };
        let without_iptables = programs.default.is_none();
        if without_iptables || self.current != Some(chosen) || !round.written.is_empty() {
            // An nft that cannot list says that there is no nftables here.
            let chains = nft.chains().await.unwrap_or_default();
            self.dropping = nft::dropping_chains(&chains);
            // What iptables-nft keeps is weighed with its rules.
            if !without_iptables {
                self.dropping.retain(|c| c != "ip filter FORWARD");
            }
        }
        let dropping = self.dropping.iter().cloned();
        let findings = dropping.map(|chain| Finding::BaseChainDrops { chain });
        round.findings.extend(findings);
    }

    /// Takes our rules out of where they are not to be, after they are where they are to be, and
    /// looks whether what is there drops overlay traffic.
    async fn leave_others(
        &self,
        programs: &Programs,
        read: &Read,
        chosen: Implementation,
        goal: &FirewallGoal,
        round: &mut Round,
    ) {
        for implementation in [Implementation::IptablesNft, Implementation::IptablesLegacy] {
            if implementation == chosen {
                continue;
            }
            let (Some(iptables), Some(listing)) =
                (programs.iptables(implementation), read.of(implementation))
            else {
                continue;
            };
            if holds_any(listing) {
                match remove_iptables(iptables, listing).await {
                    Ok(_) => round
                        .written
                        .push(format!("our rules in {implementation} are out of use")),
                    Err(error) => round.failed.push(("all", error)),
                }
            }
            if goal.forward && chosen != Implementation::NftTable {
                round
                    .findings
                    .extend(findings::other(listing, implementation, goal));
            }
        }
        // Nobody but us and flanneld makes this table, so it is looked for only at first and after a move.
        if chosen == Implementation::NftTable || self.current == Some(chosen) {
            return;
        }
        if let Some(nft) = &programs.nft {
            match remove_table(nft).await {
                Ok(true) => round
                    .written
                    .push(format!("our table {} is out of use", nft::TABLE)),
                // An nft that cannot even list says that there is no nftables here.
                Ok(false)
                | Err(FirewallError::Exec {
                    operation: "read", ..
                }) => {}
                Err(error) => round.failed.push((nft::TABLE, error)),
            }
        }
    }
}

/// Removes our rules and chains from one iptables variant; says what.
pub(super) async fn remove_iptables(
    iptables: &Iptables,
    listing: &Listing,
) -> Result<Vec<String>, FirewallError> {
    let mut removed = Vec::new();
    for change in plan(listing, None) {
        iptables
            .restore(&change.text)
            .await
            .map_err(exec("remove"))?;
        removed.extend(change.reasons);
    }
    Ok(removed)
}

/// Removes our nft table; false when there is none.
pub(super) async fn remove_table(nft: &Nft) -> Result<bool, FirewallError> {
    if nft.table(nft::TABLE).await.map_err(exec("read"))?.is_none() {
        return Ok(false);
    }
    nft.apply(&nft::removal()).await.map_err(exec("remove"))?;
    Ok(true)
}

pub(super) fn exec(operation: &'static str) -> impl Fn(ExecError) -> FirewallError {
    move |source| FirewallError::Exec { operation, source }
}
