//! Where nodes ask each other for evidence: keys below `<prefix>/diagnose`, all of one diagnosis on one short
//! etcd lease of the asking side. Outside of `subnets`, so flanneld never sees them.
//!
//! * `<prefix>/diagnose/request/<public IP>/<id>`: what one node is asked; a node watches its own folder alone.
//! * `<prefix>/diagnose/answer/<id>/<public IP>`: what it answers; the asking side watches its own alone.
//!
//! Requests are guarded by nothing but etcd's rights, so whoever reads one checks the whole of it.

mod ask;
mod hear;
mod tail;

use std::net::Ipv4Addr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::Error;

pub use ask::{Answered, Meeting};
pub use hear::{Heard, Listener, Question};

/// Seconds that the keys of a diagnosis outlive a dead asking side.
pub const LEASE_SECONDS: i64 = 60;
/// No value is written that is longer.
pub const WRITE_LIMIT: usize = 512 << 10;
/// No value is read that is longer.
pub const READ_LIMIT: usize = 1536 << 10;
/// The form of the values.
const VERSION: u32 = 1;
/// Characters of a diagnosis's id at most.
const ID_LIMIT: usize = 32;

/// Why a diagnosis cannot be arranged.
#[derive(Debug, thiserror::Error)]
pub enum MeetError {
    /// etcd does not serve.
    #[error(transparent)]
    Etcd(#[from] Error),
    /// The value is too long to be written.
    #[error("the value for {key} has {size} bytes, more than {WRITE_LIMIT}")]
    TooLong {
        /// Its key.
        key: String,
        /// Its length.
        size: usize,
    },
    /// The value cannot be made.
    #[error("cannot write {key} as JSON: {source}")]
    Form {
        /// Its key.
        key: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The question was withdrawn, or its etcd lease is gone.
    #[error("nobody waits for {key} any more")]
    Withdrawn {
        /// The answer's key.
        key: String,
    },
}

/// Why a value that another node wrote is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Longer than [`READ_LIMIT`].
    #[error("it has {0} bytes, more than {READ_LIMIT}")]
    TooLong(usize),
    /// Written by another version of flannelctl.
    #[error("it is of version {0}, and this flannelctl knows version {VERSION}")]
    Version(u32),
    /// No JSON of the right form; line and column.
    #[error("it is not of the known form (line {0}, column {1})")]
    Form(usize, usize),
}

#[derive(Serialize)]
struct Written<'a, T> {
    version: u32,
    body: &'a T,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct Read<T> {
    body: T,
}

fn write<T: Serialize>(key: &str, body: &T) -> Result<String, MeetError> {
    let value = Written {
        version: VERSION,
        body,
    };
    let text = serde_json::to_string(&value).map_err(|source| MeetError::Form {
        key: key.to_owned(),
        source,
    })?;
    match text.len() {
        size if size > WRITE_LIMIT => Err(MeetError::TooLong {
            key: key.to_owned(),
            size,
        }),
        _ => Ok(text),
    }
}

/// The bytes that a body takes in etcd.
///
/// # Errors
/// It cannot be written as JSON.
pub fn size<T: Serialize>(body: &T) -> serde_json::Result<usize> {
    let value = Written {
        version: VERSION,
        body,
    };
    Ok(serde_json::to_vec(&value)?.len())
}

fn read<T: DeserializeOwned>(value: &[u8]) -> Result<T, ReadError> {
    if value.len() > READ_LIMIT {
        return Err(ReadError::TooLong(value.len()));
    }
    let form = |error: serde_json::Error| ReadError::Form(error.line(), error.column());
    let Version { version } = serde_json::from_slice(value).map_err(form)?;
    if version != VERSION {
        return Err(ReadError::Version(version));
    }
    let Read { body } = serde_json::from_slice(value).map_err(form)?;
    Ok(body)
}

/// The folder of the questions to one node, with its slash.
fn questions(root: &str, node: Ipv4Addr) -> String {
    format!("{root}/request/{node}/")
}

/// The folder of the answers to one diagnosis, with its slash.
fn answers(root: &str, id: &str) -> String {
    format!("{root}/answer/{id}/")
}

/// An id as we write them; anything else in its place is not answered.
fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= ID_LIMIT
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::diagnose::request::Request;

    #[test]
    fn values_carry_their_version() {
        let text = write("/k", &Request::Collect).unwrap();
        assert_eq!(text, r#"{"version":1,"body":{"step":"collect"}}"#);
        assert_eq!(read::<Request>(text.as_bytes()), Ok(Request::Collect));
        assert_eq!(size(&Request::Collect).unwrap(), text.len());
    }

    #[test]
    fn foreign_values_are_refused_with_the_reason() {
        let newer = r#"{"version":2,"body":{"step":"dance"}}"#;
        assert_eq!(
            read::<Request>(newer.as_bytes()),
            Err(ReadError::Version(2))
        );
        for junk in ["", "{", "[]", "{\"version\":1}", "\u{1b}[2J"] {
            let error = read::<Request>(junk.as_bytes()).unwrap_err();
            assert!(matches!(error, ReadError::Form(..)), "{junk:?}");
        }
        let long = vec![b' '; READ_LIMIT + 1];
        assert_eq!(
            read::<Request>(&long),
            Err(ReadError::TooLong(READ_LIMIT + 1))
        );
        let deep = format!("{{\"version\":1,\"body\":{}", "[".repeat(100_000));
        assert!(read::<Request>(deep.as_bytes()).is_err());
        assert!(matches!(
            write("/k", &"x".repeat(WRITE_LIMIT)),
            Err(MeetError::TooLong { .. })
        ));
    }

    #[test]
    fn ids_cannot_leave_their_folder() {
        assert!(is_id("0123456789abcdef"));
        for bad in ["", "a/b", "..", "a\u{1b}", &"a".repeat(33)] {
            assert!(!is_id(bad), "{bad:?}");
        }
    }
}
