//! JSON objects by the rules of Go's decoder, which are part of flannel's contract
//! (flannel-compat 1.1): keys match without case, every occurrence counts in the order of the text (so
//! the last duplicate wins), unknown keys are ignored, text after the object is refused. Values stay raw
//! text until a field asks for them: their spelling matters (`24.0` is no integer).

use std::borrow::Cow;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of one object, in the order of the text, duplicates and all.
#[derive(Debug)]
pub struct Members<'a>(Vec<(String, &'a RawValue)>);

/// Why a text is no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// Not JSON, or something follows it.
    #[error("not valid JSON at line {line}, column {column}")]
    Syntax {
        /// From 1.
        line: usize,
        /// From 1; 0 at the start of a line.
        column: usize,
    },
    /// Another JSON value.
    #[error("not a JSON object")]
    NotAnObject,
}

/// A value of another type than the field's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not of the field's type")]
pub struct WrongType;

/// Go reads bytes that are no UTF-8 inside of strings as U+FFFD; elsewhere they are a syntax error.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Reads one object and nothing else; `null` gives no members. Nested values are only skipped here,
/// without recursion, so their depth does no harm.
///
/// # Errors
/// `ObjectError` for anything else.
pub fn members(text: &str) -> Result<Members<'_>, ObjectError> {
    let blank = [' ', '\t', '\r', '\n'];
    if text.trim_matches(blank) == "null" {
        return Ok(Members(Vec::new()));
    }
    let syntax = |error: serde_json::Error| ObjectError::Syntax {
        line: error.line(),
        column: error.column(),
    };
    if text.trim_start_matches(blank).starts_with('{') {
        return serde_json::from_str(text).map_err(syntax);
    }
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(IgnoredAny) => Err(ObjectError::NotAnObject),
        Err(error) => Err(syntax(error)),
    }
}

impl<'a> Members<'a> {
    /// Key (folded, see [`fold`]) and raw value of each member.
    pub fn iter(&self) -> impl Iterator<Item = (String, &'a str)> + '_ {
        self.0.iter().map(|(key, value)| (fold(key), value.get()))
    }

    /// Key as written and raw value of each member.
    pub fn as_written(&self) -> impl Iterator<Item = (&str, &'a str)> + '_ {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.get()))
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The form in which Go compares keys: without case, and with the two other letters that fold to ASCII.
pub fn fold(key: &str) -> String {
    key.chars()
        .map(|letter| match letter {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

/// An unsigned integer literal; `None` for `null`, which changes nothing in Go.
///
/// # Errors
/// `WrongType` for signs, fractions, exponents, strings and what does not fit 64 bits.
pub fn uint(raw: &str) -> Result<Option<u64>, WrongType> {
    match raw {
        "null" => Ok(None),
        _ if raw.bytes().all(|byte| byte.is_ascii_digit()) => {
            raw.parse().map(Some).map_err(|_| WrongType)
        }
        _ => Err(WrongType),
    }
}

/// A boolean; `None` for `null`, which changes nothing in Go.
///
/// # Errors
/// `WrongType` for anything else, `"true"` included.
pub fn boolean(raw: &str) -> Result<Option<bool>, WrongType> {
    match raw {
        "null" => Ok(None),
        "true" => Ok(Some(true)),
        "false" => Ok(Some(false)),
        _ => Err(WrongType),
    }
}

/// A string; `None` for `null`, which changes nothing in Go.
///
/// # Errors
/// `WrongType` for anything else.
pub fn string(raw: &str) -> Result<Option<String>, WrongType> {
    serde_json::from_str(raw).map_err(|_| WrongType)
}

/// The text of an address field, as flannel takes it: the raw value without its quotes, `null` included.
pub fn address(raw: &str) -> &str {
    raw.trim_matches('"')
}

/// An IPv4 address as Go reads it: a dotted quad, or an IPv6 text that maps one.
pub fn ipv4(text: &str) -> Option<Ipv4Addr> {
    match text.parse() {
        Ok(quad) => Some(quad),
        Err(_) => text.parse::<Ipv6Addr>().ok()?.to_ipv4_mapped(),
    }
}

/// An IPv6 address as Go reads it: a dotted quad is mapped.
pub fn ipv6(text: &str) -> Option<Ipv6Addr> {
    match text.parse() {
        Ok(address) => Some(address),
        Err(_) => Some(text.parse::<Ipv4Addr>().ok()?.to_ipv6_mapped()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let members = members(text).unwrap();
        members.iter().map(|(k, v)| (k, v.to_owned())).collect()
    }

    #[test]
    fn duplicates_stay_in_the_order_of_the_text() {
        let all = pairs(" {\"A\":1, \"b\":{\"x\":[1, 2]}, \"a\" : 24.0,\"A\":null}\n");
        let all: Vec<_> = all.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let nested = ("b", "{\"x\":[1, 2]}");
        assert_eq!(all, [("a", "1"), nested, ("a", "24.0"), ("a", "null")]);
    }

    #[test]
    fn whatever_is_no_object_is_refused() {
        for text in ["[]", "1", "\"{}\"", " true "] {
            assert_eq!(members(text).unwrap_err(), ObjectError::NotAnObject);
        }
        let broken = [
            "",
            "{",
            "{}x",
            "{}{}",
            "{\"a\":1,}",
            "{/**/}",
            "{a:1}",
            "nul",
            "null null",
            "\u{feff}{}",
        ];
        for text in broken {
            let error = members(text).unwrap_err();
            assert!(matches!(error, ObjectError::Syntax { .. }), "{text}");
        }
        assert!(pairs("null").is_empty());
    }

    #[test]
    fn depth_is_harmless() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(pairs(&deep).len(), 1);
    }

    #[test]
    fn keys_fold_as_in_go() {
        assert_eq!(fold("\u{17f}ubnetLen"), "subnetlen");
        assert_eq!(fold("Bac\u{212a}end"), "backend");
        assert_eq!(fold("İ"), "İ");
    }

    #[test]
    fn scalars() {
        assert_eq!(uint("24"), Ok(Some(24)));
        assert_eq!(uint("null"), Ok(None));
        for raw in [
            "24.0",
            "2.4e1",
            "-1",
            "-0",
            "\"24\"",
            "18446744073709551616",
            "true",
        ] {
            assert_eq!(uint(raw), Err(WrongType), "{raw}");
        }
        assert_eq!(boolean("\"true\""), Err(WrongType));
        assert_eq!(string("\"a\\u003cb\""), Ok(Some("a<b".to_owned())));
        assert_eq!(string("5"), Err(WrongType));
        assert_eq!(ipv4("::ffff:1.2.3.4"), Some(Ipv4Addr::new(1, 2, 3, 4)));
        assert_eq!(ipv4("01.2.3.4"), None);
        assert_eq!(ipv4("::1.2.3.4"), None);
        assert_eq!(ipv4("fe80::1%eth0"), None);
        assert_eq!(ipv6("1.2.3.4"), "::ffff:1.2.3.4".parse().ok());
    }
}
