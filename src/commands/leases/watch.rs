//! `leases --watch`: what changes, as it happens, until Ctrl-C. First everything that is there, as ADDED.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{judge, network, own_addresses};
use crate::cli::LeasesOutput;
use crate::commands::output;
use crate::exit::{Code, Failure};
use crate::registry::{Followed, Registry, follow};
use crate::report::lease_list::{Facts, LeaseList, Question, Row};
use crate::report::{json, message, terminal};

/// One line of the stream.
#[derive(Debug, Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    revision: i64,
    lease: &'a Row,
}

pub(super) async fn run(
    form: LeasesOutput,
    question: Option<Question>,
    registry: Registry,
    out: &mut dyn Write,
) -> Result<Code, Failure> {
    if !matches!(form, LeasesOutput::Table | LeasesOutput::Json) {
        return Err(Failure::usage(
            "--watch goes with -o table and -o json only",
        ));
    }
    let (tx, mut rx) = watch::channel(Followed::default());
    let cancel = CancellationToken::new();
    // The follower ends with this command.
    let _guard = cancel.clone().drop_guard();
    let follower = tokio::spawn(follow(registry.clone(), tx, cancel));
    let mut shown: BTreeMap<String, Row> = BTreeMap::new();
    let mut lost = false;
    loop {
        if rx.changed().await.is_err() {
            break;
        }
        let followed = rx.borrow_and_update().clone();
        match (&followed.contact.last_error, lost) {
            (Some(error), false) => message::warning(format!("{error}; trying again")),
            (None, true) => message::note("etcd is back"),
            _ => {}
        }
        lost = followed.contact.last_error.is_some();
        if !followed.is_known() || lost {
            continue;
        }
        let rows = rows(&followed, &registry).await;
        let revision = followed.snapshot.revision;
        for (kind, row) in changes(&shown, &rows) {
            if question.is_none_or(|question| row.answers(&question)) {
                print(
                    form,
                    &Event {
                        kind,
                        revision,
                        lease: row,
                    },
                    out,
                )?;
            }
        }
        shown = rows;
    }
    follower.await.map_err(Failure::could_not_run)?;
    Ok(Code::Done)
}

async fn rows(followed: &Followed, registry: &Registry) -> BTreeMap<String, Row> {
    let snapshot = Arc::clone(&followed.snapshot);
    let config = network(followed.config.as_ref(), registry).ok();
    // A stream goes on without the seconds where etcd does not tell them.
    let ttls = super::ttls(registry, &snapshot).await.unwrap_or_default();
    let list = LeaseList::new(
        &snapshot,
        &Facts {
            ttls: &ttls,
            judged: &judge(&snapshot, config.as_ref()),
            addresses: &own_addresses(),
            now: SystemTime::now(),
        },
    );
    let leases = list.leases.into_iter();
    leases.map(|row| (row.key.clone(), row)).collect()
}

/// What differs, removals first: a subnet that moves is free before it is taken.
fn changes<'a>(
    old: &'a BTreeMap<String, Row>,
    new: &'a BTreeMap<String, Row>,
) -> Vec<(&'static str, &'a Row)> {
    let removed = old.iter().filter(|(key, _)| !new.contains_key(*key));
    let mut events: Vec<_> = removed.map(|(_, row)| ("REMOVED", row)).collect();
    for (key, row) in new {
        match old.get(key) {
            None => events.push(("ADDED", row)),
            Some(before) if substance(before) != substance(row) => events.push(("CHANGED", row)),
            Some(before) if before.mod_revision != row.mod_revision => {
                events.push(("RENEWED", row))
            }
            Some(_) => {}
        }
    }
    events
}

/// A row without what a renewal changes.
fn substance(row: &Row) -> Row {
    let mut row = row.clone();
    row.states
        .retain(|state| !matches!(state.state, "expiring" | "expired"));
    row.state = row.states.first().map_or("ok", |state| state.state);
    Row {
        ttl_seconds: None,
        expires_at: None,
        lease_id: None,
        mod_revision: 0,
        create_revision: 0,
        ..row
    }
}

fn print(form: LeasesOutput, event: &Event<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let line = match form {
        LeasesOutput::Json => json::line(event).map_err(Failure::could_not_run)?,
        _ => {
            let row = event.lease;
            let subnet = row
                .subnet
                .map_or_else(|| row.key.clone(), |net| net.to_string());
            let public_ip = row
                .public_ip
                .map_or_else(|| "-".to_owned(), |ip| ip.to_string());
            let backend = row.backend.as_deref().unwrap_or("-");
            format!(
                "{:<8} {:<18} {:<15} {:<8} {}\n",
                event.kind,
                terminal::clean_short(&subnet, 60),
                public_ip,
                terminal::clean_short(backend, 60),
                row.state,
            )
        }
    };
    out.write_all(line.as_bytes())
        .and_then(|()| out.flush())
        .map_err(output)
}
