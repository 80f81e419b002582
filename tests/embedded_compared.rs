//! The same random operation sequences (proptest) on the embedded store and on a real etcd: every answer,
//! error and event is the same. `PROPTEST_CASES` runs more of them.

#![allow(clippy::unwrap_used)]

#[path = "support/embedded.rs"]
mod embedded;
#[path = "support/etcd.rs"]
mod etcd;
#[path = "embedded_compared/relative.rs"]
mod relative;
#[path = "embedded_compared/requests.rs"]
mod requests;
#[path = "embedded_compared/side.rs"]
mod side;
#[path = "embedded_compared/watching.rs"]
mod watching;
#[path = "support/wire.rs"]
mod wire;

use proptest::test_runner::{Config, TestCaseError, TestRunner};

use embedded::Embedded;
use etcd::Etcd;
use requests::{Step, steps};
use side::{Answer, Side};
use wire::Wire;

/// Sequences in an ordinary run.
const CASES: u32 = 60;
/// Runs a sequence on both; tells the first difference.
async fn compare(real: Wire, ours: Wire, sequence: &[Step]) -> Result<(), String> {
    // What was before an event can be gone with a compaction, sooner or later.
    let compacts = sequence.iter().any(|step| matches!(step, Step::Compact(_)));
    let mut real = Side::begin(real, !compacts).await;
    let mut ours = Side::begin(ours, !compacts).await;
    for step in sequence {
        let step = step.clone().with_compactions(compacts);
        let theirs = real.take(step.clone()).await;
        if matches!(
            &theirs,
            Answer::Failed(tonic::Code::Unavailable | tonic::Code::Unknown, _)
        ) {
            return Err(format!("{step:#?}\netcd ended: {theirs:?}"));
        }
        let own = ours.take(step.clone()).await;
        if theirs != own {
            return Err(format!(
                "{step:#?}\netcd:     {theirs:?}\nembedded: {own:?}"
            ));
        }
    }
    let (theirs, own) = (real.seen().await, ours.seen().await);
    if theirs != own {
        return Err(format!("events\netcd:     {theirs:#?}\nembedded: {own:#?}"));
    }
    Ok(())
}

#[test]
fn random_sequences_have_the_same_answers() {
    let (real, ours) = (Etcd::start(), Embedded::start());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let connect = |url: &str| runtime.block_on(Wire::connect(url));
    let (theirs, own) = (connect(&real.url), connect(&ours.url));
    let cases = std::env::var("PROPTEST_CASES").ok();
    let config = Config {
        cases: cases.map_or(CASES, |cases| cases.parse().unwrap()),
        failure_persistence: None,
        max_shrink_iters: 400,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let checked = TestRunner::new(config).run(&steps(), |sequence| {
        let compared = runtime.block_on(compare(theirs.clone(), own.clone(), &sequence));
        compared.map_err(TestCaseError::fail)
    });
    if let Err(error) = checked {
        panic!("{error}\netcd's log: {}", real.log());
    }
}
