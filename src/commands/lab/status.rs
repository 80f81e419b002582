//! `lab status`: the hosts of the lab.

use std::io::Write;

use serde::Serialize;

use super::super::{output, stdout_takes_colour};
use super::running;
use crate::cli::LabOutput;
use crate::exit::{Code, Failure};
use crate::kernel::process::start_time;
use crate::lab::record::{NodeRecord, Record};
use crate::report::table::{Field, Tone, render};
use crate::report::{json, message};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    api_version: &'static str,
    kind: &'static str,
    backend: &'a str,
    store: &'a str,
    nodes: Vec<ShownNode<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownNode<'a> {
    name: &'a str,
    address: std::net::Ipv4Addr,
    subnet: ipnet::Ipv4Net,
    container: std::net::Ipv4Addr,
    agent: &'static str,
    subnet_file: &'a std::path::Path,
}

pub(super) fn run(form: LabOutput, out: &mut dyn Write) -> Result<Code, Failure> {
    let record = running()?;
    let text = match form {
        LabOutput::Json => json::pretty(&shown(&record)).map_err(Failure::could_not_run)?,
        LabOutput::Table => table(&record),
    };
    out.write_all(text.as_bytes()).map_err(output)?;
    if form == LabOutput::Table {
        message::note(format!("backend {}, {}", record.backend, record.store));
    }
    Ok(match record.nodes.iter().all(agent_runs) {
        true => Code::Done,
        false => Code::Problems,
    })
}

fn agent_runs(node: &NodeRecord) -> bool {
    start_time(node.agent) == Some(node.agent_started)
}

fn shown(record: &Record) -> Shown<'_> {
    let node = |node: &'_ NodeRecord| agent_runs(node);
    Shown {
        api_version: "flannelctl/v1",
        kind: "Lab",
        backend: &record.backend,
        store: &record.store,
        nodes: record
            .nodes
            .iter()
            .map(|one| ShownNode {
                name: &one.name,
                address: one.address,
                subnet: one.subnet,
                container: one.container,
                agent: if node(one) { "running" } else { "ended" },
                subnet_file: &one.subnet_file,
            })
            .collect(),
    }
}

fn table(record: &Record) -> String {
    let rows = record.nodes.iter().map(|node| {
        let agent = match agent_runs(node) {
            true => Field::new(format!("running (pid {})", node.agent), Tone::Good),
            false => Field::new("ended", Tone::Bad),
        };
        let text = [
            node.name.clone(),
            node.address.to_string(),
            node.subnet.to_string(),
            node.container.to_string(),
        ];
        text.into_iter().map(Field::from).chain([agent]).collect()
    });
    let headers = ["node", "address", "subnet", "container", "agent"];
    render(&headers, rows.collect(), stdout_takes_colour())
}
