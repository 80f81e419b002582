//! Lost answers and garbage.

#![allow(clippy::unwrap_used)]
use super::*;
use netlink_packet_route::link::LinkMessage;

fn impossible() -> Request {
    Request {
        message: RouteNetlinkMessage::DelLink(LinkMessage::default()),
        flags: 0,
    }
}

#[test]
fn each_request_of_a_batch_gets_its_answer() {
    let results = Netlink::open()
        .unwrap()
        .batch(&vec![impossible(); 3 * BATCH + 1]);
    assert_eq!(results.len(), 3 * BATCH + 1);
    // EINVAL as root, EPERM otherwise; never without an answer.
    assert!(
        results
            .iter()
            .all(|r| matches!(r, Err(Cause::Errno(..) | Cause::NoPermission)))
    );
}

#[test]
fn answers_lost_in_a_full_buffer_hold_nothing_up() {
    let mut netlink = Netlink::open().unwrap();
    setsockopt(&netlink.socket, sockopt::RcvBuf, &2048).unwrap();
    let begun = std::time::Instant::now();
    let results = netlink.batch(&vec![impossible(); BATCH]);
    assert!(begun.elapsed() < PATIENCE, "waited for what was lost");
    assert!(results.contains(&Err(Cause::NoAnswer)));
    assert!(results.iter().any(|result| *result != Err(Cause::NoAnswer)));
    // The socket is as good as before.
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    assert!(
        !netlink
            .dump("interfaces", &request, Some)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn garbage_ends_the_datagram() {
    let message = |length: u32, size: usize| {
        let mut bytes = vec![0; size];
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes
    };
    let lengths = |bytes: &[u8]| Datagrams(bytes).map(<[u8]>::len).collect::<Vec<_>>();
    let two = [message(17, 20), message(16, 16)].concat();
    assert_eq!(lengths(&two), [17, 16]);
    for bytes in [
        &[][..],
        &[1, 2, 3],
        &message(15, 32),
        &message(0, 32),
        &message(33, 32),
    ] {
        assert!(lengths(bytes).is_empty(), "{bytes:?}");
    }
}
