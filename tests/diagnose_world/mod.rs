//! A healthy world of two nodes as evidence, and the means to break it: what a fault does to the packets is played
//! by cutting the way after a point.
#![allow(clippy::unwrap_used, missing_docs, dead_code, unused_imports)]

mod expect;
mod host;
mod ports;

use std::net::Ipv4Addr;

use flannelctl::diagnose::case::{Case, LeaseFact, NetworkFact};
use flannelctl::diagnose::evidence::*;
use flannelctl::diagnose::probe::{IcmpError, Origin, Path, PathResult, Target};
use flannelctl::diagnose::{Diagnosis, Selection, verdict};

pub use expect::{N, expect, policy};
use host::node;
pub use ports::OTHER_PORT;

pub const A: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);
pub const B: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 12);
pub const SENT: u16 = 5;
pub const PAYLOAD: u16 = 183;
/// Bytes of one inner packet.
pub const LEN: u64 = 211;

pub fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

pub fn net(text: &str) -> ipnet::Ipv4Net {
    text.parse().unwrap()
}

/// Which node as number: 1 = A, 2 = B.
pub fn number(node: Ipv4Addr) -> u8 {
    node.octets()[3] - 10
}

pub fn mac(node: Ipv4Addr) -> String {
    format!("0a:00:00:00:00:{:02x}", number(node))
}

pub fn container(node: Ipv4Addr) -> Ipv4Addr {
    ip(&format!("10.5.{}.2", number(node)))
}

/// A place of the way: node, point, on the way back.
pub type Place = (Ipv4Addr, Point, bool);

pub struct World {
    pub case: Case,
    pub backend: String,
}

impl World {
    /// Two healthy nodes; A probes container to container, host to container, node, `.0`, `.1` and TTL 2.
    pub fn new(backend: &str) -> Self {
        let port = if backend == "udp" { 8285 } else { 8472 };
        let lease = |node: Ipv4Addr| LeaseFact {
            subnet: net(&format!("10.5.{}.0/24", number(node))),
            public_ip: node,
            backend: backend.to_owned(),
            vtep_mac: if backend == "vxlan" {
                mac(node)
            } else {
                String::new()
            },
            ttl: Some(86_000),
        };
        let mut world = Self {
            case: Case {
                network: Some(NetworkFact {
                    network: net("10.5.0.0/16"),
                    subnet_len: 24,
                    backend: backend.to_owned(),
                    vni: 1,
                    port,
                    direct_routing: false,
                }),
                leases: vec![lease(A), lease(B)],
                here: Some(A),
                nodes: vec![node(backend, A, B), node(backend, B, A)],
                ..Case::default()
            },
            backend: backend.to_owned(),
        };
        world.path(Origin::Container, Target::Container);
        world.path(Origin::Host, Target::Container);
        world.path(Origin::Host, Target::Node);
        world.path(Origin::Host, Target::Device);
        world.path(Origin::Host, Target::Bridge);
        world.path(Origin::Container, Target::ContainerTtl2);
        world
    }

    pub fn a(&mut self) -> &mut NodeEvidence {
        self.case
            .nodes
            .iter_mut()
            .find(|it| it.node == Some(A))
            .unwrap()
    }

    pub fn b(&mut self) -> &mut NodeEvidence {
        self.case
            .nodes
            .iter_mut()
            .find(|it| it.node == Some(B))
            .unwrap()
    }

    pub fn at(&mut self, node: Ipv4Addr) -> &mut NodeEvidence {
        if node == A { self.a() } else { self.b() }
    }

    fn path(&mut self, origin: Origin, target: Target) {
        let index = self.case.paths.len() as u8;
        let to = match target {
            Target::Node | Target::Port(_) => B,
            Target::Device => ip("10.5.2.0"),
            Target::Bridge => ip("10.5.2.1"),
            Target::Container | Target::ContainerTtl2 => container(B),
        };
        let from = match (origin, target) {
            (Origin::Host, _) if target.is_underlay() => A,
            (Origin::Host, _) => ip("10.5.1.0"),
            _ => container(A),
        };
        let path = Path {
            index,
            source_node: A,
            target_node: B,
            origin,
            target,
            from,
            to,
            icmp_id: 100 + u16::from(index),
            count: SENT,
            interval_ms: 10,
            payload: PAYLOAD,
            ttl: if target == Target::ContainerTtl2 {
                2
            } else {
                64
            },
            df: false,
        };
        let ttl = target == Target::ContainerTtl2;
        let errors = ttl.then(|| IcmpError {
            from: ip("10.5.2.0"),
            kind: 11,
            code: 0,
            mtu: 0,
            outer: false,
            count: u32::from(SENT),
        });
        let ways = if matches!(target, Target::Port(_)) {
            self.way(&path, false)
        } else if ttl {
            self.way(&path, false)
                .into_iter()
                .filter(|one| one.0 == A || one.1 != Point::Bridge && one.1 != Point::Container)
                .collect()
        } else {
            [self.way(&path, false), self.way(&path, true)].concat()
        };
        for place in ways {
            for sequence in 1..=SENT {
                let one = self.sighting(&path, place, sequence);
                self.at(place.0).seen.push(one);
            }
        }
        self.case.paths.push(PathResult {
            replies: if ttl || matches!(target, Target::Port(_)) {
                Vec::new()
            } else {
                (1..=SENT).map(|sequence| (sequence, 300)).collect()
            },
            path,
            sent: SENT,
            refused: None,
            errors: errors.into_iter().collect(),
        });
    }

    /// The points of a healthy way, written down apart from the code under test.
    fn way(&self, path: &Path, reply: bool) -> Vec<Place> {
        let near_inside = path.origin != Origin::Host;
        let far_inside = matches!(path.target, Target::Container | Target::ContainerTtl2);
        let overlay = self.backend != "host-gw" && !path.target.is_underlay();
        let mut way = Vec::new();
        if near_inside {
            way.extend([(A, Point::Container), (A, Point::Bridge)]);
        }
        if overlay {
            way.push((A, Point::Overlay));
        }
        way.extend([(A, Point::Underlay), (B, Point::Underlay)]);
        if overlay {
            way.push((B, Point::Overlay));
        }
        if far_inside {
            way.extend([(B, Point::Bridge), (B, Point::Container)]);
        }
        if reply {
            way.reverse();
        }
        way.into_iter()
            .map(|(node, point)| (node, point, reply))
            .collect()
    }

    fn sighting(&self, path: &Path, (node, point, reply): Place, sequence: u16) -> Sighting {
        let (from, to) = if reply {
            (path.to, path.from)
        } else {
            (path.from, path.to)
        };
        let sender = if reply { B } else { A };
        let inside = matches!(point, Point::Container | Point::Bridge);
        let wrapped =
            point == Point::Underlay && self.backend != "host-gw" && !path.target.is_underlay();
        let interface = match point {
            Point::Container => "veth0",
            Point::Bridge => "docker0",
            Point::Overlay if self.backend == "vxlan" => "flannel.1",
            Point::Overlay => "flannel0",
            Point::Underlay => "eth0",
        };
        let word = if reply { "reply" } else { "request" };
        Sighting {
            point,
            interface: interface.to_owned(),
            path: path.index,
            reply,
            sequence,
            time_us: 1_000_000 * u64::from(sequence),
            outgoing: (node == sender) != inside,
            otherhost: false,
            from,
            to,
            ttl: 62,
            length: LEN as u16,
            outer: wrapped.then(|| OuterFact {
                from: sender,
                to: if reply { A } else { B },
                port: if self.backend == "vxlan" { 8472 } else { 8285 },
                vni: (self.backend == "vxlan").then_some(1),
                inner_mac: None,
                checksum: Checksum::Absent,
            }),
            line: format!(
                "IP {from} > {to}: ICMP echo {word}, id {}, seq {sequence}, length {}",
                path.icmp_id,
                PAYLOAD + 8
            ),
        }
    }

    /// Nothing of the paths that `which` picks gets past this place; a path that does not touch it goes on.
    pub fn cut(&mut self, after: Place, which: impl Fn(&Path) -> bool) -> &mut Self {
        self.lose(after, SENT, which)
    }

    /// The first `lost` packets get no further than this place.
    pub fn lose(&mut self, after: Place, lost: u16, which: impl Fn(&Path) -> bool) -> &mut Self {
        let picked: Vec<Path> = self
            .case
            .paths
            .iter()
            .map(|it| it.path.clone())
            .filter(|path| which(path))
            .collect();
        for path in picked {
            let way = [self.way(&path, false), self.way(&path, true)].concat();
            let Some(end) = way.iter().position(|place| *place == after) else {
                continue;
            };
            let gone: Vec<Place> = way[end + 1..].to_vec();
            for node in [A, B] {
                self.at(node).seen.retain(|one| {
                    one.path != path.index
                        || one.sequence > lost
                        || !gone.contains(&(node, one.point, one.reply))
                });
            }
            let result = &mut self.case.paths[usize::from(path.index)];
            result.replies.retain(|(sequence, _)| *sequence > lost);
            if !after.2 {
                result
                    .errors
                    .retain(|error| error.kind != 11 || after == (B, Point::Overlay, false));
            }
        }
        self
    }

    /// Every path that goes through the overlay, TTL probes included.
    pub fn cut_overlay(&mut self, after: Place) -> &mut Self {
        self.cut(after, |path| !path.target.is_underlay())
    }

    /// Paths to containers alone.
    pub fn cut_containers(&mut self, after: Place) -> &mut Self {
        self.cut(after, |path| path.target == Target::Container)
    }

    pub fn no_ttl_answer(&mut self) -> &mut Self {
        for path in &mut self.case.paths {
            path.errors.retain(|error| error.kind != 11);
        }
        self
    }

    pub fn firewall(
        &mut self,
        node: Ipv4Addr,
        program: &str,
        before: &str,
        after: &str,
    ) -> &mut Self {
        self.at(node).firewall.push(FirewallFact {
            program: program.to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
        });
        self
    }

    pub fn counter(&mut self, node: Ipv4Addr, name: &str, by: u64) -> &mut Self {
        self.at(node).counters.insert(name.to_owned(), (7, 7 + by));
        self
    }

    pub fn reason(
        &mut self,
        node: Ipv4Addr,
        reason: &str,
        location: &str,
        count: u32,
    ) -> &mut Self {
        self.at(node).drops.push(DropFact {
            reason: reason.to_owned(),
            location: location.to_owned(),
            protocol: 0x0800,
            count,
        });
        self
    }

    pub fn sysctl(&mut self, node: Ipv4Addr, name: &str, value: &str) -> &mut Self {
        self.at(node)
            .sysctls
            .insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn link(&mut self, node: Ipv4Addr, name: &str) -> &mut LinkFact {
        self.at(node)
            .links
            .iter_mut()
            .find(|it| it.name == name)
            .unwrap()
    }

    /// B has no agent: nothing of it is known.
    pub fn silence_b(&mut self) -> &mut Self {
        self.case.nodes.retain(|node| node.node != Some(B));
        self.case.silent.push(B);
        self
    }

    pub fn judge(&self) -> Diagnosis {
        // What goes over the wire is what is judged.
        let text = serde_json::to_string(&self.case).unwrap();
        verdict(&serde_json::from_str(&text).unwrap(), &Selection::default())
    }
}
