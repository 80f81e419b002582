//! Carries out the steps of a plan: one batch of netlink messages, one outcome a step. A step that fails
//! holds up no other.

use nix::errno::Errno;

use super::error::{Cause, Error, Op};
use super::message;
use super::netlink::{Netlink, Request};
use crate::plan::Change;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Done,
    /// The kernel has changed since it was looked at, or the answer was lost: look again.
    Moved(Error),
    /// Refused.
    Refused(Error),
}

/// Carries out `changes` in their order; returns one outcome a change.
pub fn apply(netlink: &mut Netlink, changes: &[Change]) -> Vec<Outcome> {
    let requests: Vec<Request> = changes.iter().map(message::request).collect();
    let results = netlink.batch(&requests);
    let outcomes = changes
        .iter()
        .zip(results)
        .map(|(change, result)| outcome(change, result));
    let outcomes: Vec<Outcome> = outcomes.collect();
    for (change, outcome) in changes.iter().zip(&outcomes) {
        if let (Change::CreateVxlan(device), Outcome::Done) = (change, outcome) {
            refuse_router_advertisements(&device.name);
        }
    }
    outcomes
}

fn outcome(change: &Change, result: Result<(), Cause>) -> Outcome {
    let Err(cause) = result else {
        return Outcome::Done;
    };
    let creating = matches!(change, Change::CreateVxlan(_));
    let removing = matches!(
        change,
        Change::DeleteLink { .. }
            | Change::DeleteRoute(_)
            | Change::DeleteNeighbour { .. }
            | Change::DeleteFdb { .. }
            | Change::DeleteAddress(_)
    );
    let cause = match cause {
        Cause::Errno(Errno::EOPNOTSUPP, _) if creating => Cause::NoVxlan,
        cause => cause,
    };
    let moved = match &cause {
        Cause::NoAnswer => true,
        Cause::Errno(Errno::ENODEV, _) => !creating,
        Cause::Errno(Errno::ENOENT | Errno::ESRCH | Errno::EADDRNOTAVAIL, _) => removing,
        Cause::Errno(Errno::EEXIST, _) => {
            matches!(change, Change::AddAddress { .. } | Change::AddRoute(_))
        }
        _ => false,
    };
    let error = Error {
        op: if change.concerns_peer() {
            Op::ApplyPeer
        } else {
            Op::Apply
        },
        object: change.to_string(),
        cause,
    };
    if moved {
        Outcome::Moved(error)
    } else {
        Outcome::Refused(error)
    }
}

/// As flannel does: no IPv6 route is learned from inside the overlay. A kernel without IPv6 has no
/// such file.
fn refuse_router_advertisements(device: &str) {
    let path = format!("/proc/sys/net/ipv6/conf/{device}/accept_ra");
    if let Err(error) = std::fs::write(&path, "0") {
        tracing::debug!(%error, path, "cannot switch off IPv6 router advertisements");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Mac;
    use crate::plan::state::{Route, VxlanDevice};

    fn create() -> Change {
        Change::CreateVxlan(VxlanDevice {
            name: "flannel.1".to_owned(),
            vni: 1,
            underlay: 2,
            local: [192, 0, 2, 1].into(),
            port: None,
            mtu: 1450,
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            learning: false,
            gbp: false,
        })
    }

    fn errno(errno: Errno) -> Result<(), Cause> {
        Err(Cause::from_errno(errno, String::new()))
    }

    fn refusal(change: &Change, result: Result<(), Cause>) -> String {
        match outcome(change, result) {
            Outcome::Refused(error) => error.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        assert_eq!(
            refusal(&create(), errno(Errno::EPERM)),
            "cannot create device flannel.1 (VNI 1, local 192.0.2.1, MTU 1450): permission denied (needs root \
             or the capability CAP_NET_ADMIN)"
        );
        assert!(
            refusal(&create(), errno(Errno::EOPNOTSUPP))
                .ends_with("this kernel has no vxlan (try `modprobe vxlan`)")
        );
        let words = "A VXLAN device with the specified VNI already exists".to_owned();
        let told = refusal(&create(), Err(Cause::from_errno(Errno::EEXIST, words)));
        assert!(
            told.ends_with("File exists (A VXLAN device with the specified VNI already exists)")
        );
    }

    #[test]
    fn a_race_is_no_error() {
        let route = Route::flannel(ipnet::Ipv4Net::default(), None, Some(3));
        let delete = Change::DeleteRoute(route);
        for (change, code, moved) in [
            (delete.clone(), Errno::ESRCH, true),
            (delete, Errno::EINVAL, false),
            (Change::AddRoute(route), Errno::EEXIST, true),
            (
                Change::SetUp {
                    index: 3,
                    name: String::new(),
                },
                Errno::ENODEV,
                true,
            ),
            (create(), Errno::ENODEV, false),
            (create(), Errno::EEXIST, false),
        ] {
            let is = matches!(outcome(&change, errno(code)), Outcome::Moved(_));
            assert_eq!(is, moved, "{change}: {code}");
        }
    }
}
