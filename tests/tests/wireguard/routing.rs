//! Cryptokey routing: allowed IPs say to whom a packet goes and from whom it is believed.
//!
//! Red when: the source of an inner packet is not checked, or only against the sender's own prefixes and not
//! the device's longest match; when the shorter of two prefixes wins; when a prefix belongs to two peers, or
//! stays with one it was taken from.

use std::collections::BTreeSet;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use mesh_tests::route::{Route, bits_of};
use mesh_tests::traffic::{PingStream, ping};
use mesh_tests::wireguard::uapi::Changes;
use mesh_tests::wireguard::{End, Family, PublicKey, SecretKey};
use mesh_tests::{eventually, needs_namespaces};

use crate::{
    LIMIT, NEVER, assert_answers, assert_reaches, pair, received_up_to, receiver, send_datagram,
    three,
};

/// Addresses no end has by itself, one of each family.
const EXTRA: [&str; 2] = ["10.200.1.1", "fd20:0:1::1"];

fn extra() -> [IpAddr; 2] {
    EXTRA.map(|text| text.parse().unwrap())
}

fn alone(address: IpAddr) -> String {
    format!("{address}/{}", bits_of(address))
}

/// The same family's address of an end.
fn like(address: IpAddr, end: &End) -> IpAddr {
    end.inner(if address.is_ipv4() { Family::V4 } else { Family::V6 })
}

/// Gives an end the address and no neighbours.
fn hold(end: &End, address: IpAddr) {
    end.device.add_address(address, bits_of(address)).unwrap();
}

/// Sends a lie and then the truth from `from`, and says whether the lie was believed by `to`.
fn believes(from: &End, lie: IpAddr, to: &End) -> bool {
    let (target, truth) = (like(lie, to), like(lie, from));
    let receiver = receiver(to.netns(), target);
    let place = receiver.local_addr().unwrap();
    send_datagram(from.netns(), lie, place, b"lie");
    send_datagram(from.netns(), truth, place, b"truth");
    received_up_to(&receiver, b"truth").contains(&b"lie".to_vec())
}

#[test]
fn a_packet_from_an_address_that_is_not_the_senders_is_dropped() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(two, one);
    for lie in extra() {
        hold(two, lie);
        assert!(!believes(two, lie, one), "{lie}");
        one.device.set(&Changes::new().peer(two.key()).allowed_ip(&alone(lie))).unwrap();
        assert!(believes(two, lie, one), "{lie} is allowed now");
    }
}

#[test]
fn a_longer_prefix_of_another_peer_takes_an_address_both_ways() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    let wide = Changes::new().peer(two.key()).replace_allowed_ips();
    one.device.set(&wide.allowed_ip("10.99.0.0/24").allowed_ip("fd99::/64")).unwrap();
    assert_reaches(two, one);
    assert_reaches(one, two);

    let stranger = SecretKey::numbered(77).public();
    for family in Family::BOTH {
        let longer = two.inner_prefix(family);
        one.device.set(&Changes::new().peer(stranger).allowed_ip(&longer)).unwrap();
        assert!(ping(two.netns(), one.inner(family), NEVER).is_err(), "{longer} is another's");
        assert!(ping(one.netns(), two.inner(family), NEVER).is_err(), "{longer} is another's");
    }
    one.device.set(&Changes::new().peer(stranger).remove()).unwrap();
    assert_reaches(two, one);
    assert_reaches(one, two);
}

/// Ends 2 and 3 both have the extra addresses; who gets what end 1 sends there?
struct Rivals<'a> {
    from: &'a End,
    at: [(PublicKey, UdpSocket); 2],
    address: IpAddr,
}

impl<'a> Rivals<'a> {
    fn new(from: &'a End, rivals: [&End; 2], address: IpAddr) -> Self {
        Route::host(address, from.device.interface()).add(from.netns()).unwrap();
        let at = rivals.map(|end| {
            hold(end, address);
            let all: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
            let socket = end.netns().run(|| UdpSocket::bind((all, 7_777)).unwrap()).unwrap();
            socket.set_nonblocking(true).unwrap();
            (end.key(), socket)
        });
        Self { from, at, address }
    }

    fn take(&self, prefix: &str, owner: PublicKey) {
        self.from.device.set(&Changes::new().peer(owner).allowed_ip(prefix)).unwrap();
    }

    /// Sends until one gets it, and says who.
    fn receiver_of(&self, text: &[u8]) -> PublicKey {
        let source = like(self.address, self.from);
        eventually(LIMIT, "somebody gets it", || {
            send_datagram(self.from.netns(), source, (self.address, 7_777).into(), text);
            self.at.iter().find(|(_, socket)| got(socket, text)).map(|(key, _)| *key)
        })
        .unwrap()
    }
}

/// Whether `text` has arrived. What else has is forgotten.
fn got(socket: &UdpSocket, text: &[u8]) -> bool {
    let mut buffer = [0; 2_000];
    let mut found = false;
    while let Ok(len) = socket.recv(&mut buffer) {
        found |= buffer[..len] == *text;
    }
    found
}

#[test]
fn of_nested_prefixes_the_longest_wins_whatever_came_first() {
    needs_namespaces!();
    let tunnel = three();
    let [one, two, three] = [tunnel.end(1), tunnel.end(2), tunnel.end(3)];
    assert_reaches(two, one);
    assert_reaches(three, one);
    let ladders = [
        ["0.0.0.0/0", "10.200.0.0/15", "10.200.0.0/16", "10.200.1.0/31", "10.200.1.1/32"],
        ["::/0", "fd20::/31", "fd20::/32", "fd20:0:1::/127", "fd20:0:1::1/128"],
    ];
    for (address, ladder) in extra().into_iter().zip(ladders) {
        let rivals = Rivals::new(one, [two, three], address);
        // Longer and longer, each time of the other.
        for (step, prefix) in ladder.into_iter().enumerate() {
            let owner = [two, three][step % 2].key();
            rivals.take(prefix, owner);
            assert_eq!(rivals.receiver_of(prefix.as_bytes()), owner, "{prefix}");
        }
        // A shorter one that comes late changes nothing.
        rivals.take(ladder[3], two.key());
        assert_eq!(rivals.receiver_of(b"late"), two.key());
        rivals.take(ladder[1], three.key());
        assert_eq!(rivals.receiver_of(b"later"), two.key());
        // Without the long ones the short one is back.
        let without = Changes::new().peer(two.key()).replace_allowed_ips();
        one.device
            .set(
                &without
                    .allowed_ip(&two.inner_prefix(Family::V4))
                    .allowed_ip(&two.inner_prefix(Family::V6)),
            )
            .unwrap();
        assert_eq!(rivals.receiver_of(b"last"), three.key());
    }
}

#[test]
fn an_allowed_ip_moves_between_peers_while_traffic_flows() {
    needs_namespaces!();
    let tunnel = three();
    let [one, two, three] = [tunnel.end(1), tunnel.end(2), tunnel.end(3)];
    assert_reaches(two, one);
    assert_reaches(three, one);
    for address in extra() {
        let rivals = Rivals::new(one, [two, three], address);
        let prefix = alone(address);
        rivals.take(&prefix, two.key());
        let stream = PingStream::start(one.netns(), address, Duration::from_millis(1)).unwrap();
        for turn in 0..40_u8 {
            let owner = [three, two][usize::from(turn % 2)];
            rivals.take(&prefix, owner.key());
            assert_eq!(rivals.receiver_of(&[turn]), owner.key());
            let state = one.device.get().unwrap();
            let owners = state.peers.iter().filter(|(_, peer)| peer.allowed_ips.contains(&prefix));
            let owners: Vec<PublicKey> = owners.map(|(key, _)| *key).collect();
            assert_eq!(owners, [owner.key()], "{prefix} has one owner");
        }
        let report = stream.stop().unwrap();
        assert!(report.received > 0, "{report:?}");
    }
}

#[test]
fn an_allowed_ip_taken_away_works_in_neither_direction() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    let keep = one.inner_prefix(Family::V6);
    two.device
        .set(&Changes::new().peer(one.key()).replace_allowed_ips().allowed_ip(&keep))
        .unwrap();
    assert_eq!(two.sees(one).unwrap().allowed_ips, BTreeSet::from([keep]));
    assert!(ping(one.netns(), two.inner(Family::V4), NEVER).is_err(), "it is not believed");
    assert!(ping(two.netns(), one.inner(Family::V4), NEVER).is_err(), "nothing is sent there");
    assert_answers(one.netns(), two.inner(Family::V6));
    two.device.set(&End::as_peer(one)).unwrap();
    assert_reaches(one, two);
}

#[test]
fn an_allowed_ip_is_taken_away_by_name() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    assert_reaches(one, two);
    let [gone, kept] = Family::BOTH.map(|family| one.inner_prefix(family));
    two.device.set(&Changes::new().peer(one.key()).allowed_ip(&format!("-{gone}"))).unwrap();
    assert_eq!(two.sees(one).unwrap().allowed_ips, BTreeSet::from([kept]));
    assert!(ping(one.netns(), two.inner(Family::V4), NEVER).is_err(), "it is not believed");
    assert_answers(one.netns(), two.inner(Family::V6));
    // What another peer has is not taken from it.
    let stranger = SecretKey::numbered(77).public();
    let theirs = one.inner_prefix(Family::V6);
    two.device.set(&Changes::new().peer(stranger).allowed_ip(&format!("-{theirs}"))).unwrap();
    assert_answers(one.netns(), two.inner(Family::V6));
}

#[test]
fn everything_may_be_routed_to_one_peer() {
    needs_namespaces!();
    let tunnel = pair();
    let [one, two] = [tunnel.end(1), tunnel.end(2)];
    let all = |end: &End| {
        Changes::new()
            .peer(end.key())
            .replace_allowed_ips()
            .allowed_ip("0.0.0.0/0")
            .allowed_ip("::/0")
    };
    one.device.set(&all(two)).unwrap();
    two.device.set(&all(one)).unwrap();
    let seen = one.sees(two).unwrap().allowed_ips;
    assert_eq!(seen, ["0.0.0.0/0", "::/0"].map(str::to_owned).into());
    for address in extra() {
        hold(two, address);
        Route::host(address, one.device.interface()).add(one.netns()).unwrap();
        assert_answers(one.netns(), address);
    }
}
