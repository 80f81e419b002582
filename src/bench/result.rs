//! All that a run found out, for the forms that show it.

use super::{Plan, Samples};

/// What a figure is worth nothing without.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Of Linux, as `uname -r` tells.
    pub kernel: String,
    /// The model as the kernel tells it.
    pub processor: String,
    /// TCP's congestion control where the load runs: it may double or halve TCP's figures.
    pub congestion_control: String,
    /// How many may be used.
    pub cores: usize,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Benchmark {
    /// When it began, `2026-01-31T12:00:00Z`.
    pub date: String,
    /// Of the program that measured and whose agents were measured.
    pub version: &'static str,
    /// Where.
    pub machine: Machine,
    /// Load average of the last minute before the run: whatever else is going on makes figures worse.
    pub load_before: f64,
    /// What was asked for.
    pub plan: Plan,
    /// The other daemon, if one was measured.
    pub peer: Option<String>,
    /// Further arguments of our agents with the udp backend.
    pub agent_args: Vec<String>,
    /// What was measured.
    pub samples: Samples,
    /// What could not be measured, and why.
    pub failures: Vec<String>,
    /// False if it was interrupted.
    pub complete: bool,
}
