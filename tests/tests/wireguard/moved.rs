//! Interfaces in other network namespaces than their sockets: how the kernel's own test is built, and
//! containers that have nothing but a tunnel.
//!
//! Red when: the device is asked for by its name in the namespace where its process is, or word of it is
//! expected there only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use mesh_tests::daemon::STOP_LIMIT;
use mesh_tests::traffic::{Transfer, echo_datagrams, ping};
use mesh_tests::wireguard::message::{DATA_OVERHEAD, Kind};
use mesh_tests::wireguard::uapi::Changes;
use mesh_tests::wireguard::{Capture, Device, Family, SecretKey};
use mesh_tests::{Netns, eventually, link, needs_namespaces};

use crate::{LIMIT, assert_answers, program};

/// A device whose socket is in one namespace, and its interface in another.
struct Moved {
    device: Device,
    secret: SecretKey,
    number: u8,
    place: Arc<Netns>,
}

impl Moved {
    fn start(number: u8, home: &Arc<Netns>) -> Self {
        let device = Device::start(&program(), home).unwrap();
        let secret = SecretKey::numbered(number.into());
        device.set(&Changes::new().private_key(&secret).listen_port(0)).unwrap();
        let place = Arc::new(Netns::anonymous(&format!("m{number}")).unwrap());
        link::move_to(home, device.interface(), &place).unwrap();
        let moved = Self { device, secret, number, place };
        for (address, prefix) in [(moved.inner(Family::V4), 24), (moved.inner(Family::V6), 64)] {
            link::add_address(&moved.place, moved.device.interface(), address, prefix).unwrap();
        }
        link::up(&moved.place, moved.device.interface()).unwrap();
        moved
    }

    fn inner(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => Ipv4Addr::new(192, 168, 241, self.number).into(),
            Family::V6 => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, self.number.into()).into(),
        }
    }

    fn meet(&self, other: &Self) {
        let port = other.device.get().unwrap().listen_port;
        let peer = Changes::new()
            .peer(other.secret.public())
            .allowed_ip(&format!("{}/32", other.inner(Family::V4)))
            .allowed_ip(&format!("{}/128", other.inner(Family::V6)))
            .endpoint(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port));
        self.device.set(&peer).unwrap();
    }
}

/// Two of them, with their sockets in one namespace.
fn two_moved() -> (Arc<Netns>, [Moved; 2]) {
    let home = Arc::new(Netns::anonymous("home").unwrap());
    link::up(&home, "lo").unwrap();
    let both = [1, 2].map(|number| Moved::start(number, &home));
    both[0].meet(&both[1]);
    both[1].meet(&both[0]);
    (home, both)
}

#[test]
fn interfaces_in_other_namespaces_carry_packets() {
    needs_namespaces!();
    let (_home, [one, two]) = two_moved();
    for (from, to) in [(&one, &two), (&two, &one)] {
        for family in Family::BOTH {
            assert_answers(&from.place, to.inner(family));
            let transfer = Transfer::of(2_000_000, 61);
            let report = transfer.run(&from.place, &to.place, to.inner(family)).unwrap();
            transfer.check(&report).unwrap();
        }
    }
}

/// A length of packets that is no whole number of paddings.
const MTU: u32 = 1_301;

#[test]
fn an_interface_in_another_namespace_has_the_mtu_that_it_has_there() {
    needs_namespaces!();
    let (home, [one, two]) = two_moved();
    // Somebody else's, which looks like it but for its length.
    let name = one.device.interface();
    link::bridge(&home, name).unwrap();
    assert_answers(&one.place, two.inner(Family::V4));
    let longest = MTU as usize - Family::V4.udp_headers();
    let capture = Capture::start(&home, "lo").unwrap();
    let carried = |lengths: &[usize]| -> Vec<usize> {
        capture.datagrams();
        echo_datagrams(&one.place, &two.place, two.inner(Family::V4), lengths).unwrap();
        let seen = capture.datagrams();
        let data = seen.iter().filter(|seen| Kind::of(&seen.payload) == Some(Kind::Data));
        data.map(|seen| seen.payload.len() - DATA_OVERHEAD).collect()
    };
    for moved in [&one, &two] {
        link::set_mtu(&moved.place, moved.device.interface(), MTU).unwrap();
    }
    eventually(LIMIT, "no packet is longer than the interface takes", || {
        let carried = carried(&[longest; 4]);
        (!carried.is_empty() && carried.iter().all(|len| *len <= MTU as usize)).then_some(())
    })
    .unwrap();
    // And what is shorter is padded still.
    eventually(LIMIT, "shorter packets are padded", || {
        let carried = carried(&[100 - Family::V4.udp_headers(); 4]);
        (carried.iter().filter(|len| **len == 112).count() >= 4).then_some(())
    })
    .unwrap();
}

#[test]
fn an_interface_in_another_namespace_is_switched_off_and_on_and_removed() {
    needs_namespaces!();
    let (home, [one, mut two]) = two_moved();
    assert_answers(&one.place, two.inner(Family::V4));
    let capture = Capture::start(&home, "lo").unwrap();
    let name = two.device.interface().to_owned();
    link::down(&two.place, &name).unwrap();
    let peer = Changes::new().peer(one.secret.public()).keepalive(1);
    two.device.set(&peer).unwrap();
    let from_two = two.device.get().unwrap().listen_port;
    capture.datagrams();
    // The other end asks for a handshake again and again.
    one.device.set(&Changes::new().peer(two.secret.public()).remove()).unwrap();
    one.meet(&two);
    one.device.set(&Changes::new().peer(two.secret.public()).keepalive(1)).unwrap();
    let asked = capture.wait_for_messages(LIMIT, Kind::Initiation, 3).unwrap();
    assert!(asked.iter().all(|seen| seen.from.port() != from_two), "{asked:?}");
    link::up(&two.place, &name).unwrap();
    ping(&two.place, one.inner(Family::V4), LIMIT).unwrap();
    link::remove(&two.place, &name).unwrap();
    two.device.process().wait_exit(STOP_LIMIT).unwrap();
    assert!(!two.device.socket().path().exists(), "the socket is gone, too");
}
