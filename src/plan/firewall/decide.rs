//! Compares a listing with the goal and writes the one `iptables-restore --noflush` text per table
//! that makes it right, atomically. Nothing to do gives no text.

use super::reach::{Against, Weigher};
use super::rules::{FORWARD, MASQUERADE, Place, bare_masquerade, same};
use super::save::{Chain, Listing, Rule, Table};
use super::{FirewallGoal, printable};

/// What to do to one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `filter` or `nat`.
    pub table: &'static str,
    /// Input of `iptables-restore --noflush`: one transaction.
    pub text: String,
    /// Why, each a short sentence.
    pub reasons: Vec<String>,
}

/// What must be done so that `listing` holds the goal; `None` = so that it holds nothing of ours.
/// Rules forward first: they matter to every node.
pub fn plan(listing: &Listing, goal: Option<&FirewallGoal>) -> Vec<Change> {
    [FORWARD, MASQUERADE]
        .iter()
        .filter_map(|place| {
            let body = goal.and_then(|goal| place.body(goal));
            match (goal, body) {
                (Some(goal), Some(body)) => hold(listing, place, goal, &body),
                _ => remove(listing, place, goal),
            }
        })
        .collect()
}

/// True when any chain or rule of ours or flanneld's is in the listing.
pub fn holds_any(listing: &Listing) -> bool {
    !plan(listing, None).is_empty()
}

/// Rules of ours outside our chain, as `(chain, text)`; with `all_jumps` also whoever else jumps to our
/// chain, which would keep it from being deleted.
fn owned(
    table: Option<&Table>,
    place: &Place,
    goal: Option<&FirewallGoal>,
    all_jumps: bool,
) -> Vec<(String, String)> {
    let Some(table) = table else {
        return Vec::new();
    };
    let bare = goal.map_or_else(Vec::new, |goal| bare_masquerade(table, goal));
    let ours = |chain: &Chain, rule: &Rule| {
        place.owns(&chain.name, rule)
            || chain.name == place.base && bare.contains(&rule.text)
            || all_jumps && place.is_target_of(rule)
    };
    let mut found = Vec::new();
    for chain in table.chains.iter().filter(|c| c.name != place.chain) {
        let rules = chain.rules.iter().filter(|rule| ours(chain, rule));
        found.extend(rules.map(|rule| (chain.name.clone(), rule.text.clone())));
    }
    found
}

fn hold(listing: &Listing, place: &Place, goal: &FirewallGoal, body: &[String]) -> Option<Change> {
    let jump = place.jump();
    let table = listing.table(place.table);
    let owned = owned(table, place, Some(goal), false);
    let mut reasons = Vec::new();

    match table.and_then(|t| t.chain(place.chain)) {
        None => reasons.push(format!("chain {} is missing", place.chain)),
        Some(chain) if !same_rules(chain, body) => {
            reasons.push(format!("chain {} holds other rules", place.chain));
        }
        Some(_) => {}
    }

    // Every chain that is to hold our jump, and where among the foreign rules it goes.
    let mut spots: Vec<Spot> = vec![base_spot(table, place, goal)];
    spots.extend(user_spot(table, place));
    for spot in &spots {
        reasons.extend(spot.complaint(place, &jump));
    }
    for (chain, text) in &owned {
        if !spots.iter().any(|spot| spot.chain == *chain) {
            reasons.push(format!("{chain} holds a leftover: {}", printable(text)));
        }
    }
    if reasons.is_empty() {
        return None;
    }

    let mut text = format!("*{}\n:{} - [0:0]\n", place.table, place.chain);
    for (chain, rule) in &owned {
        text += &format!("-D {chain} {rule}\n");
    }
    for rule in body {
        text += &format!("-A {} {rule}\n", place.chain);
    }
    for spot in &spots {
        text += &match spot.insert {
            // Position 1 is said without a number: old iptables-nft mistook numbers in a batch.
            Some(0) => format!("-I {} {jump}\n", spot.chain),
            Some(at) => format!("-I {} {} {jump}\n", spot.chain, at + 1),
            None => format!("-A {} {jump}\n", spot.chain),
        };
    }
    text += "COMMIT\n";
    Some(Change {
        table: place.table,
        text,
        reasons,
    })
}

fn same_rules(chain: &Chain, body: &[String]) -> bool {
    chain.rules.len() == body.len() && chain.rules.iter().zip(body).all(|(r, b)| same(r, b))
}

/// A chain that is to hold our jump once.
struct Spot<'a> {
    chain: &'a str,
    /// Our rules there: index among the foreign rules that are in front, and text.
    held: Vec<(usize, &'a Rule)>,
    /// Where a new jump goes: behind this many foreign rules; `None` = at the end.
    insert: Option<usize>,
    /// The jump is right behind this many foreign rules at least …
    earliest: usize,
    /// … and this many at most.
    latest: usize,
}

impl Spot<'_> {
    fn complaint(&self, place: &Place, jump: &str) -> Option<String> {
        let chain = self.chain;
        match self.held.as_slice() {
            [] => Some(format!("{chain} has no jump to {}", place.chain)),
            [(_, rule)] if !same(rule, jump) => Some(format!(
                "{chain} holds a leftover: {}",
                printable(&rule.text)
            )),
            [(at, _)] if *at < self.earliest => Some(format!(
                "the jump to {} in {chain} is in front of the administrator's rules",
                place.chain
            )),
            [(at, _)] if *at > self.latest => Some(format!(
                "the jump to {} in {chain} is behind rules that decide",
                place.chain
            )),
            [_] => None,
            more => Some(format!("{chain} holds {} rules of ours", more.len())),
        }
    }
}

/// Parts the rules of a chain into ours, with the number of foreign rules in front, and foreign ones.
fn part<'a>(
    chain: Option<&'a Chain>,
    place: &Place,
    bare: &[String],
) -> (Vec<(usize, &'a Rule)>, Vec<&'a Rule>) {
    let mut held = Vec::new();
    let mut foreign = Vec::new();
    for rule in chain.into_iter().flat_map(|c| &c.rules) {
        if place.owns(chain.map_or("", |c| &c.name), rule) || bare.contains(&rule.text) {
            held.push((foreign.len(), rule));
        } else {
            foreign.push(rule);
        }
    }
    (held, foreign)
}

fn base_spot<'a>(table: Option<&'a Table>, place: &Place, goal: &FirewallGoal) -> Spot<'a> {
    let bare = table.map_or_else(Vec::new, |table| bare_masquerade(table, goal));
    let (held, foreign) = part(table.and_then(|t| t.chain(place.base)), place, &bare);
    let mut first = 0;
    let mut latest = 0;
    if let Some(table) = table {
        let mut weigher = Weigher::new(table, goal.network.trunc());
        let mut decides = |rule: &Rule| weigher.base_rule(rule) != Against::Never;
        let to_user = |rule: &Rule| {
            place
                .user_chain
                .is_some_and(|user| same(rule, &format!("-j {user}")))
        };
        if let Some(at) = foreign
            .iter()
            .position(|rule| to_user(rule) || decides(rule))
            && to_user(foreign[at])
        {
            first = at + 1;
        }
        latest = foreign[first..]
            .iter()
            .position(|rule| decides(rule))
            .map_or(foreign.len(), |at| first + at);
    }
    Spot {
        chain: place.base,
        held,
        insert: Some(first),
        earliest: first,
        latest,
    }
}

/// Our place in the administrator's chain: last, but in front of an unconditional `RETURN`.
fn user_spot<'a>(table: Option<&'a Table>, place: &Place) -> Option<Spot<'a>> {
    let chain = table?.chain(place.user_chain?)?;
    let (held, foreign) = part(Some(chain), place, &[]);
    let end = foreign.iter().position(|rule| same(rule, "-j RETURN"));
    Some(Spot {
        chain: &chain.name,
        held,
        insert: end,
        earliest: end.unwrap_or(foreign.len()),
        latest: end.unwrap_or(foreign.len()),
    })
}

fn remove(listing: &Listing, place: &Place, goal: Option<&FirewallGoal>) -> Option<Change> {
    let table = listing.table(place.table)?;
    let has_chain = table.chain(place.chain).is_some();
    let owned = owned(Some(table), place, goal, has_chain);
    if !has_chain && owned.is_empty() {
        return None;
    }
    let mut text = format!("*{}\n", place.table);
    let mut reasons = Vec::new();
    if has_chain {
        text += &format!(":{} - [0:0]\n", place.chain);
    }
    for (chain, rule) in &owned {
        text += &format!("-D {chain} {rule}\n");
        reasons.push(format!("{} {chain}: {}", place.table, printable(rule)));
    }
    if has_chain {
        text += &format!("-X {}\n", place.chain);
        reasons.push(format!("{} chain {}", place.table, place.chain));
    }
    text += "COMMIT\n";
    Some(Change {
        table: place.table,
        text,
        reasons,
    })
}
