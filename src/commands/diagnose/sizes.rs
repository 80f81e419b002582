//! The largest packet that passes where a full one vanishes: a search by ninths, since several sizes travel at once.

use std::time::Duration;

use tokio::time::Instant;

use super::paths::HEADERS;
use crate::agent::respond::hands::{Hands, on_thread};
use crate::diagnose::case::SizeFact;
use crate::diagnose::{Path, PathResult};
use crate::kernel::echo;

/// Sizes tried at once.
const AT_ONCE: u16 = 8;
/// Packets of each size: one that is lost by chance must not look too large.
const COUNT: u16 = 2;
/// How long an answer may take at least, where smaller packets of the same path came back sooner.
const PATIENCE: Duration = Duration::from_millis(300);
/// The slowest of them was so many times faster.
const ROUND_TRIPS: u32 = 2;
/// Times the patience, the whole takes at most: 1,500 bytes are down to one in four steps.
const BUDGET: u32 = 6;
/// Indices and identifiers that no path of a round has.
const FIRST_INDEX: u8 = 241;

/// Where a full-size packet of this node vanished while smaller ones passed: the size between.
pub async fn search(hands: &Hands, results: &[PathResult], deadline: Instant) -> Option<SizeFact> {
    let candidates = results.iter().map(|one| (one, passed(one, results)));
    let (large, small) = candidates
        .filter_map(|(one, small)| Some((one, small?)))
        .next()?;
    let (mut low, mut high) = (small.path.payload, large.path.payload);
    let patience = patience(small);
    let end = deadline.min(Instant::now() + BUDGET * patience);
    while high > low + 1 && Instant::now() + patience < end {
        let sizes = between(low, high);
        let paths: Vec<_> = (0..)
            .zip(&sizes)
            .map(|(n, size)| path(&large.path, n, *size))
            .collect();
        let sending = hands.sending(patience);
        let answers = on_thread(move || echo::send(&paths, &sending)).await?;
        for one in answers {
            let size = one.path.payload;
            match one.received() {
                0 => high = high.min(size),
                _ => low = low.max(size),
            }
        }
    }
    // Otherwise sizes do not decide: packets are lost by chance.
    (low < high).then_some(SizeFact {
        from: large.path.from,
        to: large.path.to,
        passes: low + HEADERS,
        vanishes: high + HEADERS,
    })
}

fn patience(small: &PathResult) -> Duration {
    let slowest = small.replies.iter().map(|(_, rtt)| u64::from(*rtt)).max();
    let slowest = Duration::from_micros(slowest.unwrap_or(0));
    (ROUND_TRIPS * slowest).max(PATIENCE)
}

/// The largest packets that passed between the same addresses, where this full-size packet vanished without a word.
fn passed<'r>(large: &PathResult, results: &'r [PathResult]) -> Option<&'r PathResult> {
    let told = large
        .errors
        .iter()
        .any(|error| (error.kind, error.code) == (3, 4));
    if !large.path.df || large.sent == 0 || large.received() > 0 || told {
        return None;
    }
    let same = |one: &&PathResult| {
        (one.path.from, one.path.to) == (large.path.from, large.path.to) && one.received() > 0
    };
    let smaller = |one: &&PathResult| one.path.payload < large.path.payload;
    let passed = results.iter().filter(same).filter(smaller);
    passed.max_by_key(|one| one.path.payload)
}

/// Sizes that part the open interval evenly.
fn between(low: u16, high: u16) -> Vec<u16> {
    let (low, high) = (u32::from(low), u32::from(high));
    let parts = u32::from(AT_ONCE) + 1;
    let mut sizes: Vec<_> = (1..parts)
        .map(|n| low + (high - low) * n / parts)
        .filter(|size| *size > low && *size < high)
        .filter_map(|size| u16::try_from(size).ok())
        .collect();
    sizes.dedup();
    if sizes.is_empty() && high - low > 1 {
        sizes.extend(u16::try_from(low + 1));
    }
    sizes
}

fn path(like: &Path, n: u8, payload: u16) -> Path {
    Path {
        index: FIRST_INDEX + n,
        icmp_id: like.icmp_id.wrapping_add(u16::from(FIRST_INDEX + n)),
        count: COUNT,
        payload: payload.max(HEADERS),
        ..like.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edge_is_found_in_few_steps() {
        for edge in 184..1472 {
            let (mut low, mut high, mut steps) = (183, 1472, 0);
            while high - low > 1 {
                let sizes = between(low, high);
                assert!(!sizes.is_empty() && sizes.len() <= usize::from(AT_ONCE));
                for size in sizes {
                    match size <= edge {
                        true => low = low.max(size),
                        false => high = high.min(size),
                    }
                }
                steps += 1;
            }
            assert_eq!((low, steps <= 4), (edge.min(1471), true), "{edge}");
        }
    }
}
