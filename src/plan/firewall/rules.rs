//! The rules as flanneld HEAD writes them (flannel-compat 6.1), and which rules count as ours.

use super::FirewallGoal;
use super::save::{Rule, Table, words};

/// One of the two tables that we write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// `filter` or `nat`.
    pub table: &'static str,
    /// The built-in chain that jumps to ours.
    pub base: &'static str,
    /// Our chain.
    pub chain: &'static str,
    /// The comment on every rule of ours.
    pub comment: &'static str,
    /// The chain that another program keeps in front of its own and leaves to the administrator.
    pub user_chain: Option<&'static str>,
}

/// Accept of what is forwarded.
pub const FORWARD: Place = Place {
    table: "filter",
    base: "FORWARD",
    chain: "FLANNEL-FWD",
    comment: "flanneld forward",
    user_chain: Some("DOCKER-USER"),
};

/// Masquerade of what leaves or enters the overlay.
pub const MASQUERADE: Place = Place {
    table: "nat",
    base: "POSTROUTING",
    chain: "FLANNEL-POSTRTG",
    comment: "flanneld masq",
    user_chain: None,
};

impl Place {
    /// The rules of our chain, without `-A CHAIN`; `None` when the goal wants none.
    pub fn body(&self, goal: &FirewallGoal) -> Option<Vec<String>> {
        let n = goal.network.trunc();
        let s = goal.subnet.trunc();
        let comment = format!("-m comment --comment \"{}\"", self.comment);
        if self.table == "filter" {
            return goal.forward.then(|| {
                vec![
                    format!("-s {n} {comment} -j ACCEPT"),
                    format!("-d {n} {comment} -j ACCEPT"),
                ]
            });
        }
        let masquerade = if goal.random_fully {
            "MASQUERADE --random-fully"
        } else {
            "MASQUERADE"
        };
        goal.ip_masq.then(|| {
            vec![
                // kube-proxy's mark: it masquerades those itself.
                format!("-m mark --mark 0x4000/0x4000 {comment} -j RETURN"),
                format!("-s {s} -d {n} {comment} -j RETURN"),
                format!("-s {n} -d {s} {comment} -j RETURN"),
                format!("! -s {n} -d {s} {comment} -j RETURN"),
                format!("-s {n} ! -d 224.0.0.0/4 {comment} -j {masquerade}"),
                format!("! -s {n} -d {n} {comment} -j {masquerade}"),
            ]
        })
    }

    /// The jump to our chain, without `-A CHAIN`.
    pub fn jump(&self) -> String {
        format!(
            "-m comment --comment \"{}\" -j {}",
            self.comment, self.chain
        )
    }

    /// A rule outside our chain that is ours or flanneld's: it has the comment, or leads to our chain
    /// from where we or flanneld put jumps.
    pub fn owns(&self, chain: &str, rule: &Rule) -> bool {
        // Cheap test first: a listing may hold ten thousands of foreign rules.
        if !rule.text.contains(self.comment) && !rule.text.contains(self.chain) {
            return false;
        }
        rule.parts().comment.as_deref() == Some(self.comment)
            || self.is_target_of(rule) && (chain == self.base || Some(chain) == self.user_chain)
    }

    /// True when the rule leads to our chain.
    pub fn is_target_of(&self, rule: &Rule) -> bool {
        rule.text.contains(self.chain) && rule.parts().target.as_deref() == Some(self.chain)
    }
}

/// True when both texts are the same rule.
pub(super) fn same(rule: &Rule, wanted: &str) -> bool {
    rule.text == wanted || rule.words() == words(wanted)
}

/// The three rules that flanneld 0.7 put straight into `POSTROUTING`, without a comment, as printed.
/// Only when all three are there for this very network are they taken for flanneld's: one of them
/// alone can be anyone's.
pub(super) fn bare_masquerade(table: &Table, goal: &FirewallGoal) -> Vec<String> {
    let n = goal.network.trunc();
    let all = [
        format!("-s {n} -d {n} -j RETURN"),
        format!("-s {n} ! -d 224.0.0.0/4 -j MASQUERADE"),
        format!("! -s {n} -d {n} -j MASQUERADE"),
    ];
    let Some(chain) = table.chain(MASQUERADE.base) else {
        return Vec::new();
    };
    if table.name != MASQUERADE.table
        || !all
            .iter()
            .all(|wanted| chain.rules.iter().any(|rule| same(rule, wanted)))
    {
        return Vec::new();
    }
    chain
        .rules
        .iter()
        .filter(|rule| all.iter().any(|wanted| same(rule, wanted)))
        .map(|rule| rule.text.clone())
        .collect()
}
