//! The results as tables and as JSON. Pure.

use std::io;

use flannelctl::report::{json, table};
use serde_json::{Value, json};

use crate::figures::{Figure, Samples, Summary};
use crate::machine::Machine;
use crate::options::{Options, Route, Underlay};
use crate::required;

/// All there is to tell.
pub struct Report<'a> {
    pub options: &'a Options,
    pub machine: &'a Machine,
    /// Load average at the end.
    pub load_after: f64,
    pub results: &'a [(Underlay, Samples)],
}

impl Report<'_> {
    /// The tables.
    pub fn text(&self) -> String {
        let (options, machine) = (self.options, self.machine);
        let mut text = format!(
            "{} UTC, Linux {}, {} x {}, load {:.2} before and {:.2} after\n{} rounds of {} s; median (min-max)\n",
            machine.date,
            machine.kernel,
            machine.cores,
            machine.processor,
            machine.load,
            self.load_after,
            options.rounds,
            options.seconds,
        );
        if !options.agent_arg.is_empty() {
            text += &format!("udp agents with {}\n", options.agent_arg.join(" "));
        }
        if let Some(peer) = &options.peer_binary {
            text += &format!("peer: {}\n", peer.display());
        }
        for (underlay, samples) in self.results {
            text += &format!("\nunderlay {}\n\n", underlay.name());
            text += &self.table(|figure, route| {
                let summary = samples.summary(figure, route)?;
                Some(spread(summary, |value| figure.shown(value)))
            });
            text += &format!(
                "\nunderlay {}, ratio to vxlan of the same round\n\n",
                underlay.name()
            );
            text += &self.table(|figure, route| {
                if matches!(figure, Figure::SmallLost | Figure::LargeLost) {
                    return None;
                }
                let summary = samples.ratio(figure, route, Route::Vxlan)?;
                Some(spread(summary, |ratio| format!("{ratio:.2}")))
            });
        }
        let rows = required::rows(self.results).into_iter().map(|row| {
            let verdict = match row.reached {
                Some(true) => "reached",
                Some(false) => "missed",
                None => "not measured",
            };
            [
                row.title,
                row.required,
                row.aim,
                row.measured,
                verdict.to_owned(),
            ]
            .map(Into::into)
            .to_vec()
        });
        let headers = ["figure", "required", "aim", "measured", "required is"];
        text + "\n" + &table::render(&headers, rows.collect(), false)
    }

    fn table(&self, cell: impl Fn(Figure, Route) -> Option<String>) -> String {
        let routes = self.options.routes();
        let mut headers = vec![""];
        headers.extend(routes.iter().map(|route| route.name()));
        let rows = Figure::ALL.iter().map(|figure| {
            let cells = routes.iter().map(|route| cell(*figure, *route));
            let cells = cells.map(|cell| cell.unwrap_or_default().into());
            std::iter::once(figure.title().into())
                .chain(cells)
                .collect()
        });
        table::render(&headers, rows.collect(), false)
    }

    /// All samples in base units, with what was made of them.
    pub fn json(&self) -> io::Result<String> {
        let (options, machine) = (self.options, self.machine);
        let results: Vec<Value> = self.results.iter().flat_map(|r| self.results(r)).collect();
        let required: Vec<Value> = required::rows(self.results)
            .iter()
            .map(|row| {
                json!({
                    "figure": row.title,
                    "required": row.required,
                    "aim": row.aim,
                    "measured": row.measured,
                    "reached": row.reached,
                })
            })
            .collect();
        let value = json!({
            "apiVersion": "flannelctl/v1",
            "kind": "Benchmark",
            "date": machine.date,
            "machine": {
                "kernel": machine.kernel,
                "processor": machine.processor,
                "cores": machine.cores,
                "loadBefore": machine.load,
                "loadAfter": self.load_after,
            },
            "rounds": options.rounds,
            "seconds": options.seconds,
            "peerBinary": options.peer_binary,
            "agentArguments": options.agent_arg,
            "results": results,
            "required": required,
        });
        Ok(json::pretty(&value)?)
    }

    fn results(&self, (underlay, samples): &(Underlay, Samples)) -> Vec<Value> {
        let mut all = Vec::new();
        for figure in Figure::ALL {
            for route in self.options.routes() {
                all.push(json!({
                    "underlay": underlay.name(),
                    "path": route.name(),
                    "figure": figure.key(),
                    "unit": figure.unit(),
                    "samples": samples.values(figure, route),
                    "summary": samples.summary(figure, route).map(plain),
                    "ratioToVxlan": samples.ratio(figure, route, Route::Vxlan).map(plain),
                }));
            }
        }
        all
    }
}

/// The spread only where there is one to see.
fn spread(summary: Summary, shown: impl Fn(f64) -> String) -> String {
    let [median, min, max] = [summary.median, summary.min, summary.max].map(shown);
    if min == max {
        return median;
    }
    format!("{median} ({min}-{max})")
}

fn plain(summary: Summary) -> Value {
    json!({"median": summary.median, "min": summary.min, "max": summary.max})
}
