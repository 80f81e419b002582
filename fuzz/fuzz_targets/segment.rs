//! Any header and packet from the device: refused, or cut into pieces that are packets and hold all payload once.
#![no_main]

use flannelctl_fuzz::forward::segment;
use flannelctl_fuzz::packet::Ipv4;
use flannelctl_fuzz::packet::vnet::Vnet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    let Some((vnet, packet)) = Vnet::split(&mut bytes) else {
        return;
    };
    let Ok(Some(cut)) = segment::prepare(&vnet, packet) else {
        return;
    };
    assert!((2..=segment::MAX_PIECES).contains(&cut.count()));
    assert!(cut.headers <= segment::MAX_HEADERS);
    let mut pieces = vec![0; cut.bytes()];
    assert!(segment::write_pieces(&cut, packet, &mut pieces));
    let mut at = cut.headers;
    for piece in pieces.chunks(cut.piece()) {
        Ipv4::parse(piece).expect("a packet");
        let payload = &piece[cut.headers..];
        assert!(!payload.is_empty());
        assert_eq!(payload, &packet[at..at + payload.len()]);
        at += payload.len();
    }
    assert_eq!(at, packet.len());
});
