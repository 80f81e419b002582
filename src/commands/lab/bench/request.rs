//! What was typed → what is to be measured.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bench::{DataPath, Plan, Underlay};
use crate::cli::{BenchArgs, PathArg, UnderlayArg};
use crate::exit::Failure;

/// What is to be measured, and by which programs.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) plan: Plan,
    pub(super) own: PathBuf,
    pub(super) binary: PathBuf,
    pub(super) peer: Option<PathBuf>,
    pub(super) agent_args: Vec<String>,
}

impl Request {
    /// Usage failures name the flag.
    pub(super) fn new(args: &BenchArgs) -> Result<Self, Failure> {
        let peer = args.peer_binary.as_deref();
        let peer = peer.map(|p| program("--peer-binary", p)).transpose()?;
        let own = std::env::current_exe().map_err(|error| {
            Failure::could_not_run(format!("cannot find this program's own file: {error}"))
        })?;
        let binary = match &args.binary {
            Some(path) => program("--binary", path)?,
            None => own.clone(),
        };
        let (rounds, seconds) = if args.quick { (1, 0.2) } else { (3, 0.4) };
        Ok(Self {
            plan: Plan {
                underlays: underlays(&args.underlay),
                paths: paths(&args.path, peer.is_some())?,
                rounds: args.rounds.unwrap_or(rounds),
                window: Duration::from_secs_f64(args.seconds.unwrap_or(seconds)),
            },
            own,
            binary,
            peer,
            agent_args: args.agent_arg.clone(),
        })
    }
}

fn program(flag: &str, path: &Path) -> Result<PathBuf, Failure> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match path.is_file() {
        true => Ok(path),
        false => Err(Failure::usage(format!(
            "{flag}: there is no file {}",
            path.display()
        ))),
    }
}

fn underlays(asked: &[UnderlayArg]) -> Vec<Underlay> {
    let pairs = [
        (UnderlayArg::Veth, Underlay::Veth),
        (UnderlayArg::Wire, Underlay::Wire),
    ];
    let wanted = |arg: &UnderlayArg| asked.is_empty() || asked.contains(arg);
    let wanted = pairs.into_iter().filter(|(arg, _)| wanted(arg));
    wanted.map(|(_, underlay)| underlay).collect()
}

fn paths(asked: &[PathArg], has_peer: bool) -> Result<Vec<DataPath>, Failure> {
    let of_peer = |path: DataPath| matches!(path, DataPath::PeerVxlan | DataPath::PeerUdp);
    let asked: Vec<DataPath> = asked.iter().map(|arg| data_path(*arg)).collect();
    if let Some(path) = asked.iter().find(|path| of_peer(**path) && !has_peer) {
        let what = format!("--path {} needs --peer-binary", path.name());
        return Err(Failure::usage(what));
    }
    let wanted = |path: &DataPath| match path {
        DataPath::Vxlan => true,
        path if asked.is_empty() => !of_peer(*path) || has_peer,
        path => asked.contains(path),
    };
    Ok(DataPath::ALL.into_iter().filter(wanted).collect())
}

fn data_path(arg: PathArg) -> DataPath {
    match arg {
        PathArg::Bare => DataPath::Bare,
        PathArg::HostGw => DataPath::HostGw,
        PathArg::Vxlan => DataPath::Vxlan,
        PathArg::Udp => DataPath::Udp,
        PathArg::UdpPlain => DataPath::UdpPlain,
        PathArg::PeerVxlan => DataPath::PeerVxlan,
        PathArg::PeerUdp => DataPath::PeerUdp,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn vxlan_is_always_measured_and_peers_need_a_peer() {
        let names = |asked: &[PathArg], peer| -> Vec<_> {
            let paths = paths(asked, peer).unwrap();
            paths.into_iter().map(DataPath::name).collect()
        };
        let ours = ["bare", "host-gw", "vxlan", "udp", "udp-plain"];
        assert_eq!(names(&[], false), ours);
        assert_eq!(names(&[], true).len(), 7);
        assert_eq!(names(&[PathArg::Udp], true), ["vxlan", "udp"]);
        let error = paths(&[PathArg::PeerUdp], false).unwrap_err();
        assert_eq!(error.to_string(), "--path peer-udp needs --peer-binary");
    }

    #[test]
    fn a_missing_program_is_named_with_its_flag() {
        let args = BenchArgs {
            peer_binary: Some("/nowhere/flanneld".into()),
            ..BenchArgs::default()
        };
        let error = Request::new(&args).unwrap_err().to_string();
        assert_eq!(error, "--peer-binary: there is no file /nowhere/flanneld");
    }
}
