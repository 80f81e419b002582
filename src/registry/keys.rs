//! Flannel's keys below the prefix (flannel-compat 2.1, 2.2). Pure: text in, text out.

use etcd_client::KeyValue;

use crate::subnet::key::KeyError;
use crate::subnet::{Origin, Record, RecordError, SubnetKey, Unreadable};

/// The keys of one network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    /// `<prefix>/config`.
    pub(super) config: String,
    /// `<prefix>/subnets`, without trailing slash: where flanneld's list and watch begin.
    pub(super) subnets: String,
    /// `<prefix>/diagnose`, without trailing slash: where nodes ask each other for evidence.
    pub(super) diagnose: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            config: clean(&format!("{prefix}/config"), prefix),
            subnets: clean(&format!("{prefix}/subnets"), prefix),
            diagnose: clean(&format!("{prefix}/diagnose"), prefix),
        }
    }

    /// First key after flanneld's range.
    pub(super) fn subnets_end(&self) -> Vec<u8> {
        after_prefix(&self.subnets)
    }

    /// The full key of a record's name.
    pub(super) fn subnet(&self, name: &str) -> String {
        format!("{}/{name}", self.subnets)
    }

    /// True for a key of flanneld's range.
    pub(super) fn in_range(&self, key: &[u8]) -> bool {
        key.starts_with(self.subnets.as_bytes())
    }

    /// The name of a key of the range: what follows `<prefix>/subnets/`, or, beside that folder,
    /// what follows `<prefix>/`. Bytes that are no UTF-8 are escaped.
    pub(super) fn name(&self, key: &[u8]) -> String {
        let tail = match self.tail(key) {
            Some(tail) => tail,
            None => key
                .get(self.subnets.len() - "subnets".len()..)
                .unwrap_or(key),
        };
        match std::str::from_utf8(tail) {
            Ok(text) => text.to_owned(),
            Err(_) => tail.escape_ascii().to_string(),
        }
    }

    fn tail<'a>(&self, key: &'a [u8]) -> Option<&'a [u8]> {
        key.strip_prefix(self.subnets.as_bytes())?
            .strip_prefix(b"/")
    }

    /// Reads one key-value pair of the range. Never fails: what cannot be read is a record too.
    pub(super) fn record(&self, kv: &KeyValue) -> Record {
        let origin = Origin {
            lease_id: kv.lease(),
            create_revision: kv.create_revision(),
            mod_revision: kv.mod_revision(),
        };
        match self.tail(kv.key()).map(std::str::from_utf8) {
            Some(Ok(name)) => Record::read(name, kv.value(), origin),
            tail => {
                let reason = if tail.is_some() {
                    KeyError::Form
                } else {
                    KeyError::Folder
                };
                let name = self.name(kv.key());
                Record::Unreadable(Unreadable {
                    // flanneld would take it for a lease: its subnet is not ours to give away.
                    key: SubnetKey::parse(&name).ok(),
                    name,
                    reason: RecordError::Key(reason),
                    origin,
                })
            }
        }
    }
}

/// First key after all those that begin with `prefix`, whose last byte is a letter or digit of ours.
pub(super) fn after_prefix(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}

/// Cleans a path as flanneld does: doubled and trailing slashes, `.` and `..` vanish; a missing
/// leading slash is kept missing.
fn clean(path: &str, prefix: &str) -> String {
    let rooted = prefix.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(part),
            },
            name => parts.push(name),
        }
    }
    let joined = parts.join("/");
    if rooted { format!("/{joined}") } else { joined }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_cleaned_as_flanneld_does() {
        for (prefix, config) in [
            ("/coreos.com/network", "/coreos.com/network/config"),
            ("/coreos.com//network//", "/coreos.com/network/config"),
            ("coreos.com/network", "coreos.com/network/config"),
            ("", "config"),
            ("/", "/config"),
            ("/a/./b/../c", "/a/c/config"),
            ("/../a", "/a/config"),
            ("../a", "../a/config"),
        ] {
            assert_eq!(Keys::new(prefix).config, config, "{prefix}");
        }
    }

    #[test]
    fn the_range_is_flannelds() {
        let keys = Keys::new("/n");
        assert_eq!(keys.subnets, "/n/subnets");
        assert_eq!(keys.subnets_end(), b"/n/subnett");
        assert!(keys.in_range(b"/n/subnets-old/10.5.1.0-24"));
        assert!(!keys.in_range(b"/n/config"));
    }

    #[test]
    fn names_are_below_the_folder_or_below_the_prefix() {
        let keys = Keys::new("/n");
        assert_eq!(keys.name(b"/n/subnets/10.5.1.0-24"), "10.5.1.0-24");
        assert_eq!(keys.name(b"/n/subnets/a/b"), "a/b");
        assert_eq!(keys.name(b"/n/subnets-old/x"), "subnets-old/x");
        assert_eq!(keys.name(b"/n/subnets"), "subnets");
        assert_eq!(keys.name(b"/n/subnets/\xff\n"), "\\xff\\n");
        assert_eq!(Keys::new("").name(b"subnetsX"), "subnetsX");
    }
}
