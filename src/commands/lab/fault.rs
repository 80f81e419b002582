//! `lab fault`: lists faults, puts one into a host, takes it out again.

use std::io::Write;

use super::super::{output, stdout_takes_colour};
use super::{place, running};
use crate::exit::{Code, Failure};
use crate::lab::fault::{FAULTS, Fault};
use crate::report::message;
use crate::report::table::{Field, render};

pub(super) fn run(
    name: Option<&str>,
    node: Option<&str>,
    undo: bool,
    out: &mut dyn Write,
) -> Result<Code, Failure> {
    let (Some(name), Some(node)) = (name, node) else {
        let rows = FAULTS.iter().map(|fault| {
            [fault.name, fault.about, fault.needs.unwrap_or("")]
                .map(Field::from)
                .to_vec()
        });
        let text = render(
            &["name", "what breaks", "needs"],
            rows.collect(),
            stdout_takes_colour(),
        );
        out.write_all(text.as_bytes()).map_err(output)?;
        return Ok(Code::Done);
    };
    let fault = Fault::named(name).ok_or_else(|| {
        let names: Vec<_> = FAULTS.iter().map(|fault| fault.name).collect();
        Failure::usage(format!("there is no fault {name:?}"))
            .with_remedy(format!("use one of {}", names.join(", ")))
    })?;
    let record = running()?;
    if record.node(node).is_none() {
        let names: Vec<_> = record.nodes.iter().map(|node| node.name.as_str()).collect();
        return Err(Failure::usage(format!("{node:?} is no host of the lab"))
            .with_remedy(format!("use one of {}", names.join(", "))));
    }
    let place = place(&record, node)?;
    let done = if undo {
        fault.take(&place)
    } else {
        fault.put(&place)
    };
    done.map_err(|error| {
        let failure = Failure::could_not_run(error);
        match fault.needs {
            Some(program) => failure.with_remedy(format!("this fault needs the program {program}")),
            None => failure,
        }
    })?;
    if undo {
        message::note(format!("{node} is without {name} again"));
        return Ok(Code::Done);
    }
    message::note(format!("{node}: {}", fault.about));
    let from = record.nodes.iter().find(|other| other.name != node);
    if let Some(from) = from {
        message::note(format!(
            "watch it found: flannelctl lab exec {} -- flannelctl diagnose\n\
             take it out:    flannelctl lab fault {name} {node} --undo",
            from.name
        ));
    }
    Ok(Code::Done)
}
