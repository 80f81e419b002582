//! The load and what it measures: iperf3 and ping between two places. Knows no lab: a [`Place`] only
//! has to give commands that run there.

use std::io::Read;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::interrupt;

const PORT: &str = "5201";

/// Somewhere a command can run: a container, a host.
pub trait Place {
    /// A command there, which ends with this process at the latest.
    fn command(&self, program: &str) -> Command;
}

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("interrupted")]
    Interrupted,
    #[error("cannot run {program}: {source}")]
    Run {
        program: &'static str,
        source: std::io::Error,
    },
    #[error("{program} did not end within {after:?}")]
    Hangs {
        program: &'static str,
        after: Duration,
    },
    #[error("{program} failed: {output}")]
    Failed {
        program: &'static str,
        output: String,
    },
}

/// A TCP transfer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transfer {
    /// Bits a second received, both directions together.
    pub rate: f64,
    /// Received, both directions together.
    pub bytes: f64,
}

/// A stream of datagrams sent as fast as the sender can; all a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Datagrams {
    pub offered: f64,
    pub delivered: f64,
    pub lost: f64,
}

/// Round trips, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoundTrips {
    pub mean: f64,
    pub p99: f64,
}

/// Two places and the address at which the second one listens.
pub struct Pair<'a> {
    pub from: &'a dyn Place,
    pub to: &'a dyn Place,
    pub address: Ipv4Addr,
    pub seconds: u32,
}

impl Pair<'_> {
    /// One TCP transfer with these further arguments of iperf3.
    pub fn tcp(&self, args: &[&str]) -> Result<Transfer, LoadError> {
        let report = self.iperf3(args)?;
        let received = |name: &str| -> f64 {
            ["sum_received", "sum_received_bidir_reverse"]
                .iter()
                .filter_map(|sum| report["end"][sum][name].as_f64())
                .sum()
        };
        let transfer = Transfer {
            rate: received("bits_per_second"),
            bytes: received("bytes"),
        };
        if transfer.rate > 0.0 {
            Ok(transfer)
        } else {
            Err(failed("iperf3", "nothing was received"))
        }
    }

    /// Datagrams with this payload, in bytes.
    pub fn datagrams(&self, payload: &str) -> Result<Datagrams, LoadError> {
        let report = self.iperf3(&["-u", "-b", "0", "-l", payload])?;
        let end = &report["end"];
        let figure = |sum: &str, name: &str| {
            let value = end[sum][name].as_f64();
            value.ok_or_else(|| failed("iperf3", &format!("no end.{sum}.{name}")))
        };
        let seconds = figure("sum_sent", "seconds")?;
        let offered = figure("sum_sent", "packets")? / seconds;
        let lost = figure("sum_received", "lost_packets")?;
        // Those behind the last that arrived are in neither of the receiver's counts.
        let delivered = (figure("sum_received", "packets")? - lost) / seconds;
        Ok(Datagrams {
            offered,
            delivered,
            lost: (offered - delivered).max(0.0),
        })
    }

    /// Pings back to back, nothing else on the way: as `ping -f`, with the time of each.
    pub fn idle_ping(&self) -> Result<RoundTrips, LoadError> {
        self.ping(&["-A"])
    }

    /// Pings every 2 ms beside one TCP stream in the same direction.
    pub fn loaded_ping(&self) -> Result<RoundTrips, LoadError> {
        let _server = self.server()?;
        // Longer than the pings at both ends; ended with them.
        let seconds = (self.seconds + 30).to_string();
        let _client = Running::start("iperf3", self.client(&["-t", &seconds]))?;
        sleep(Duration::from_millis(300))?;
        self.ping(&["-i", "0.002"])
    }

    fn iperf3(&self, args: &[&str]) -> Result<Value, LoadError> {
        let _server = self.server()?;
        let seconds = self.seconds.to_string();
        let mut client = self.client(&["-J", "-t", &seconds]);
        client.args(args);
        let text = Running::start("iperf3", client)?.finish(self.patience())?;
        let report: Value = serde_json::from_str(&text).map_err(|_| failed("iperf3", &text))?;
        match report["error"].as_str() {
            Some(error) => Err(failed("iperf3", error)),
            None => Ok(report),
        }
    }

    fn client(&self, args: &[&str]) -> Command {
        let mut command = self.from.command("iperf3");
        command.args(["-c", &self.address.to_string(), "-p", PORT]);
        command.args(args);
        command
    }

    /// A server for one test, once it listens.
    fn server(&self) -> Result<Running, LoadError> {
        let mut command = self.to.command("iperf3");
        command.args(["-s", "-1", "-p", PORT]);
        let server = Running::start("iperf3", command)?;
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            let mut listening = self.to.command("ss");
            listening.args(["-Hltn", "sport", "=", PORT]);
            let output = listening.output().map_err(|source| LoadError::Run {
                program: "ss",
                source,
            })?;
            if !output.stdout.is_empty() {
                return Ok(server);
            }
            sleep(Duration::from_millis(10))?;
        }
        Err(failed("iperf3", "the server does not listen"))
    }

    fn ping(&self, pace: &[&str]) -> Result<RoundTrips, LoadError> {
        let mut command = self.from.command("ping");
        command.args(pace);
        command.args(["-n", "-w", &self.seconds.to_string()]);
        command.arg(self.address.to_string());
        let text = Running::start("ping", command)?.finish(self.patience())?;
        round_trips(&text).ok_or_else(|| failed("ping", "no answer"))
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds) + 20)
    }
}

/// From the lines `64 bytes from 10.5.1.2: icmp_seq=1 ttl=62 time=0.089 ms`.
pub fn round_trips(text: &str) -> Option<RoundTrips> {
    let mut times: Vec<f64> = text
        .lines()
        .filter_map(|line| line.split_once(" time=")?.1.split(' ').next()?.parse().ok())
        .map(|milliseconds: f64| milliseconds * 1000.0)
        .collect();
    times.sort_by(f64::total_cmp);
    let last = times.len().checked_sub(1)?;
    Some(RoundTrips {
        mean: times.iter().sum::<f64>() / times.len() as f64,
        p99: times[last * 99 / 100],
    })
}

fn failed(program: &'static str, output: &str) -> LoadError {
    let output = output.trim().to_owned();
    LoadError::Failed { program, output }
}

/// Sleeps, unless interrupted.
fn sleep(time: Duration) -> Result<(), LoadError> {
    if interrupt::seen() {
        return Err(LoadError::Interrupted);
    }
    std::thread::sleep(time);
    Ok(())
}

/// A load generator at work. Dropping it kills it.
struct Running {
    program: &'static str,
    child: Child,
    /// Reads its output, so that it never waits for us.
    output: Option<std::thread::JoinHandle<String>>,
}

impl Running {
    fn start(program: &'static str, mut command: Command) -> Result<Self, LoadError> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| LoadError::Run { program, source })?;
        let output = child.stdout.take().map(|mut stdout| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                // What came before an error is all there is to judge.
                stdout.read_to_end(&mut bytes).ok();
                String::from_utf8_lossy(&bytes).into_owned()
            })
        });
        Ok(Self {
            program,
            child,
            output,
        })
    }

    /// Waits for its end and gives what it printed; the caller judges that, not the exit status.
    fn finish(mut self, patience: Duration) -> Result<String, LoadError> {
        let end = Instant::now() + patience;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > end {
                return Err(LoadError::Hangs {
                    program: self.program,
                    after: patience,
                });
            }
            sleep(Duration::from_millis(10))?;
        }
        let output = self.output.take().and_then(|reader| reader.join().ok());
        Ok(output.unwrap_or_default())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
