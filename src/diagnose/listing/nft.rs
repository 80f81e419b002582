//! `nft -j list ruleset`.

use ipnet::Ipv4Net;
use serde_json::Value;

use super::iptables::net;
use super::{Action, Chain, Match, Rule};

/// Chains of the families that see IPv4, with counters as of this listing (their "before" is zero).
pub fn read(text: &str) -> Vec<Chain> {
    let parsed: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    let objects = parsed.get("nftables").and_then(Value::as_array);
    let mut chains: Vec<Chain> = Vec::new();
    for object in objects.into_iter().flatten() {
        if let Some(chain) = object.get("chain").and_then(chain) {
            chains.push(chain);
        } else if let Some(found) = object.get("rule") {
            let key = |name: &str| found.get(name).and_then(Value::as_str).unwrap_or_default();
            let (family, table, name) = (key("family"), key("table"), key("chain"));
            if let Some(chain) = chains
                .iter_mut()
                .find(|one| one.family == family && one.table == table && one.name == name)
            {
                chain.rules.push(rule(found));
            }
        }
    }
    chains
}

fn chain(value: &Value) -> Option<Chain> {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let family = text("family")?;
    if !matches!(family, "ip" | "inet" | "netdev") {
        return None;
    }
    Some(Chain {
        program: "nft".to_owned(),
        family: family.to_owned(),
        table: text("table")?.to_owned(),
        name: text("name")?.to_owned(),
        hook: text("hook").map(str::to_owned),
        priority: value.get("prio").and_then(Value::as_i64).unwrap_or(0),
        drops: text("policy") == Some("drop"),
        policy_counter: None,
        rules: Vec::new(),
    })
}

fn rule(value: &Value) -> Rule {
    let mut meets = Match::default();
    let mut action = Action::Pass;
    let mut counter = None;
    let mut words = Vec::new();
    let parts = value.get("expr").and_then(Value::as_array);
    for (kind, body) in parts.into_iter().flatten().filter_map(single) {
        match kind {
            "match" => {
                condition(&mut meets, body);
                words.push(words_of(body));
                continue;
            }
            "counter" => {
                let number = |name| body.get(name).and_then(Value::as_u64);
                counter = number("packets")
                    .zip(number("bytes"))
                    .map(|now| [(0, 0), now]);
                continue;
            }
            "accept" => action = Action::Accept,
            "drop" => action = Action::Drop,
            "reject" => action = Action::Reject,
            "return" => action = Action::Return,
            "masquerade" | "snat" => action = Action::Masquerade,
            "jump" => action = Action::Jump(target(body)),
            "goto" => action = Action::Goto(target(body)),
            "vmap" | "queue" | "dnat" | "redirect" | "tproxy" => action = Action::Unknown,
            "log" | "mangle" | "notrack" | "ct helper" | "flow" | "meter" => {}
            "xt" if comment(body) => continue,
            // A limit, or a match or target of xtables that this format does not spell out.
            _ => meets.unknown = true,
        }
        words.push(kind.to_owned());
    }
    if let Some(comment) = value.get("comment").and_then(Value::as_str) {
        words.push(format!("comment {comment:?}"));
    }
    Rule {
        text: words.join(" "),
        meets,
        action,
        counter,
    }
}

fn comment(body: &Value) -> bool {
    body.get("name").and_then(Value::as_str) == Some("comment")
}

fn single(value: &Value) -> Option<(&str, &Value)> {
    let (kind, body) = value.as_object()?.iter().next()?;
    Some((kind.as_str(), body))
}

fn target(body: &Value) -> String {
    body.get("target")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn condition(meets: &mut Match, body: &Value) {
    let not = body.get("op").and_then(Value::as_str) == Some("!=");
    let (Some(left), Some(right)) = (body.get("left"), body.get("right")) else {
        meets.unknown = true;
        return;
    };
    let meta = left
        .get("meta")
        .and_then(|it| it.get("key"))
        .and_then(Value::as_str);
    let field = left
        .get("payload")
        .and_then(|it| Some((it.get("protocol")?.as_str()?, it.get("field")?.as_str()?)));
    let state = left
        .get("ct")
        .and_then(|it| it.get("key"))
        .and_then(Value::as_str)
        == Some("state");
    let understood;
    match (meta, field) {
        (Some("iifname" | "iif"), _) => understood = name(&mut meets.input, right, not),
        (Some("oifname" | "oif"), _) => understood = name(&mut meets.output, right, not),
        (Some("l4proto"), _) | (_, Some(("ip", "protocol"))) => {
            understood = name(&mut meets.protocol, right, not);
        }
        (_, Some(("ip", "saddr"))) => understood = nets(&mut meets.from, right, not),
        (_, Some(("ip", "daddr"))) => understood = nets(&mut meets.to, right, not),
        (_, Some((protocol @ ("udp" | "tcp" | "th"), "dport"))) => {
            if protocol != "th" {
                meets.protocol = Some((protocol.to_owned(), false));
            }
            let found: Option<Vec<_>> = items(right).into_iter().map(range).collect();
            understood = found.is_some();
            meets.port = found.map(|ports| (ports, not));
        }
        (_, Some((protocol @ ("udp" | "tcp" | "icmp"), _))) => {
            meets.protocol = Some((protocol.to_owned(), false));
            understood = false;
        }
        _ if state => {
            let found: Option<Vec<String>> = items(right)
                .into_iter()
                .map(|item| item.as_str().map(str::to_ascii_uppercase))
                .collect();
            understood = found.is_some();
            meets.states = found.map(|states| (states, not));
        }
        _ => understood = false,
    }
    meets.unknown |= !understood;
}

fn name(slot: &mut Option<(String, bool)>, right: &Value, not: bool) -> bool {
    let text = right
        .as_str()
        .map(str::to_owned)
        .or_else(|| right.as_u64().map(|number| number.to_string()));
    let known = text.is_some();
    if let Some(text) = text {
        *slot = Some((text, not));
    }
    known
}

fn nets(slot: &mut Option<(Vec<Ipv4Net>, bool)>, right: &Value, not: bool) -> bool {
    let found: Option<Vec<Ipv4Net>> = items(right).into_iter().map(prefix).collect();
    let known = found.is_some();
    if let Some(found) = found {
        *slot = Some((found, not));
    }
    known
}

/// One value, or those of a set or list.
fn items(value: &Value) -> Vec<&Value> {
    match value.get("set").unwrap_or(value) {
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

fn prefix(value: &Value) -> Option<Ipv4Net> {
    if let Some(word) = value.as_str() {
        return net(word);
    }
    let prefix = value.get("prefix")?;
    let len = u8::try_from(prefix.get("len")?.as_u64()?).ok()?;
    Ipv4Net::new(prefix.get("addr")?.as_str()?.parse().ok()?, len).ok()
}

fn range(value: &Value) -> Option<(u16, u16)> {
    let port = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok());
    if let Some(one) = port(value) {
        return Some((one, one));
    }
    let [first, last] = value.get("range")?.as_array()?.as_slice() else {
        return None;
    };
    Some((port(first)?, port(last)?))
}

/// A condition in nft's own words, as far as they are short.
fn words_of(body: &Value) -> String {
    let left = body.get("left").map(side).unwrap_or_default();
    let right = body.get("right").map(side).unwrap_or_default();
    let operator = match body.get("op").and_then(Value::as_str) {
        Some("!=") => " !=",
        _ => "",
    };
    format!("{left}{operator} {right}")
}

fn side(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!(
            "{{ {} }}",
            items.iter().map(side).collect::<Vec<_>>().join(", ")
        ),
        Value::Object(map) => match map.iter().next() {
            Some((kind, body)) => match (kind.as_str(), body) {
                ("payload", body) => format!(
                    "{} {}",
                    body.get("protocol").map(side).unwrap_or_default(),
                    body.get("field").map(side).unwrap_or_default()
                ),
                ("meta", body) => body.get("key").map(side).unwrap_or_default(),
                ("prefix", body) => format!(
                    "{}/{}",
                    body.get("addr").map(side).unwrap_or_default(),
                    body.get("len").map(side).unwrap_or_default()
                ),
                ("ct", body) => format!("ct {}", body.get("key").map(side).unwrap_or_default()),
                ("set", body) => side(body),
                (kind, _) => kind.to_owned(),
            },
            None => String::new(),
        },
        other => other.to_string(),
    }
}
