//! What `diagnose -o json` said, as tests look at it.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{Finished, Host};

/// What one diagnosis may take where others use the machine too; alone it takes less than 10 s, which is printed.
const BUDGET: Duration = Duration::from_secs(30);

/// Runs `diagnose -o json` on a host.
#[track_caller]
pub fn run_diagnose(host: &Host, url: &str, more: &[&str]) -> Diagnosed {
    let file = host.subnet_file().display().to_string();
    let mut args = vec!["--etcd-endpoints", url, "diagnose", "-o", "json"];
    args.extend(["--subnet-file", &file]);
    args.extend(more);
    judged(|| host.flannelctl(&args))
}

/// What a run of `diagnose -o json` said, and how long it took.
#[track_caller]
pub fn judged(run: impl FnOnce() -> Finished) -> Diagnosed {
    let begin = Instant::now();
    let finished = run();
    let took = begin.elapsed();
    let json: Value = serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("no JSON ({error}): {finished:?}"));
    assert!(took < BUDGET, "the diagnosis took {took:?}");
    Diagnosed {
        json,
        took,
        finished,
    }
}

pub struct Diagnosed {
    pub json: Value,
    pub took: Duration,
    pub finished: Finished,
}

/// A finding as it is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub id: String,
    pub node: String,
    pub severity: String,
    pub direction: String,
    pub confidence: String,
    pub place: String,
    pub fix: Vec<String>,
}

impl Told {
    /// The commands of its remedy, with the nodes that they are for.
    pub fn commands(&self) -> Vec<(String, String)> {
        let lines = self.fix.iter();
        lines
            .filter_map(|line| {
                let (node, command) = line.strip_prefix("on ")?.split_once(": ")?;
                Some((node.to_owned(), command.to_owned()))
            })
            .collect()
    }
}

impl Diagnosed {
    pub fn told(&self) -> Vec<Told> {
        let list = self.json["findings"].as_array().expect("findings");
        let text = |it: &Value, key: &str| it[key].as_str().unwrap_or("-").to_owned();
        list.iter()
            .map(|it| Told {
                id: text(it, "id"),
                node: text(it, "node"),
                severity: text(it, "severity"),
                direction: text(it, "direction"),
                confidence: text(it, "confidence"),
                place: text(it, "where"),
                fix: it["fix"]
                    .as_array()
                    .expect("fix")
                    .iter()
                    .map(|line| line.as_str().expect("text").to_owned())
                    .collect(),
            })
            .collect()
    }

    /// `id node direction confidence` of each finding that is more than information.
    pub fn findings(&self) -> Vec<String> {
        let told = self.told().into_iter().filter(|it| it.severity != "info");
        told.map(|it| format!("{} {} {} {}", it.id, it.node, it.direction, it.confidence))
            .collect()
    }

    /// The commands of all remedies, with the nodes that they are for.
    pub fn commands(&self) -> Vec<(String, String)> {
        self.told().iter().flat_map(Told::commands).collect()
    }

    pub fn status(&self) -> &str {
        self.json["status"].as_str().expect("a status")
    }

    pub fn code(&self) -> i32 {
        self.finished.code.unwrap_or(-1)
    }

    /// Why a network was not called healthy, if so.
    pub fn alarm(&self) -> Option<String> {
        let healthy = self.findings().is_empty() && self.code() == 0 && self.status() == "healthy";
        (!healthy).then(|| {
            format!(
                "{}: {:#?}\n{}",
                self.status(),
                self.told(),
                self.finished.stderr
            )
        })
    }
}
