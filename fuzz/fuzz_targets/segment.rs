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
    let mut headers = vec![0; cut.count() * cut.headers];
    assert!(segment::write_headers(&cut, packet, &mut headers));
    let mut at = cut.headers;
    for (index, header) in headers.chunks(cut.headers).enumerate() {
        let payload = &packet[at..at + cut.piece(index)];
        assert!(!payload.is_empty());
        let piece = [header, payload].concat();
        Ipv4::parse(&piece).expect("a packet");
        at += payload.len();
    }
    assert_eq!(at, packet.len());
});
