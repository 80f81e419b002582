//! Watches interfaces for probe packets: a packet socket each, all read by one thread. The kernel filters, so
//! that a busy host copies nothing but ICMP and encapsulated ICMP.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::JoinHandle;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::Socket;

use super::packet_socket::{Packet, listen, lost, receive};
use super::sight::{Probe, Recogniser};
use crate::diagnose::evidence::{Point, PointFact, Sighting};
use crate::diagnose::packets::{PacketFact, ProbeFact};
use crate::diagnose::probe::IcmpError;

/// Sightings kept at most; a mesh of 20 nodes makes some thousands.
const MOST: usize = 50_000;
/// Kinds of ICMP errors kept at most.
const MOST_ERRORS: usize = 256;
/// Packets kept whole at most, where they are asked for.
const MOST_PACKETS: usize = 20_000;
/// Bytes kept of each: all of a probe of the usual size in its outer packet.
const KEPT: usize = 320;
/// The largest packet.
const PACKET: usize = 64 << 10;

/// Where to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// `None`: for ICMP errors alone (loopback).
    pub point: Option<Point>,
    pub interface: String,
    pub index: u32,
}

/// What was caught.
#[derive(Debug, Default)]
pub(super) struct Caught {
    pub seen: Vec<Sighting>,
    pub packets: Vec<PacketFact>,
    pub points: Vec<PointFact>,
    pub errors: Vec<IcmpError>,
    /// The limit was reached.
    pub cut: bool,
}

/// A running capture. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Capture {
    bell: Option<PipeWriter>,
    thread: Option<JoinHandle<Caught>>,
}

struct Ear {
    place: Place,
    socket: Socket,
    live: bool,
}

/// What to look for, and whether to keep the packets.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub recogniser: Arc<Recogniser>,
    pub keep: bool,
}

impl Capture {
    /// Starts. Interfaces that cannot be watched go into `missing`.
    pub fn start(places: Vec<Place>, look: Look, missing: &mut Vec<String>) -> Self {
        let mut refused = Vec::<(String, String)>::new();
        let mut ears = Vec::new();
        for place in places {
            match listen(place.index, &look.recogniser) {
                Ok(socket) => ears.push(Ear {
                    place,
                    socket,
                    live: true,
                }),
                Err(error) => refused.push((place.interface, error.to_string())),
            }
        }
        if let Some((_, why)) = refused.first() {
            let names: Vec<_> = refused.iter().map(|(name, _)| name.as_str()).collect();
            missing.push(format!("packets on {}: {why}", names.join(", ")));
        }
        let started = io::pipe().and_then(|(stop, bell)| {
            let thread = std::thread::Builder::new()
                .name("capture".into())
                .spawn(move || watch(ears, &look, &stop))?;
            Ok((bell, thread))
        });
        match started {
            Ok((bell, thread)) => Self {
                bell: Some(bell),
                thread: Some(thread),
            },
            Err(error) => {
                missing.push(format!("packets on any interface: {error}"));
                Self {
                    bell: None,
                    thread: None,
                }
            }
        }
    }

    /// Reads what is still in the sockets and stops.
    pub fn stop(mut self) -> Caught {
        drop(self.bell.take());
        let thread = self.thread.take();
        thread
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default()
    }
}

fn watch(mut ears: Vec<Ear>, look: &Look, stop: &PipeReader) -> Caught {
    let mut caught = Caught::default();
    let mut buffer = vec![0; PACKET];
    loop {
        let mut fds = vec![PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
        fds.extend(
            ears.iter()
                .map(|ear| PollFd::new(ear.socket.as_fd(), PollFlags::POLLIN)),
        );
        let polled = poll(&mut fds, PollTimeout::NONE);
        let ended = fds
            .first()
            .and_then(PollFd::revents)
            .is_some_and(|events| !events.is_empty());
        drop(fds);
        for ear in &mut ears {
            drain(ear, look, &mut buffer, &mut caught);
        }
        match polled {
            Ok(_) | Err(nix::errno::Errno::EINTR) if !ended => {}
            _ => break,
        }
    }
    for ear in ears {
        if let Some(point) = ear.place.point {
            caught.points.push(PointFact {
                point,
                interface: ear.place.interface,
                live: ear.live,
                lost: lost(&ear.socket),
            });
        }
    }
    caught.seen.sort_by_key(|sighting| sighting.time_us);
    caught
}

fn drain(ear: &mut Ear, look: &Look, buffer: &mut [u8], caught: &mut Caught) {
    loop {
        let packet = match receive(&ear.socket, buffer) {
            Ok(packet) => packet,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => {
                // The interface went down or away. A socket on one that comes back up sees packets again.
                ear.live = false;
                return;
            }
        };
        ear.live = true;
        let bytes = buffer.get(..packet.length).unwrap_or_default();
        let underlay = matches!(ear.place.point, None | Some(Point::Underlay));
        // What passes over loopback is seen twice.
        if underlay && !(ear.place.point.is_none() && packet.outgoing) {
            let error = look.recogniser.error(bytes);
            if look.keep && error.is_some() {
                caught.keep(&ear.place, &packet, bytes, &[]);
            }
            caught.error(error);
        }
        let Some(point) = ear.place.point else {
            continue;
        };
        let probes = look.recogniser.probes(bytes, packet.judge());
        if look.keep && !probes.is_empty() {
            caught.keep(&ear.place, &packet, bytes, &probes);
        }
        caught.cut |= caught.seen.len() + probes.len() > MOST;
        let room = MOST.saturating_sub(caught.seen.len());
        let sightings = probes.into_iter().take(room);
        let interface = &ear.place.interface;
        let sightings = sightings.map(|probe| sighting(point, interface, &packet, probe));
        caught.seen.extend(sightings);
    }
}

fn sighting(point: Point, interface: &str, packet: &Packet, probe: Probe) -> Sighting {
    Sighting {
        point,
        interface: interface.to_owned(),
        path: probe.path,
        reply: probe.reply,
        sequence: probe.sequence,
        time_us: packet.time_us,
        outgoing: packet.outgoing,
        // A bridge's port always gets what is addressed to the bridge.
        otherhost: packet.otherhost && point != Point::Container,
        from: probe.from,
        to: probe.to,
        ttl: probe.ttl,
        length: probe.length,
        outer: probe.outer,
        line: probe.line,
    }
}

impl Caught {
    fn keep(&mut self, place: &Place, packet: &Packet, bytes: &[u8], probes: &[Probe]) {
        if self.packets.len() >= MOST_PACKETS {
            self.cut = true;
            return;
        }
        let mut kept = packet.cooked().to_vec();
        kept.extend(bytes.iter().take(KEPT));
        self.packets.push(PacketFact {
            interface: place.interface.clone(),
            time_us: packet.time_us,
            outgoing: packet.outgoing,
            probes: probes
                .iter()
                .map(|probe| ProbeFact {
                    path: probe.path,
                    reply: probe.reply,
                    sequence: probe.sequence,
                })
                .collect(),
            length: u32::try_from(packet.length).unwrap_or(u32::MAX),
            bytes: kept,
        });
    }

    fn error(&mut self, error: Option<IcmpError>) {
        let Some(error) = error else { return };
        if let Some(known) = self.errors.iter_mut().find(|known| known.is_like(&error)) {
            known.count = known.count.saturating_add(1);
        } else if self.errors.len() < MOST_ERRORS {
            self.errors.push(error);
        }
    }
}
