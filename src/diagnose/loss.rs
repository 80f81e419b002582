//! Which packets of a path were lost, and between which two points.

use std::net::Ipv4Addr;

use super::finding::{Direction, LostAt};
use super::ladder::{Hop, Ladder, Step};
use super::probe::{Path, Target};

/// Packets lost in a row that are no chance.
const IN_A_ROW: usize = 5;

/// Packets of one path that were lost at one place.
#[derive(Debug, Clone)]
pub struct Loss<'a> {
    /// Number in the view's list.
    pub index: usize,
    /// The way.
    pub ladder: &'a Ladder<'a>,
    /// On the way back.
    pub reply: bool,
    /// The path runs back to where the command runs: its requests go the way of the asker's replies.
    pub turned: bool,
    /// How many.
    pub lost: u16,
    /// The last point that saw them; `None`: none did.
    pub after: Option<&'a Step<'a>>,
    /// The next point that was watched and did not see them; `None`: no such point.
    pub next: Option<&'a Step<'a>>,
    /// What lies between, on which node. More than one where points between were not watched.
    pub hops: Vec<(Hop, Ipv4Addr)>,
}

impl Loss<'_> {
    /// The path.
    pub fn path(&self) -> &Path {
        self.ladder.path()
    }

    /// They may have been lost in this hop on this node.
    pub fn at(&self, hop: Hop, node: Ipv4Addr) -> bool {
        self.hops.contains(&(hop, node))
    }

    /// The place is known: seen before it, and not behind it by a point that was watched.
    pub fn certain(&self) -> bool {
        self.hops.len() == 1
    }

    /// Everything of the path was lost.
    pub fn total(&self) -> bool {
        self.lost >= self.ladder.result.sent
    }

    /// Direction, as the asking node sees it.
    pub fn direction(&self) -> Direction {
        if self.reply != self.turned {
            Direction::Reply
        } else {
            Direction::Request
        }
    }

    /// Inner source and destination at this place, translation aside.
    pub fn addresses(&self) -> (Ipv4Addr, Ipv4Addr) {
        self.after
            .and_then(|step| step.seen.first())
            .map_or_else(|| self.planned(), |one| (one.from, one.to))
    }

    fn planned(&self) -> (Ipv4Addr, Ipv4Addr) {
        let path = self.path();
        if self.reply {
            (path.to, path.from)
        } else {
            (path.from, path.to)
        }
    }

    /// The node that sends in this direction, and the one that receives.
    pub fn nodes(&self) -> (Ipv4Addr, Ipv4Addr) {
        let path = self.path();
        if self.reply {
            (path.target_node, path.source_node)
        } else {
            (path.source_node, path.target_node)
        }
    }

    /// Bytes of one inner IP packet.
    pub fn length(&self) -> u64 {
        u64::from(self.path().payload) + 28
    }

    /// As the contract has it.
    pub fn place(&self) -> LostAt {
        LostAt {
            node: self
                .after
                .map(|step| step.node)
                .or_else(|| self.hops.first().map(|hop| hop.1)),
            after: self
                .after
                .map(|step| step.interface.to_owned())
                .unwrap_or_default(),
            direction: self.direction(),
        }
    }

    /// `5/5 requests were seen on 192.0.2.12 flannel.1, 0/5 on docker0`.
    pub fn words(&self) -> String {
        let sent = self.ladder.result.sent;
        let what = if self.reply { "replies" } else { "requests" };
        let path = self.path();
        let seen = |step: &Step<'_>| {
            format!(
                "{}/{sent} on {} {}",
                step.seen.len(),
                step.node,
                step.interface
            )
        };
        let before = self.after.map_or_else(
            || format!("{sent} sent, none seen on any watched point"),
            seen,
        );
        let behind = self.next.map(|step| format!(", {}", seen(step)));
        format!(
            "{what} {} > {}: {before}{}{}",
            path.from,
            path.to,
            behind.unwrap_or_default(),
            self.began()
        )
    }

    /// Says so where the first packets were answered and all after them were lost, or the other way round: what
    /// loses them began or ended meanwhile.
    fn began(&self) -> String {
        let (sent, replies) = (self.ladder.result.sent, &self.ladder.result.replies);
        let numbers = || replies.iter().map(|(sequence, _)| *sequence);
        let (first, last) = (numbers().min().unwrap_or(0), numbers().max().unwrap_or(0));
        let lost = usize::from(sent).saturating_sub(replies.len());
        // Fewer in a row may be chance.
        if lost < IN_A_ROW || replies.is_empty() {
            return String::new();
        }
        if first == 1 && usize::from(last) == replies.len() {
            format!("; the first {last} were answered and none after them: it began meanwhile")
        } else if last == sent && usize::from(sent - first) + 1 == replies.len() {
            format!(
                "; none before number {first} was answered and all from then on: it ended meanwhile"
            )
        } else {
            String::new()
        }
    }
}

/// A path that was answered as it should be: by replies, or, with TTL 2, by "time exceeded".
pub fn answered(ladder: &Ladder<'_>) -> bool {
    ladder.result.whole()
        || (ladder.path().target == Target::ContainerTtl2
            && ladder.result.errors.iter().any(|error| error.kind == 11))
}

/// Losses of a path, the largest first.
pub fn losses<'a>(ladder: &'a Ladder<'a>) -> Vec<Loss<'a>> {
    let result = ladder.result;
    // Nothing answers those of ports.
    if matches!(
        ladder.path().target,
        Target::ContainerTtl2 | Target::Port(_)
    ) || answered(ladder)
    {
        return Vec::new();
    }
    let mut places: Vec<(Option<usize>, u16)> = Vec::new();
    let mut unanswered: Vec<u16> = (1..=result.sent)
        .filter(|sequence| !result.replies.iter().any(|(one, _)| one == sequence))
        .collect();
    if result.sent == 0 && result.refused.is_some() {
        // The kernel took none: all of them ended before the first point.
        unanswered = (1..=ladder.path().count.max(1)).collect();
    }
    for sequence in unanswered {
        let at = ladder.furthest(sequence);
        match places.iter_mut().find(|place| place.0 == at) {
            Some(place) => place.1 += 1,
            None => places.push((at, 1)),
        }
    }
    places.sort_by_key(|place| std::cmp::Reverse(place.1));
    places
        .into_iter()
        .map(|(at, lost)| loss(ladder, at, lost))
        .collect()
}

fn loss<'a>(ladder: &'a Ladder<'a>, at: Option<usize>, lost: u16) -> Loss<'a> {
    let steps = &ladder.steps;
    let from = at.map_or(0, |index| index + 1);
    let next = steps
        .iter()
        .enumerate()
        .skip(from)
        .find(|(_, step)| step.live);
    let mut hops = Vec::new();
    if at.is_none() {
        hops.push((Hop::Originate, ladder.path().source_node));
    }
    let start = at.unwrap_or(0);
    let end = next.map_or(steps.len(), |(index, _)| index);
    hops.extend(
        steps
            .get(start..end)
            .unwrap_or_default()
            .iter()
            .map(|step| step.hop),
    );
    Loss {
        index: 0,
        ladder,
        reply: at
            .and_then(|index| steps.get(index))
            .is_some_and(|step| step.reply),
        turned: false,
        lost,
        after: at.and_then(|index| steps.get(index)),
        next: next.map(|(_, step)| step),
        hops,
    }
}
