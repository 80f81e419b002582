//! `subnet.env`: what the agent writes for Docker and reads back for its previous subnet
//! (flannel-compat 4.1). Parsed as data, never executed.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// The file's contents. Subnets are given as bases; the file holds base + 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubnetEnv {
    /// `FLANNEL_NETWORK` and the node's subnet (base), when IPv4 is on.
    pub v4: Option<(Ipv4Net, Ipv4Net)>,
    /// `FLANNEL_IPV6_NETWORK` and the node's subnet (base), when IPv6 is on.
    pub v6: Option<(Ipv6Net, Ipv6Net)>,
    /// `FLANNEL_MTU`.
    pub mtu: u32,
    /// `FLANNEL_IPMASQ`: true when flannel does the masquerading.
    pub ip_masq: bool,
}

/// Subnets of an earlier run (bases), as far as the file held exactly one valid value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreviousSubnets {
    /// From `FLANNEL_SUBNET`.
    pub v4: Option<Ipv4Net>,
    /// From `FLANNEL_IPV6_SUBNET`.
    pub v6: Option<Ipv6Net>,
}

/// One `KEY=VALUE` of a dotenv file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Line number, from 1.
    pub line: usize,
    /// Name, `export ` removed.
    pub key: String,
    /// Value, quotes and comment removed.
    pub value: String,
}

/// Why a line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// Neither empty, nor a comment, nor `KEY=VALUE`.
    #[error("line {line} is not KEY=VALUE")]
    Line {
        /// From 1.
        line: usize,
    },
    /// A quote without its twin, or text after the closing one.
    #[error("line {line}: the value's quotes do not match")]
    Quotes {
        /// From 1.
        line: usize,
    },
}

impl SubnetEnv {
    /// The file byte for byte as flanneld writes it.
    pub fn render(&self) -> String {
        let mut text = String::new();
        if let Some((network, subnet)) = self.v4 {
            let first = Ipv4Addr::from_bits(subnet.addr().to_bits().wrapping_add(1));
            let len = subnet.prefix_len();
            line(&mut text, "NETWORK", network.trunc());
            line(&mut text, "SUBNET", format_args!("{first}/{len}"));
        }
        if let Some((network, subnet)) = self.v6 {
            let first = Ipv6Addr::from_bits(subnet.addr().to_bits().wrapping_add(1));
            let len = subnet.prefix_len();
            line(&mut text, "IPV6_NETWORK", network.trunc());
            line(&mut text, "IPV6_SUBNET", format_args!("{first}/{len}"));
        }
        line(&mut text, "MTU", self.mtu);
        line(&mut text, "IPMASQ", self.ip_masq);
        text
    }
}

fn line(text: &mut String, key: &str, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(text, "FLANNEL_{key}={value}");
}

/// Reads dotenv text: `export `, quotes and `#` comments are understood; nothing is expanded or run.
///
/// # Errors
/// `EnvError` names the line.
pub fn parse(text: &str) -> Result<Vec<Assignment>, EnvError> {
    let mut assignments = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let line = index + 1;
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let text = match text.strip_prefix("export") {
            Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
            _ => text,
        };
        let (key, rest) = text.split_once('=').ok_or(EnvError::Line { line })?;
        if !is_name(key) {
            return Err(EnvError::Line { line });
        }
        assignments.push(Assignment {
            line,
            key: key.to_owned(),
            value: value(rest).ok_or(EnvError::Quotes { line })?,
        });
    }
    Ok(assignments)
}

/// What a shell takes for a variable's name.
fn is_name(key: &str) -> bool {
    !key.starts_with(|first: char| first.is_ascii_digit())
        && !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The value without quotes and comment; `None` where the quotes do not match.
fn value(text: &str) -> Option<String> {
    let text = text.trim_start();
    let mut letters = text.chars();
    let quote = match letters.next() {
        Some(quote @ ('"' | '\'')) => quote,
        _ => return Some(unquoted(text).to_owned()),
    };
    let mut value = String::new();
    loop {
        match letters.next()? {
            letter if letter == quote => break,
            '\\' if quote == '"' => match letters.next()? {
                escaped @ ('"' | '\\' | '$' | '`') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            letter => value.push(letter),
        }
    }
    let rest = letters.as_str();
    let over = rest.trim_start();
    let comment = over.starts_with('#') && rest.starts_with([' ', '\t']);
    (over.is_empty() || comment).then_some(value)
}

/// Up to a comment, which starts at the beginning or after a blank.
fn unquoted(text: &str) -> &str {
    let comment = text
        .match_indices('#')
        .map(|(at, _)| text.get(..at).unwrap_or_default())
        .find(|before| before.is_empty() || before.ends_with([' ', '\t']));
    comment.unwrap_or(text).trim_end()
}

/// The previous subnets by flanneld's lenient rule: whatever cannot be read is "none".
pub fn previous(text: &str) -> PreviousSubnets {
    let assignments = parse(text).unwrap_or_default();
    let value = |key: &str| {
        let last = assignments.iter().rev().find(|a| a.key == key);
        last.map_or("", |a| a.value.as_str())
    };
    PreviousSubnets {
        v4: only(value("FLANNEL_SUBNET")).map(|net: Ipv4Net| net.trunc()),
        v6: only(value("FLANNEL_IPV6_SUBNET")).map(|net: Ipv6Net| net.trunc()),
    }
}

/// The one network of a comma-separated list in which others may be unreadable, as in flanneld.
fn only<T: std::str::FromStr>(list: &str) -> Option<T> {
    let mut readable = list.split(',').filter_map(|text| text.parse().ok());
    let first = readable.next();
    first.filter(|_| readable.next().is_none())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn env() -> SubnetEnv {
        SubnetEnv {
            v4: Some((
                "10.5.0.0/16".parse().unwrap(),
                "10.5.52.0/24".parse().unwrap(),
            )),
            v6: None,
            mtu: 1450,
            ip_masq: true,
        }
    }

    #[test]
    fn the_file_is_flannelds_byte_for_byte() {
        let both = SubnetEnv {
            v6: Some((
                "2001:cafe:42::/56".parse().unwrap(),
                "2001:cafe:42:39::/64".parse().unwrap(),
            )),
            ..env()
        };
        let four = "FLANNEL_NETWORK=10.5.0.0/16\nFLANNEL_SUBNET=10.5.52.1/24\n";
        let six =
            "FLANNEL_IPV6_NETWORK=2001:cafe:42::/56\nFLANNEL_IPV6_SUBNET=2001:cafe:42:39::1/64\n";
        let rest = "FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";
        assert_eq!(both.render(), format!("{four}{six}{rest}"));
        assert_eq!(env().render(), format!("{four}{rest}"));
        let six_only = SubnetEnv { v4: None, ..both };
        assert_eq!(six_only.render(), format!("{six}{rest}"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let previous = previous(&env().render());
        assert_eq!(previous.v4, env().v4.map(|(_, subnet)| subnet));
        assert_eq!(previous.v6, None);
    }

    #[test]
    fn dotenv_lines() {
        for (line, value) in [
            ("K=a", "a"),
            ("export K=a", "a"),
            ("export\tK=a", "a"),
            ("  K= a b  # c", "a b"),
            ("K=a#b", "a#b"),
            ("K=#b", ""),
            ("K=", ""),
            ("K=\"a # b\" # c", "a # b"),
            ("K='a\\\"$X`id`'", "a\\\"$X`id`"),
            ("K=\"a\\\"\\$X\\n\"", "a\"$X\\n"),
            ("K=$(id)", "$(id)"),
            ("K=a=b\r", "a=b"),
        ] {
            let parsed = parse(&format!("# c\n\n{line}\n")).unwrap();
            let expected = Assignment {
                line: 3,
                key: "K".to_owned(),
                value: value.to_owned(),
            };
            assert_eq!(parsed, [expected], "{line}");
        }
    }

    #[test]
    fn lines_that_are_refused() {
        for line in ["K", "=a", "a b=c", "1K=a", "K =a", "export", "K-1=a"] {
            assert_eq!(parse(line), Err(EnvError::Line { line: 1 }), "{line}");
        }
        for line in ["K=\"a", "K='a", "K=\"a\"b", "K=\"a\\\"", "K='a'#b"] {
            assert_eq!(parse(line), Err(EnvError::Quotes { line: 1 }), "{line}");
        }
    }

    #[test]
    fn previous_takes_exactly_one_valid_value() {
        let v4 = |value: &str| previous(&format!("FLANNEL_SUBNET={value}\n")).v4;
        assert_eq!(v4("10.5.52.1/24"), "10.5.52.0/24".parse().ok());
        assert_eq!(v4("'10.5.52.1/24'"), "10.5.52.0/24".parse().ok());
        assert_eq!(v4("10.5.52.1/24,junk"), "10.5.52.0/24".parse().ok());
        for value in [
            "",
            "junk",
            "10.5.52.1",
            "fd00::1/64",
            "10.5.52.1/24,10.5.53.1/24",
        ] {
            assert_eq!(v4(value), None, "{value}");
        }
        assert_eq!(
            previous("no line\nFLANNEL_SUBNET=10.5.52.1/24\n"),
            PreviousSubnets::default()
        );
    }
}
