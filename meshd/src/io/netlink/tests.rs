//! The kernel's settings in a network namespace of the test's own.

use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt as _;
use mesh_model::addr::OVERLAY_MTU;

use super::*;
use crate::io::fixture::{addrs, prefixes, skip};
use crate::io::tun::Tun;

#[tokio::test]
async fn a_route_that_is_taken_is_left_to_its_owner() {
    if nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).is_err() {
        return skip("no right to make network namespaces and TUN devices");
    }
    let netlink = Netlink::open().expect("netlink");
    let first = Tun::create("meshtest1", OVERLAY_MTU).expect("a device");
    netlink.configure(first.index(), addrs(1), prefixes()).await.expect("configured");

    let second = Tun::create("meshtest2", OVERLAY_MTU).expect("a device");
    let taken = netlink.configure(second.index(), addrs(2), prefixes()).await;
    let taken = taken.expect_err("the first one's route was taken over");
    assert!(
        matches!(taken, NetlinkError::RouteTaken(prefix) if prefix == prefixes().v4.into()),
        "{taken}"
    );
    assert!(taken.to_string().contains(&prefixes().v4.to_string()), "{taken}");
    drop(second);

    // Both of the first one's routes are what they were: its addresses are still chosen.
    let chosen = |bind: &str, to: IpAddr| {
        let socket = std::net::UdpSocket::bind(bind).expect("a socket");
        socket.connect((to, 9)).expect("routed");
        socket.local_addr().expect("connected").ip()
    };
    assert_eq!(chosen("0.0.0.0:0", addrs(3).v4.into()), addrs(1).v4);
    assert_eq!(chosen("[::]:0", addrs(3).v6.into()), addrs(1).v6);
}

#[tokio::test(start_paused = true)]
async fn a_change_is_reported_in_time_to_someone_who_keeps_looking_away() {
    let one_change = futures_util::stream::iter([()]).chain(futures_util::stream::pending());
    let mut watch = AddressWatch::over(one_change.boxed());
    // Shorter than the settling: waiting anew each time would never end.
    let impatience = Duration::from_millis(100);
    let mut looks = 1;
    while tokio::time::timeout(impatience, watch.changed()).await.is_err() {
        looks += 1;
        assert!(looks < 10, "the change is never reported");
    }
    // Reported once.
    assert!(tokio::time::timeout(Duration::from_secs(60), watch.changed()).await.is_err());
}
