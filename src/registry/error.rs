//! What can go wrong with etcd, as types: the operation, the key, the endpoint, the kind.

use std::fmt;
use std::time::Duration;

use tonic::Code;

use super::text::plain;

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Reading one key.
    Read,
    /// Listing a range.
    List,
    /// Writing one key.
    Write,
    /// Deleting one key.
    Delete,
    /// Watching.
    Watch,
    /// Granting an etcd lease.
    Grant,
    /// Revoking an etcd lease.
    Revoke,
    /// Refreshing an etcd lease.
    KeepAlive,
    /// Reading how long an etcd lease still lives.
    TimeToLive,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Watch => "watch",
            Self::Grant => "grant an etcd lease for",
            Self::Revoke => "revoke",
            Self::KeepAlive => "refresh",
            Self::TimeToLive => "read the time to live of",
        })
    }
}

/// A status that etcd or the way to it answered with. The message is made safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// gRPC status code.
    pub code: Code,
    /// What etcd, TLS or the kernel said, control characters escaped.
    pub message: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            write!(f, "{}", self.code.description())
        } else {
            f.write_str(&self.message)
        }
    }
}

/// Why one endpoint did not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// No answer in this time.
    Silence(Duration),
    /// It was never asked, because the time was up.
    NotAsked,
    /// The connection failed or the member cannot serve now.
    Failed(Answer),
}

/// One endpoint with the reason why it did not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointFailure {
    /// URL of the endpoint.
    pub endpoint: String,
    /// Why.
    pub cause: Cause,
}

impl fmt::Display for EndpointFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.endpoint)?;
        match &self.cause {
            Cause::Silence(after) => write!(f, "no answer within {:.1} s", after.as_secs_f64()),
            Cause::NotAsked => f.write_str("not asked, the time was up"),
            Cause::Failed(answer) => write!(f, "{answer}"),
        }
    }
}

/// Each endpoint with its reason, on one line.
fn list(failures: &[EndpointFailure]) -> String {
    let each: Vec<String> = failures.iter().map(ToString::to_string).collect();
    each.join("; ")
}

/// Why an operation in etcd failed. Names operation, key and endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No endpoint served in time. Trying again later may help.
    #[error("cannot {operation} {key}: etcd cannot be reached: {}", list(.failures))]
    Unreachable {
        /// What was being done.
        operation: Operation,
        /// With what.
        key: String,
        /// Every endpoint with its reason.
        failures: Vec<EndpointFailure>,
    },
    /// etcd refused the user, its password or its rights.
    #[error("cannot {operation} {key}: etcd at {endpoint} denies it: {answer}")]
    Denied {
        /// What was being done.
        operation: Operation,
        /// With what.
        key: String,
        /// Who refused.
        endpoint: String,
        /// etcd's words.
        answer: Answer,
    },
    /// The revision asked for is no longer (compacted) or not yet (an older backup) in etcd.
    #[error("cannot {operation} {key}: the revision is not in etcd at {endpoint}: {answer}")]
    Compacted {
        /// What was being done.
        operation: Operation,
        /// With what.
        key: String,
        /// Who refused.
        endpoint: String,
        /// etcd's words.
        answer: Answer,
    },
    /// etcd answered with another error; asking another member would not help.
    #[error("cannot {operation} {key}: etcd at {endpoint} answered: {answer}")]
    Refused {
        /// What was being done.
        operation: Operation,
        /// With what.
        key: String,
        /// Who refused.
        endpoint: String,
        /// etcd's words.
        answer: Answer,
    },
}

/// What to do about an error of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Ask another endpoint. `answered`: the member itself said so (it lives, but has no leader, …).
    Rotate { answered: bool },
    /// The token is missing or stale: authenticate anew, once.
    Reauthenticate,
    /// Credentials or rights do not suffice.
    Denied,
    /// The revision is not there.
    Compacted,
    /// Final for another reason.
    Final,
}

/// Sorts an error of etcd-client and makes its text safe.
pub(super) fn judge(error: &etcd_client::Error) -> (Verdict, Answer) {
    use etcd_client::Error as E;
    match error {
        E::GRpcStatus(status) => {
            let transport = std::error::Error::source(status).is_some();
            let verdict = verdict(status.code(), status.message(), transport);
            (verdict, answer(status.code(), status.message(), status))
        }
        E::TransportError(inner) => (
            Verdict::Rotate { answered: false },
            answer(Code::Unavailable, &inner.to_string(), inner),
        ),
        other => (
            Verdict::Rotate { answered: false },
            Answer {
                code: Code::Unknown,
                message: plain(&other.to_string()),
            },
        ),
    }
}

/// The message with what lies below it: "tcp connect error" alone helps nobody.
fn answer(code: Code, message: &str, error: &dyn std::error::Error) -> Answer {
    let mut parts = vec![message.to_owned()];
    let mut below = error.source();
    while let Some(inner) = below {
        let text = inner.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        below = inner.source();
    }
    parts.retain(|part| !part.is_empty() && part != "transport error");
    Answer {
        code,
        message: plain(&parts.join(": ")),
    }
}

fn verdict(code: Code, message: &str, transport: bool) -> Verdict {
    let rotate = Verdict::Rotate {
        answered: !transport,
    };
    match code {
        Code::Unauthenticated => Verdict::Reauthenticate,
        Code::PermissionDenied => Verdict::Denied,
        // etcd's words for a token of before a change of users, and for no token at all.
        Code::InvalidArgument
            if message.contains("auth store is old") || message.contains("user name is empty") =>
        {
            Verdict::Reauthenticate
        }
        Code::InvalidArgument | Code::FailedPrecondition
            if message.contains("authentication") || message.contains("user name") =>
        {
            Verdict::Denied
        }
        Code::OutOfRange if message.contains("revision") => Verdict::Compacted,
        Code::ResourceExhausted if message.contains("too many requests") => rotate,
        Code::Unavailable
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Internal
        | Code::Cancelled
        | Code::Aborted
        | Code::DataLoss
        // Not an etcd v3 at all: another endpoint may be one.
        | Code::Unimplemented => rotate,
        _ => Verdict::Final,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_sorted() {
        let of = |code, message: &str| verdict(code, message, false);
        assert_eq!(
            of(Code::Unavailable, "etcdserver: no leader"),
            Verdict::Rotate { answered: true }
        );
        assert_eq!(
            of(Code::PermissionDenied, "etcdserver: permission denied"),
            Verdict::Denied
        );
        assert_eq!(
            of(
                Code::InvalidArgument,
                "etcdserver: authentication failed, invalid user ID or password"
            ),
            Verdict::Denied
        );
        assert_eq!(
            of(
                Code::InvalidArgument,
                "etcdserver: revision of auth store is old"
            ),
            Verdict::Reauthenticate
        );
        assert_eq!(
            of(
                Code::OutOfRange,
                "etcdserver: mvcc: required revision has been compacted"
            ),
            Verdict::Compacted
        );
        assert_eq!(
            of(
                Code::ResourceExhausted,
                "etcdserver: mvcc: database space exceeded"
            ),
            Verdict::Final
        );
    }

    #[test]
    fn a_server_cannot_write_to_the_terminal() {
        let status = tonic::Status::new(Code::Unavailable, "\u{1b}[2Jgone");
        let (_, answer) = judge(&etcd_client::Error::GRpcStatus(status));
        assert_eq!(answer.message, "\\u{1b}[2Jgone");
    }

    #[test]
    fn unreachable_names_each_endpoint() {
        let error = Error::Unreachable {
            operation: Operation::Read,
            key: "/n/config".into(),
            failures: vec![
                EndpointFailure {
                    endpoint: "http://192.0.2.1:2379".into(),
                    cause: Cause::Silence(Duration::from_secs(5)),
                },
                EndpointFailure {
                    endpoint: "http://192.0.2.2:2379".into(),
                    cause: Cause::Failed(Answer {
                        code: Code::Unavailable,
                        message: "refused".into(),
                    }),
                },
            ],
        };
        assert_eq!(
            error.to_string(),
            "cannot read /n/config: etcd cannot be reached: http://192.0.2.1:2379: no answer \
             within 5.0 s; http://192.0.2.2:2379: refused"
        );
    }
}
