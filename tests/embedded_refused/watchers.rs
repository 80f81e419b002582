//! Watchers that cannot be.

use etcd_client::proto::{
    PbCompactionRequest, PbCompactionResponse, PbPutResponse, PbWatchRequest, PbWatchResponse,
};

use super::pair::{Pair, put};
use super::wire::{Failure, Talk, Watch, cancel, progress};

/// The next answer without what is the server's own.
async fn next(
    talk: &mut Talk<PbWatchRequest, PbWatchResponse>,
) -> Result<PbWatchResponse, Failure> {
    let mut answer = talk.next().await?;
    if let Some(header) = &mut answer.header {
        (header.cluster_id, header.member_id) = (0, 0);
    }
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn watchers_that_cannot_be() {
    let mut pair = Pair::start().await;
    for key in ["a", "b", "c", "d"] {
        let refused = pair
            .ask::<_, PbPutResponse>("a put", "KV/Put", put(key))
            .await;
        assert_eq!(refused, None);
    }
    let compact = PbCompactionRequest {
        revision: 4,
        physical: true,
    };
    let done = pair.ask::<_, PbCompactionResponse>("at 4", "KV/Compact", compact);
    assert_eq!(done.await, None);

    let first = Watch {
        id: 5,
        ..Watch::all(0)
    };
    let mut real = pair.real.watch(first.clone()).await;
    let mut ours = pair.ours.watch(first).await;
    let key = |key: &str| Watch {
        key: key.into(),
        ..Watch::default()
    };
    for (what, question, answers) in [
        ("the first", None, 1),
        (
            "an ID twice",
            Some(Watch { id: 5, ..key("a") }.request()),
            1,
        ),
        (
            "an inverted range",
            Some(
                Watch {
                    range_end: b"a".to_vec(),
                    ..key("b")
                }
                .request(),
            ),
            1,
        ),
        (
            "the compacted past",
            Some(
                Watch {
                    start: 2,
                    ..key("a")
                }
                .request(),
            ),
            2,
        ),
        (
            "below zero",
            Some(
                Watch {
                    start: -9,
                    ..key("a")
                }
                .request(),
            ),
            2,
        ),
        (
            "the whole past that is left",
            Some(Watch::all(4).request()),
            2,
        ),
        (
            "an unknown filter",
            Some(
                Watch {
                    filters: vec![7],
                    start: 4,
                    ..key("c")
                }
                .request(),
            ),
            2,
        ),
        ("the first's end", Some(cancel(5)), 1),
        // No answer, so what comes is the next's.
        ("an unknown one's end", Some(cancel(99)), 0),
        ("no question", Some(PbWatchRequest::default()), 0),
        ("its end again", Some(cancel(5)), 0),
        ("an empty key", Some(key("").request()), 1),
        ("how far it is", Some(progress()), 1),
    ] {
        if let Some(question) = question {
            real.say(question.clone()).await;
            ours.say(question).await;
        }
        for _ in 0..answers {
            let (theirs, own) = (next(&mut real).await, next(&mut ours).await);
            if theirs != own {
                pair.differences.push_str(&format!(
                    "{what}\netcd:     {theirs:?}\nembedded: {own:?}\n"
                ));
            }
        }
    }
    pair.end();
}
