//! Reads what `iptables-save` prints. Lenient: a line it does not know is passed over, nothing panics.
//! Must not judge: what a rule means for us is decided elsewhere.

use std::collections::HashMap;

use ipnet::Ipv4Net;

/// The tables `filter`, `nat` and `raw` of one iptables implementation; other tables are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    tables: Vec<Table>,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// `filter`, `nat` or `raw`.
    pub name: String,
    /// In the order of the listing.
    pub chains: Vec<Chain>,
}

/// One chain with its rules in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Name as printed.
    pub name: String,
    /// `ACCEPT` or `DROP`; `None` for a chain that is only jumped to.
    pub policy: Option<String>,
    /// In order.
    pub rules: Vec<Rule>,
}

/// One rule as printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What follows `-A CHAIN `; can be given to `-D CHAIN ` again.
    pub text: String,
}

/// What of a rule matters to us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// `-s`, with true for `!`.
    pub source: Option<(bool, Ipv4Net)>,
    /// `-d`, with true for `!`.
    pub destination: Option<(bool, Ipv4Net)>,
    /// It has a match other than source, destination and comment.
    pub narrowed: bool,
    /// The comment.
    pub comment: Option<String>,
    /// `-j` or `-g` with the target or chain.
    pub target: Option<String>,
}

impl Listing {
    /// Reads the output of `iptables-save`, with counters (`-c`) or without.
    pub fn parse(text: &str) -> Self {
        let mut tables: Vec<Table> = Vec::new();
        // Where each chain of the current table is: hosts with ten thousands of chains exist.
        let mut index: HashMap<String, usize> = HashMap::new();
        // None inside a table that is not kept.
        let mut current: Option<Table> = None;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix('*') {
                let name = name.trim();
                tables.extend(current.take());
                index.clear();
                if matches!(name, "filter" | "nat" | "raw") {
                    current = Some(Table {
                        name: name.to_owned(),
                        chains: Vec::new(),
                    });
                }
            } else if let Some(table) = &mut current {
                if let Some(head) = line.strip_prefix(':') {
                    let mut words = head.split_whitespace();
                    if let Some(name) = words.next() {
                        let policy = words.next().filter(|p| *p != "-").map(str::to_owned);
                        table.chain_mut(&mut index, name).policy = policy;
                    }
                } else if let Some((chain, rule)) = appended(line) {
                    table.chain_mut(&mut index, chain).rules.push(Rule {
                        text: rule.trim().to_owned(),
                    });
                }
            }
        }
        tables.extend(current);
        Self { tables }
    }

    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|t| t.name == name)
    }

    /// The chain of this table and name.
    pub fn chain(&self, table: &str, chain: &str) -> Option<&Chain> {
        self.table(table)?.chain(chain)
    }
}

/// Chain and rest of `[counters] -A CHAIN rest`.
fn appended(line: &str) -> Option<(&str, &str)> {
    let line = match line.strip_prefix('[') {
        Some(counted) => counted.split_once(']')?.1.trim_start(),
        None => line,
    };
    let rest = line.strip_prefix("-A ")?.trim_start();
    Some(rest.split_once(' ').unwrap_or((rest, "")))
}

impl Table {
    /// The chain of this name.
    pub fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|c| c.name == name)
    }

    fn chain_mut(&mut self, index: &mut HashMap<String, usize>, name: &str) -> &mut Chain {
        let at = match index.get(name) {
            Some(at) => *at,
            None => {
                self.chains.push(Chain {
                    name: name.to_owned(),
                    policy: None,
                    rules: Vec::new(),
                });
                index.insert(name.to_owned(), self.chains.len() - 1);
                self.chains.len() - 1
            }
        };
        &mut self.chains[at]
    }
}

impl Rule {
    /// The words, with quotes and backslashes resolved.
    pub fn words(&self) -> Vec<String> {
        words(&self.text)
    }

    /// Source, destination, comment and target.
    pub fn parts(&self) -> Parts {
        let mut parts = Parts::default();
        let mut negated = false;
        let mut words = self.words().into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "!" => {
                    negated = true;
                    continue;
                }
                "-s" | "-d" => {
                    let Some(net) = words.next().and_then(|w| network(&w)) else {
                        // A mask with holes: some addresses, we do not know which.
                        parts.narrowed = true;
                        continue;
                    };
                    let slot = if word == "-s" {
                        &mut parts.source
                    } else {
                        &mut parts.destination
                    };
                    *slot = Some((negated, net));
                }
                "-j" | "-g" => {
                    parts.target = words.next();
                    // What follows belongs to the target.
                    break;
                }
                "--comment" => parts.comment = words.next(),
                "-m" => parts.narrowed |= words.next().is_none_or(|name| name != "comment"),
                _ => parts.narrowed = true,
            }
            negated = false;
        }
        parts
    }
}

/// `10.1.0.0/16`, `10.1.2.3`, `10.1.0.0/255.255.0.0`; host bits cleared.
fn network(word: &str) -> Option<Ipv4Net> {
    let (address, mask) = word.split_once('/').unwrap_or((word, "32"));
    let address = address.parse().ok()?;
    let net = match mask.parse::<u8>() {
        Ok(len) => Ipv4Net::new(address, len).ok()?,
        Err(_) => Ipv4Net::with_netmask(address, mask.parse().ok()?).ok()?,
    };
    Some(net.trunc())
}

/// Splits as `iptables-restore` does: blanks part words, double quotes hold them together, a
/// backslash inside quotes takes the next character as it is.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().extend(chars.next()),
            c if c.is_whitespace() && !quoted => out.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    out.extend(word);
    out
}
