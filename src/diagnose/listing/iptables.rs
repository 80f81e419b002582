//! `iptables-save -c`, of either backend.

use ipnet::Ipv4Net;

use super::{Action, Chain, Match, Rule};

/// Chains with counters as of this listing (their "before" is zero). Lines that are not understood are left out.
pub fn read(program: &str, text: &str) -> Vec<Chain> {
    let mut chains: Vec<Chain> = Vec::new();
    let mut table = "";
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            table = name.trim();
        } else if let Some(rest) = line.strip_prefix(':') {
            chains.extend(declaration(program, table, rest));
        } else if let Some((chain, rule)) = rule(line)
            && let Some(chain) = chains
                .iter_mut()
                .find(|one| one.table == table && one.name == chain)
        {
            chain.rules.push(rule);
        }
    }
    chains
}

fn declaration(program: &str, table: &str, rest: &str) -> Option<Chain> {
    let mut words = rest.split_whitespace();
    let (name, policy) = (words.next()?, words.next()?);
    let counter = words.next().and_then(counter).map(|now| [(0, 0), now]);
    let base = policy != "-";
    Some(Chain {
        program: program.to_owned(),
        family: "ip".to_owned(),
        table: table.to_owned(),
        name: name.to_owned(),
        hook: base.then(|| name.to_ascii_lowercase()),
        priority: match table {
            "raw" => -300,
            "mangle" => -150,
            "nat" => -100,
            _ => 0,
        },
        drops: policy == "DROP",
        policy_counter: counter.filter(|_| base),
        rules: Vec::new(),
    })
}

/// `[5:420]`.
fn counter(word: &str) -> Option<(u64, u64)> {
    let (packets, bytes) = word.strip_prefix('[')?.strip_suffix(']')?.split_once(':')?;
    Some((packets.parse().ok()?, bytes.parse().ok()?))
}

fn rule(line: &str) -> Option<(&str, Rule)> {
    let (count, rest) = match line.split_once(' ') {
        Some((first, rest)) if first.starts_with('[') => (counter(first), rest),
        _ => (None, line),
    };
    let spec = rest.strip_prefix("-A ")?;
    let (chain, spec) = spec.split_once(' ').unwrap_or((spec, ""));
    let (meets, action) = parse(spec);
    let rule = Rule {
        text: rest.to_owned(),
        meets,
        action,
        counter: count.map(|now| [(0, 0), now]),
    };
    Some((chain, rule))
}

/// Words, with what is in double quotes as one.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted, mut escaped, mut any) = (String::new(), false, false, false);
    for letter in text.chars() {
        match letter {
            _ if escaped => {
                word.push(letter);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => {
                quoted = !quoted;
                any = true;
            }
            ' ' if !quoted => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            _ => word.push(letter),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

fn parse(spec: &str) -> (Match, Action) {
    let mut meets = Match::default();
    let mut action = Action::Pass;
    let words = words(spec);
    let mut words = words.iter().map(String::as_str).peekable();
    let mut not = false;
    while let Some(word) = words.next() {
        let negated = std::mem::take(&mut not);
        match word {
            "!" => not = true,
            "-s" | "-d" => {
                let nets = words.next().and_then(nets);
                let side = if word == "-s" {
                    &mut meets.from
                } else {
                    &mut meets.to
                };
                match nets {
                    Some(nets) => *side = Some((nets, negated)),
                    None => meets.unknown = true,
                }
            }
            "-i" => meets.input = words.next().map(|name| (name.to_owned(), negated)),
            "-o" => meets.output = words.next().map(|name| (name.to_owned(), negated)),
            "-p" => meets.protocol = words.next().map(|name| (name.to_owned(), negated)),
            "--dport" | "--dports" => match words.next().and_then(ports) {
                Some(ports) => meets.port = Some((ports, negated)),
                None => meets.unknown = true,
            },
            "--ctstate" | "--state" => {
                let states = words.next().unwrap_or_default();
                let states = states.split(',').map(str::to_owned).collect();
                meets.states = Some((states, negated));
            }
            "-m" => {
                // The conditions of a module come as options of their own.
                words.next();
            }
            "--comment" => {
                words.next();
            }
            "-j" | "-g" => {
                action = target(words.next().unwrap_or_default(), word == "-g");
                // What follows are the target's own options.
                break;
            }
            other if other.starts_with('-') => {
                meets.unknown = true;
            }
            _ => {}
        }
    }
    (meets, action)
}

fn target(name: &str, goto: bool) -> Action {
    match name {
        "ACCEPT" => Action::Accept,
        "DROP" => Action::Drop,
        "REJECT" => Action::Reject,
        "RETURN" => Action::Return,
        "MASQUERADE" | "SNAT" => Action::Masquerade,
        "LOG" | "NFLOG" | "MARK" | "CONNMARK" | "TRACE" | "CT" | "TCPMSS" | "DSCP" | "NOTRACK"
        | "CHECKSUM" | "AUDIT" | "SET" | "CLASSIFY" | "TTL" | "TOS" => Action::Pass,
        "DNAT" | "REDIRECT" | "QUEUE" | "NFQUEUE" | "TPROXY" | "NETMAP" => Action::Unknown,
        other if goto => Action::Goto(other.to_owned()),
        other => Action::Jump(other.to_owned()),
    }
}

fn nets(word: &str) -> Option<Vec<Ipv4Net>> {
    word.split(',').map(net).collect()
}

/// An address with or without prefix length; masks in dotted form as well.
pub fn net(word: &str) -> Option<Ipv4Net> {
    if let Ok(net) = word.parse::<Ipv4Net>() {
        return Some(net);
    }
    match word.split_once('/') {
        Some((address, mask)) => {
            Ipv4Net::with_netmask(address.parse().ok()?, mask.parse().ok()?).ok()
        }
        None => Some(Ipv4Net::from(word.parse::<std::net::Ipv4Addr>().ok()?)),
    }
}

fn ports(word: &str) -> Option<Vec<(u16, u16)>> {
    word.split(',')
        .map(|part| match part.split_once(':') {
            Some((first, last)) => Some((
                if first.is_empty() {
                    0
                } else {
                    first.parse().ok()?
                },
                if last.is_empty() {
                    u16::MAX
                } else {
                    last.parse().ok()?
                },
            )),
            None => part.parse().ok().map(|port| (port, port)),
        })
        .collect()
}
