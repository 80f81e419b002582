//! Completion: the shell's script asks this program what may follow. Subnets and nodes come from etcd, containers
//! from this host's Docker, checks from the catalog, places from the running lab. Whatever does not answer in time is left out without a word:
//! a key was pressed, nobody waits for a message.

mod script;

use std::ffi::OsStr;
use std::sync::mpsc;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::cli::{Cli, EtcdArgs, argv};
use crate::diagnose::catalog;
use crate::kernel::containers;
use crate::lab::fault::{FAULTS, Fault};
use crate::lab::record::{NodeRecord, Record as LabRecord};
use crate::registry::Registry;
use crate::settings::{self, Environment};
use crate::subnet::Record;

pub(super) use script::registration;
use script::{SHELLS, VARIABLE};

/// All answers together may take this long.
const BUDGET: Duration = Duration::from_millis(300);

/// Answers the shell and ends the process, if a shell's completion asks. To be called before any thread is started.
pub fn answer_shell() {
    CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .shells(SHELLS)
        .complete();
}

/// The command line with what completes its values.
fn command() -> clap::Command {
    let by_node = || ArgValueCompleter::new(|typed: &OsStr| matching(typed, || asked(nodes)));
    let by_check = || ArgValueCompleter::new(|typed: &OsStr| matching(typed, checks));
    Cli::command()
        .mut_subcommand("leases", |leases| {
            leases.mut_arg("lookup", |arg| arg.add(by_node()))
        })
        .mut_subcommand("diagnose", |diagnose| {
            diagnose
                .mut_arg("target", |arg| arg.add(ArgValueCompleter::new(targets)))
                .mut_arg("source", |arg| arg.add(ArgValueCompleter::new(sources)))
                .mut_arg("only", |arg| arg.add(by_check()))
                .mut_arg("skip", |arg| arg.add(by_check()))
                .mut_subcommand("explain", |explain| {
                    explain.mut_arg("id", |arg| arg.add(by_check()))
                })
        })
        .mut_subcommand("lab", |lab| {
            let by = |words: fn() -> Vec<Word>| {
                ArgValueCompleter::new(move |typed: &OsStr| matching(typed, words))
            };
            lab.mut_subcommand("exec", |exec| {
                exec.mut_arg("place", |arg| arg.add(by(places)))
            })
            .mut_subcommand("fault", |fault| {
                fault
                    .mut_arg("name", |arg| arg.add(by(faults)))
                    .mut_arg("node", |arg| arg.add(by(lab_nodes)))
            })
        })
}

/// A word and what is said of it.
type Word = (String, String);

fn matching(typed: &OsStr, words: impl FnOnce() -> Vec<Word>) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let fitting = words()
        .into_iter()
        .filter(|(word, _)| word.starts_with(&*typed));
    fitting
        .map(|(word, help)| {
            let help = Some(help).filter(|help| !help.is_empty());
            CompletionCandidate::new(word).help(help.map(Into::into))
        })
        .collect()
}

fn targets(typed: &OsStr) -> Vec<CompletionCandidate> {
    // Both at the same time: they share the budget.
    matching(typed, || {
        let (nodes, containers) = (later(nodes), later(containers));
        let (nodes, containers) = (nodes(), containers());
        let names = containers
            .iter()
            .map(|(name, address)| (name.clone(), format!("container {address}")));
        let addresses = containers
            .iter()
            .map(|(name, address)| (address.clone(), format!("container {name}")));
        nodes.into_iter().chain(names).chain(addresses).collect()
    })
}

fn sources(typed: &OsStr) -> Vec<CompletionCandidate> {
    let fixed = [
        ("host", "this host"),
        ("container", "a container, or a temporary endpoint"),
    ];
    matching(typed, || {
        let containers = asked(containers).into_iter();
        let addresses = containers.map(|(name, address)| (address, format!("container {name}")));
        let fixed = fixed.map(|(word, help)| (word.to_owned(), help.to_owned()));
        fixed.into_iter().chain(addresses).collect()
    })
}

/// Every check by its identifier.
fn checks() -> Vec<Word> {
    let word = |check: &catalog::Entry| (check.id.to_owned(), check.title.to_owned());
    catalog::all().map(word).collect()
}

/// Where `lab exec` runs something.
fn places() -> Vec<Word> {
    let lab = LabRecord::running();
    let places = lab.map(|lab| lab.places()).unwrap_or_default();
    places
        .into_iter()
        .map(|place| (place, String::new()))
        .collect()
}

fn lab_nodes() -> Vec<Word> {
    let lab = LabRecord::running();
    let nodes = lab.map(|lab| lab.nodes).unwrap_or_default();
    let word = |node: NodeRecord| (node.name, node.address.to_string());
    nodes.into_iter().map(word).collect()
}

fn faults() -> Vec<Word> {
    let word = |fault: &Fault| (fault.name.to_owned(), fault.about.to_owned());
    FAULTS.iter().map(word).collect()
}

/// Running containers: name and address.
fn containers() -> Vec<Word> {
    let running = containers::running();
    running
        .into_iter()
        .map(|(name, address)| (name, address.to_string()))
        .collect()
}

/// Nodes by their public IP and by their subnet.
fn nodes() -> Vec<Word> {
    let Some(registry) = registry() else {
        return Vec::new();
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Vec::new();
    };
    let Ok(snapshot) = runtime.block_on(registry.snapshot()) else {
        return Vec::new();
    };
    let leases = snapshot.records.values().filter_map(|record| match record {
        Record::Lease(lease) => Some((
            lease.attrs.public_ip.to_string(),
            lease.key.v4.trunc().to_string(),
        )),
        Record::Unreadable(_) => None,
    });
    let (ips, subnets): (Vec<_>, Vec<_>) = leases
        .map(|(ip, subnet)| {
            (
                (ip.clone(), format!("node of {subnet}")),
                (subnet, format!("subnet of {ip}")),
            )
        })
        .unzip();
    ips.into_iter().chain(subnets).collect()
}

/// The etcd that the half-typed command line means.
fn registry() -> Option<Registry> {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let words = argv::normalise(words.collect());
    let matches = Cli::command()
        .ignore_errors(true)
        .try_get_matches_from(words)
        .ok()?;
    let args = EtcdArgs::from_arg_matches(&matches).ok()?;
    let options = settings::etcd(&args, &Environment::of_process()).ok()?;
    Registry::new(options).ok()
}

fn asked(question: fn() -> Vec<Word>) -> Vec<Word> {
    later(question)()
}

/// Asks at once; the answer is waited for until the budget is spent. The process ends soon after, and the thread
/// with it.
fn later(question: fn() -> Vec<Word>) -> impl FnOnce() -> Vec<Word> {
    let deadline = std::time::Instant::now() + BUDGET;
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        // Nobody listens when the budget is spent.
        drop(tell.send(question()));
    });
    move || {
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        told.recv_timeout(left).unwrap_or_default()
    }
}
