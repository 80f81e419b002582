//! Round trips as a program sees them: pings, which the far kernel answers, and requests of one byte over a
//! TCP connection, which a thread at the far end answers.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};

use super::tcp::{Lane, connections, while_sending};
use super::{Ends, Error, Streams, Timing, is_timeout};
use crate::bench::Trips;
use crate::kernel::sockopt::received;
use crate::kernel::wait::Stop;
use crate::packet::checksum::Sum;
use crate::packet::ipv4::{ICMP, Ipv4};

/// Bytes of an ICMP echo request, as of `ping`.
const PING: usize = 64;
/// Beside a load, one of each kind a millisecond: enough for a percentile, too few to be a load of their own.
const PACE: Duration = Duration::from_millis(1);
/// After this a ping counts as lost, and the next is sent.
const LOST: Duration = Duration::from_millis(50);

/// After the window, for the answers to what was sent within it: without them the slow ones would not count.
const LATE: Duration = Duration::from_millis(500);

/// Both kinds of round trips.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latency {
    /// ICMP echo.
    pub ping: Trips,
    /// One byte there, one back, over TCP.
    pub request: Trips,
}

/// When a probe is sent, and until when.
#[derive(Debug, Clone, Copy)]
struct Schedule {
    begin: Instant,
    end: Instant,
    /// Zero: as soon as the one before is answered.
    pace: Duration,
}

/// One at a time, back to back, nothing else on the way: half of the window each.
///
/// # Errors
/// No connection, or no answer.
pub fn idle(ends: &Ends, timing: Timing, stop: &Stop) -> Result<Latency, Error> {
    let half = Timing {
        warm_up: timing.warm_up / 2,
        window: timing.window / 2,
    };
    let pinger = Pinger::new(ends)?;
    let ping = pinger.run(half.schedule(Duration::ZERO), stop);
    let ping = trips(ends, ping, stop)?;
    let connection = connection(ends)?;
    let request = requests(&connection, half.schedule(Duration::ZERO), stop);
    let request = trips(ends, request, stop)?;
    Ok(Latency { ping, request })
}

/// Beside one TCP stream in the same direction.
///
/// # Errors
/// No connection, or no answer.
pub fn loaded(ends: &Ends, timing: Timing, stop: &Stop) -> Result<Latency, Error> {
    let streams = Streams { there: 1, back: 0 };
    let lanes = Lane::open(ends, streams)?;
    let pinger = Pinger::new(ends)?;
    let connection = connection(ends)?;
    let schedule = timing.schedule(PACE);
    let (ping, request) = while_sending(ends, &lanes, || {
        std::thread::scope(|scope| {
            let ping = scope.spawn(|| pinger.run(schedule, stop));
            let request = requests(&connection, schedule, stop);
            let ping = ping.join();
            (ping.unwrap_or_else(|_| Ok(Vec::new())), request)
        })
    })?;
    Ok(Latency {
        ping: trips(ends, ping, stop)?,
        request: trips(ends, request, stop)?,
    })
}

fn trips(ends: &Ends, times: io::Result<Vec<Duration>>, stop: &Stop) -> Result<Trips, Error> {
    if stop.is_called() {
        return Err(Error::Interrupted);
    }
    let times = times.map_err(ends.failed("get an answer from"))?;
    Trips::of(times).ok_or_else(|| ends.nothing())
}

impl Timing {
    fn schedule(&self, pace: Duration) -> Schedule {
        let begin = Instant::now() + self.warm_up;
        Schedule {
            begin,
            end: begin + self.window,
            pace,
        }
    }
}

/// Sends pings from the client's namespace.
struct Pinger {
    socket: Socket,
    id: u16,
}

impl Pinger {
    fn new(ends: &Ends) -> Result<Self, Error> {
        let open = || -> io::Result<Socket> {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
            socket.connect(&SocketAddr::from((ends.address, 0)).into())?;
            socket.set_read_timeout(Some(LOST))?;
            Ok(socket)
        };
        let socket = ends.from.run(open).flatten();
        Ok(Self {
            socket: socket.map_err(ends.failed("ping"))?,
            id: rand::random(),
        })
    }

    /// The times of those that were sent within the schedule and answered.
    fn run(&self, schedule: Schedule, stop: &Stop) -> io::Result<Vec<Duration>> {
        let mut times = Vec::new();
        let mut sent = vec![None; usize::from(u16::MAX) + 1];
        let mut sequence: u16 = 0;
        let mut due = Instant::now();
        let mut missing: usize = 0;
        while !stop.is_called() {
            let now = Instant::now();
            let is_over = now >= schedule.end;
            if now >= schedule.end + LATE || is_over && missing == 0 {
                break;
            }
            if is_over {
                due = schedule.end + LATE;
            } else if now >= due {
                sequence = sequence.wrapping_add(1);
                let begun = Instant::now();
                missing += usize::from(begun >= schedule.begin);
                sent[usize::from(sequence)] = Some(begun);
                self.socket.send(&request(self.id, sequence))?;
                due = match schedule.pace.is_zero() {
                    true => now + LOST,
                    false => now + schedule.pace,
                };
            }
            if !schedule.pace.is_zero() && !self.is_readable(due)? {
                continue;
            }
            let Some(answered) = self.answer()? else {
                continue;
            };
            let now = Instant::now();
            let Some(begun) = sent[usize::from(answered)].take() else {
                continue;
            };
            if begun >= schedule.begin {
                times.push(now.duration_since(begun));
                missing = missing.saturating_sub(1);
            }
            if schedule.pace.is_zero() && answered == sequence {
                due = now;
            }
        }
        Ok(times)
    }

    /// Waits until `due` at the longest.
    fn is_readable(&self, due: Instant) -> io::Result<bool> {
        let left = due.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut fds, Some(TimeSpec::from_duration(left)), None) {
            Ok(ready) => Ok(ready > 0),
            Err(nix::errno::Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The sequence number of an answer of ours, if one came in time.
    fn answer(&self) -> io::Result<Option<u16>> {
        let mut buffer = [MaybeUninit::uninit(); 256];
        match self.socket.recv(&mut buffer) {
            Ok(length) => Ok(sequence_of(received(&buffer, length), self.id)),
            Err(error) if is_timeout(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn request(id: u16, sequence: u16) -> [u8; PING] {
    let mut packet = [0; PING];
    packet[0] = 8;
    packet[4..6].copy_from_slice(&id.to_be_bytes());
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    let check = Sum::new().bytes(&packet).finish();
    packet[2..4].copy_from_slice(&check);
    packet
}

fn sequence_of(packet: &[u8], id: u16) -> Option<u16> {
    let packet = Ipv4::parse(packet).ok()?;
    match (packet.protocol(), packet.payload()) {
        (ICMP, [0, 0, _, _, i, d, s, q, ..]) if u16::from_be_bytes([*i, *d]) == id => {
            Some(u16::from_be_bytes([*s, *q]))
        }
        _ => None,
    }
}

fn connection(ends: &Ends) -> Result<(TcpStream, TcpStream), Error> {
    let pairs = connections(ends, 1)?;
    let pair = pairs.into_iter().next().ok_or_else(|| ends.nothing())?;
    for stream in [&pair.0, &pair.1] {
        let set = stream.set_nodelay(true);
        set.map_err(ends.failed("connect to"))?;
    }
    Ok(pair)
}

/// The times of those that were sent within the schedule. TCP loses none: what was lost on the way took long.
fn requests(
    (client, server): &(TcpStream, TcpStream),
    schedule: Schedule,
    stop: &Stop,
) -> io::Result<Vec<Duration>> {
    std::thread::scope(|scope| {
        scope.spawn(|| answer_requests(server));
        let times = ask(client, schedule, stop);
        // Ends the answering thread, whatever happened.
        client.shutdown(Shutdown::Both).ok();
        server.shutdown(Shutdown::Both).ok();
        times
    })
}

fn ask(mut client: &TcpStream, schedule: Schedule, stop: &Stop) -> io::Result<Vec<Duration>> {
    let mut times = Vec::new();
    loop {
        let begun = Instant::now();
        client.write_all(&[1])?;
        loop {
            match client.read(&mut [0]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => break,
                Err(error) if !is_timeout(&error) => return Err(error),
                Err(_) if stop.is_called() || Instant::now() >= schedule.end + LATE => {
                    return Ok(times);
                }
                Err(_) => {}
            }
        }
        let now = Instant::now();
        if begun >= schedule.begin {
            times.push(now.duration_since(begun));
        }
        // One that began before the window may have lasted longer than it.
        if stop.is_called() || now >= schedule.end && !times.is_empty() {
            return Ok(times);
        }
        let rest = (begun + schedule.pace).saturating_duration_since(now);
        if !rest.is_zero() {
            std::thread::sleep(rest);
        }
    }
}

/// Until the connection ends.
fn answer_requests(mut server: &TcpStream) {
    loop {
        match server.read(&mut [0]) {
            Ok(0) => return,
            Ok(_) => {
                if server.write_all(&[1]).is_err() {
                    return;
                }
            }
            Err(error) if is_timeout(&error) => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_request_that_lasts_longer_than_the_window_is_followed_by_one_that_counts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let timing = Timing {
            warm_up: Duration::from_millis(10),
            window: Duration::from_millis(10),
        };
        let stop = Stop::new().unwrap();
        let times = std::thread::scope(|scope| {
            let schedule = timing.schedule(PACE);
            scope.spawn(move || {
                (&server).read_exact(&mut [0]).unwrap();
                std::thread::sleep(schedule.end.duration_since(Instant::now()) + PACE);
                (&server).write_all(&[1]).unwrap();
                answer_requests(&server);
            });
            let times = ask(&client, schedule, &stop);
            client.shutdown(Shutdown::Both).unwrap();
            times.unwrap()
        });
        assert_eq!(times.len(), 1);
    }
}
