//! The table `ip flannel-ipv4` (flannel-compat 6.2), for hosts where no iptables rules decide. Content
//! is flanneld's with two of its faults mended: the mark is masked, and what comes from outside the
//! overlay for another node's containers is masqueraded, as in iptables.

use serde_json::Value;

use super::{FirewallGoal, printable};

/// Family and name of the table.
pub const TABLE: &str = "ip flannel-ipv4";

struct BaseChain {
    name: &'static str,
    kind: &'static str,
    hook: &'static str,
    priority: i64,
    rules: Vec<String>,
}

/// Every rule carries a comment that names what it was made from. It is what is compared: the way nft
/// prints a rule differs between its versions, a comment does not.
fn chains(goal: &FirewallGoal) -> Vec<BaseChain> {
    let n = goal.network.trunc();
    let s = goal.subnet.trunc();
    let mut out = Vec::new();
    if goal.ip_masq {
        let masquerade = if goal.random_fully {
            "masquerade fully-random"
        } else {
            "masquerade"
        };
        out.push(BaseChain {
            name: "postrtg",
            kind: "nat",
            hook: "postrouting",
            priority: 100,
            rules: vec![
                "meta mark & 0x4000 == 0x4000 return".to_owned(),
                format!("ip saddr {s} ip daddr {n} return"),
                format!("ip saddr {n} ip daddr {s} return"),
                format!("ip saddr != {n} ip daddr {s} return"),
                format!("ip saddr {n} ip daddr != 224.0.0.0/4 {masquerade}"),
                format!("ip saddr != {n} ip daddr {n} {masquerade}"),
            ],
        });
    }
    if goal.forward {
        out.push(BaseChain {
            name: "forward",
            kind: "filter",
            hook: "forward",
            priority: 0,
            rules: vec![
                format!("ip saddr {n} accept"),
                format!("ip daddr {n} accept"),
            ],
        });
    }
    out
}

/// The comment of a rule: at most 128 bytes, which is nftables' limit.
fn comment(rule: &str) -> String {
    format!("flanneld: {rule}")
}

/// Input of `nft -f -` that replaces the table with what the goal wants, in one transaction.
pub fn script(goal: &FirewallGoal) -> String {
    // `add` first: deleting a table that is not there is an error.
    let mut text = removal();
    let chains = chains(goal);
    if !chains.is_empty() {
        text += &format!("add table {TABLE}\n");
    }
    for chain in chains {
        let BaseChain {
            name,
            kind,
            hook,
            priority,
            rules,
        } = chain;
        text += &format!(
            "add chain {TABLE} {name} {{ type {kind} hook {hook} priority {priority}; policy accept; }}\n"
        );
        for rule in rules {
            let comment = comment(&rule);
            text += &format!("add rule {TABLE} {name} {rule} comment \"{comment}\"\n");
        }
    }
    text
}

/// Input of `nft -f -` that removes the table, there or not.
pub fn removal() -> String {
    format!("add table {TABLE}\ndelete table {TABLE}\n")
}

/// What is not as the goal wants it. `listing` is the output of `nft -j list table ip flannel-ipv4`,
/// `None` when there is no such table. Empty when all is right.
pub fn complaints(listing: Option<&str>, goal: &FirewallGoal) -> Vec<String> {
    let wanted = chains(goal);
    let Some(listing) = listing else {
        return if wanted.is_empty() {
            Vec::new()
        } else {
            vec![format!("table {TABLE} is missing")]
        };
    };
    if wanted.is_empty() {
        return vec![format!("table {TABLE} is not wanted")];
    }
    let held = held(listing);
    let mut out = Vec::new();
    for chain in &wanted {
        let Some(found) = held.iter().find(|h| h.name == chain.name) else {
            out.push(format!("chain {} is missing", chain.name));
            continue;
        };
        let comments: Vec<String> = chain.rules.iter().map(|rule| comment(rule)).collect();
        if found.kind != chain.kind
            || found.hook != chain.hook
            || found.priority != Some(chain.priority)
        {
            out.push(format!("chain {} hangs elsewhere", chain.name));
        } else if found.comments != comments {
            out.push(format!("chain {} holds other rules", chain.name));
        }
    }
    for chain in held
        .iter()
        .filter(|h| wanted.iter().all(|w| w.name != h.name))
    {
        out.push(format!("chain {} is not wanted", printable(&chain.name)));
    }
    out
}

#[derive(Default)]
struct Held {
    name: String,
    kind: String,
    hook: String,
    priority: Option<i64>,
    comments: Vec<String>,
}

/// The objects of one kind in nft's JSON.
fn objects<'a>(document: &'a Value, kind: &'static str) -> impl Iterator<Item = &'a Value> {
    document["nftables"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(move |object| object.get(kind))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn held(listing: &str) -> Vec<Held> {
    let document: Value = serde_json::from_str(listing).unwrap_or_default();
    let mut out: Vec<Held> = objects(&document, "chain")
        .map(|chain| Held {
            name: text(&chain["name"]),
            kind: text(&chain["type"]),
            hook: text(&chain["hook"]),
            priority: chain["prio"].as_i64(),
            comments: Vec::new(),
        })
        .collect();
    for rule in objects(&document, "rule") {
        if let Some(chain) = out.iter_mut().find(|c| rule["chain"] == c.name.as_str()) {
            chain.comments.push(text(&rule["comment"]));
        }
    }
    out
}

/// Base chains on the forward hook with policy drop, as `family table chain`, from the output of
/// `nft -j list chains`. Our own table is left out.
pub fn dropping_chains(listing: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(listing).unwrap_or_default();
    objects(&document, "chain")
        .filter(|chain| chain["hook"] == "forward" && chain["policy"] == "drop")
        .filter(|chain| chain["family"] == "ip" || chain["family"] == "inet")
        .map(|chain| {
            let [family, table, name] = ["family", "table", "name"].map(|key| text(&chain[key]));
            format!("{family} {table} {name}")
        })
        .filter(|chain| !chain.starts_with(&format!("{TABLE} ")))
        .collect()
}
