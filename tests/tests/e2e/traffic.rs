//! What users send.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use mesh_tests::fabric::underlay_v4;
use mesh_tests::host::INTERFACE;
use mesh_tests::traffic::Transfer;
use mesh_tests::wire::Rule;
use mesh_tests::{Netns, eventually, link, needs_namespaces};

use crate::{LIMIT, addresses, alone, assert_reaches, bridged, wired};

/// What was accepted before a later packet was counted is in the socket already.
const NOTHING_LEFT: Duration = Duration::from_millis(1);

/// 100 MB, as promised.
const BULK: u64 = 100_000_000;

#[test]
fn a_hundred_megabytes_arrive_whole_over_each_family() {
    needs_namespaces!();
    let _alone = alone();
    let lab = bridged(3);
    for target in addresses(&lab, 3) {
        let transfer = Transfer::of(BULK, 11);
        let report = transfer.run(lab.host(2).netns(), lab.host(3).netns(), target).unwrap();
        transfer.check(&report).unwrap();
    }
}

#[test]
fn bulk_arrives_whole_over_a_link_with_delay_and_loss() {
    needs_namespaces!();
    let _alone = alone();
    let lab = wired(2);
    lab.wire().rule_for_all(Rule { latency: Duration::from_millis(5), loss: 0.005 });
    for target in addresses(&lab, 2) {
        let transfer = Transfer::of(4_000_000, 12);
        let report = transfer.run(lab.host(1).netns(), lab.host(2).netns(), target).unwrap();
        transfer.check(&report).unwrap();
    }
    assert!(lab.wire().count(1, 2).lost > 0);
}

/// A socket on `address` inside `netns`.
fn receiver(netns: &Netns, address: IpAddr) -> UdpSocket {
    netns.run(|| UdpSocket::bind(SocketAddr::new(address, 0)).unwrap()).unwrap()
}

/// Sends `text` by UDP from `source` inside `from` to `to`.
fn send_datagram(from: &Netns, source: IpAddr, to: &UdpSocket, text: &[u8]) {
    let target = to.local_addr().unwrap();
    from.run(|| {
        let sender = UdpSocket::bind(SocketAddr::new(source, 0)).unwrap();
        sender.send_to(text, target).unwrap();
    })
    .unwrap();
}

/// Whether `text` arrives at `receiver` within `limit`.
fn arrives(receiver: &UdpSocket, text: &[u8], limit: Duration) -> bool {
    receiver.set_read_timeout(Some(limit)).unwrap();
    let mut buffer = [0; 2_000];
    receiver.recv(&mut buffer).is_ok_and(|len| buffer[..len] == *text)
}

/// Whether `text` arrives by UDP from `source` inside `from` at `address` inside `to`.
fn datagram_arrives(
    from: &Netns,
    source: IpAddr,
    to: &Netns,
    address: IpAddr,
    text: &[u8],
) -> bool {
    let receiver = receiver(to, address);
    send_datagram(from, source, &receiver, text);
    arrives(&receiver, text, LIMIT)
}

#[test]
fn nothing_of_a_user_crosses_the_wire_in_the_clear() {
    needs_namespaces!();
    let _alone = alone();
    let lab = wired(2);
    assert_reaches(&lab, 1, 2);
    let (one, two) = (lab.host(1).netns(), lab.host(2).netns());
    let marker = b"a marker nobody else would send";
    lab.wire().watch_for(marker);

    for (source, target) in addresses(&lab, 1).into_iter().zip(addresses(&lab, 2)) {
        assert!(datagram_arrives(one, source, two, target, marker));
    }
    assert_eq!(lab.wire().marked(), 0);

    // The same beside the mesh is seen: the watch works.
    let (source, target) = (underlay_v4(1).into(), underlay_v4(2).into());
    assert!(datagram_arrives(one, source, two, target, marker));
    assert_eq!(lab.wire().marked(), 1);
}

#[test]
fn a_member_cannot_speak_from_anothers_address() {
    needs_namespaces!();
    let _alone = alone();
    let lab = bridged(3);
    assert_reaches(&lab, 2, 1);
    let (liar, victim) = (lab.host(2).netns(), lab.host(1).netns());
    let dropped = || -> u64 {
        let drops = lab.host(1).status().unwrap().drops;
        drops.iter().filter(|drop| drop.reason.contains("source")).map(|drop| drop.packets).sum()
    };
    for ((own, others), target) in
        addresses(&lab, 2).into_iter().zip(addresses(&lab, 3)).zip(addresses(&lab, 1))
    {
        assert!(datagram_arrives(liar, own, victim, target, b"mine"));
        let before = dropped();
        let bits = if others.is_ipv4() { 32 } else { 128 };
        link::add_address(liar, INTERFACE, others, bits).unwrap();
        let receiver = receiver(victim, target);
        eventually(LIMIT, "a lie is counted", || {
            send_datagram(liar, others, &receiver, b"lie");
            (dropped() > before).then_some(())
        })
        .unwrap();
        assert!(!arrives(&receiver, b"lie", NOTHING_LEFT), "from {others}");
    }
}
