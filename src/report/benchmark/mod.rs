//! The benchmark as tables, as JSON and as a bar chart.

mod chart;

pub use chart::chart;

use serde_json::{Value, json};

use super::table::{self, Field, Tone};
use crate::bench::{Benchmark, DataPath, Figure, Row, Summary, Underlay, rows};

/// For people: the machine, then two tables an underlay, then what the udp path has to reach.
pub fn tables(result: &Benchmark, colour: bool) -> String {
    let mut text = head(result);
    for underlay in &result.plan.underlays {
        text += &format!(
            "\n{}: {}; median ± half the range\n\n",
            underlay.name(),
            underlay.meaning()
        );
        text += &grid(result, colour, |figure, path| {
            let summary = result.samples.summary(*underlay, figure, path)?;
            let spread = (summary.spread() * 100.0).round();
            let median = figure.shown(summary.median);
            Some(match spread > 0.0 {
                true => format!("{median} ±{spread:.0}%"),
                false => median,
            })
        });
        text += &format!(
            "\n{}: ratio to vxlan of the same round; ~ the rounds disagree\n\n",
            underlay.name()
        );
        text += &grid(result, colour, |figure, path| {
            ratio(result, *underlay, figure, path)
        });
    }
    let goals = rows(&result.samples);
    if goals.iter().any(|row| row.reached.is_some()) {
        text += "\nwhat the udp backend has to reach\n\n";
        let headers = ["figure", "required", "aim", "measured", "required is"];
        text += &table::render(&headers, goals.into_iter().map(goal).collect(), colour);
    }
    text
}

fn head(result: &Benchmark) -> String {
    let (machine, plan) = (&result.machine, &result.plan);
    let mut text = format!(
        "flannelctl {}, {}, Linux {}, {} x {}, load {:.2} before\n{} of {} s a load, TCP with {}\n",
        result.version,
        result.date,
        machine.kernel,
        machine.cores,
        machine.processor,
        result.load_before,
        rounds(result),
        plan.window.as_secs_f64(),
        machine.congestion_control,
    );
    if !result.agent_args.is_empty() {
        text += &format!("udp agents with {}\n", result.agent_args.join(" "));
    }
    if let Some(peer) = &result.peer {
        text += &format!("peer: {peer}\n");
    }
    super::terminal::clean_lines(&text) + "\n"
}

/// `3 rounds`.
fn rounds(result: &Benchmark) -> String {
    let rounds = result.plan.rounds;
    format!("{rounds} round{}", if rounds == 1 { "" } else { "s" })
}

fn grid(
    result: &Benchmark,
    colour: bool,
    cell: impl Fn(Figure, DataPath) -> Option<String>,
) -> String {
    let paths = &result.plan.paths;
    let mut headers = vec!["figure", "unit"];
    headers.extend(paths.iter().map(|path| path.name()));
    let rows = Figure::ALL.iter().map(|figure| {
        let cells = paths.iter().map(|path| cell(*figure, *path));
        let head = [figure.title().into(), figure.shown_unit().into()];
        let cells = cells.map(|cell| Field::from(cell.unwrap_or_default()));
        head.into_iter().chain(cells).collect()
    });
    table::render(&headers, rows.collect(), colour)
}

fn ratio(result: &Benchmark, underlay: Underlay, figure: Figure, path: DataPath) -> Option<String> {
    if !figure.has_ratio() {
        return None;
    }
    let ratio = result
        .samples
        .ratio(underlay, figure, path, DataPath::Vxlan)?;
    let open = path != DataPath::Vxlan && ratio.is_open();
    Some(times(ratio.median) + if open { "~" } else { "" })
}

/// Three digits, as far as the ratio has them.
fn times(ratio: f64) -> String {
    match ratio {
        0.0..10.0 => format!("{ratio:.2}"),
        10.0..100.0 => format!("{ratio:.1}"),
        _ => format!("{ratio:.0}"),
    }
}

fn goal(row: Row) -> Vec<Field> {
    let (verdict, tone) = match row.reached {
        Some(true) => ("reached", Tone::Good),
        Some(false) => ("missed", Tone::Notable),
        None => ("not measured", Tone::Plain),
    };
    let mut cells: Vec<Field> = [row.title, row.required, row.aim, row.measured]
        .map(Field::from)
        .to_vec();
    cells.push(Field::new(verdict, tone));
    cells
}

/// For programs: all samples in base units, with what was made of them.
pub fn document(result: &Benchmark) -> Value {
    let (machine, plan) = (&result.machine, &result.plan);
    let names = |names: Vec<&'static str>| json!(names);
    json!({
        "apiVersion": "flannelctl/v1",
        "kind": "Benchmark",
        "version": result.version,
        "date": result.date,
        "complete": result.complete,
        "machine": {
            "kernel": machine.kernel,
            "processor": machine.processor,
            "cores": machine.cores,
            "congestionControl": machine.congestion_control,
            "loadBefore": result.load_before,
        },
        "rounds": plan.rounds,
        "seconds": plan.window.as_secs_f64(),
        "underlays": names(plan.underlays.iter().map(|u| u.name()).collect()),
        "paths": names(plan.paths.iter().map(|p| p.name()).collect()),
        "peerBinary": result.peer,
        "agentArguments": result.agent_args,
        "failures": result.failures,
        "results": results(result),
        "required": rows(&result.samples).into_iter().map(|row| json!({
            "figure": row.title,
            "required": row.required,
            "aim": row.aim,
            "measured": row.measured,
            "reached": row.reached,
        })).collect::<Vec<_>>(),
    })
}

fn results(result: &Benchmark) -> Vec<Value> {
    let (plan, samples) = (&result.plan, &result.samples);
    let mut all = Vec::new();
    for underlay in &plan.underlays {
        for figure in Figure::ALL {
            for path in &plan.paths {
                let ratio = samples.ratio(*underlay, figure, *path, DataPath::Vxlan);
                let ratio = ratio.filter(|_| figure.has_ratio());
                all.push(json!({
                    "underlay": underlay.name(),
                    "path": path.name(),
                    "figure": figure.key(),
                    "unit": figure.unit(),
                    "samples": samples.values(*underlay, figure, *path),
                    "summary": samples.summary(*underlay, figure, *path).map(plain),
                    "ratioToVxlan": ratio.map(plain),
                }));
            }
        }
    }
    all
}

fn plain(summary: Summary) -> Value {
    json!({"median": summary.median, "min": summary.min, "max": summary.max})
}

#[cfg(test)]
mod tests;
