//! Word of changed routes, bounded: a host with the routes of the whole Internet changes some of them
//! all the time, and nobody here wants to hear of each.

use std::io;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, setsockopt, socket, sockopt,
};
use tokio::net::unix::pipe::Receiver;

use super::NetlinkError;

/// How long changes are collected before they are reported: a routing daemon or a network manager makes
/// many at once.
const SETTLE: Duration = Duration::from_millis(500);

/// What the kernel holds for us, in bytes; it doubles that for its own overhead. A dozen notices. Once they
/// are there, more cost neither it nor us anything until these are read, and none is read before the last
/// report is dealt with.
const BUFFER: usize = 4096;

/// Routes, rules between tables of routes, and links: routes through one that goes down vanish without a
/// word of their own.
const GROUPS: [u32; 5] = [
    libc::RTNLGRP_LINK,
    libc::RTNLGRP_IPV4_ROUTE,
    libc::RTNLGRP_IPV4_RULE,
    libc::RTNLGRP_IPV6_ROUTE,
    libc::RTNLGRP_IPV6_RULE,
];

/// Word of changes to the host's routes, by netlink multicast.
pub(crate) struct RouteWatch {
    /// To the runtime a netlink socket is what a pipe is: a descriptor to read from.
    notices: Receiver,
}

impl RouteWatch {
    /// Subscribes, served on the current runtime.
    pub(crate) fn open() -> Result<Self, NetlinkError> {
        let open = || -> io::Result<_> {
            let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
            let protocol = SockProtocol::NetlinkRoute;
            let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
            setsockopt(&socket, sockopt::RcvBuf, &BUFFER)?;
            let groups = GROUPS.iter().fold(0, |mask, group| mask | 1 << (group - 1));
            bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
            Ok(Self { notices: Receiver::from_owned_fd_unchecked(socket)? })
        };
        open().map_err(NetlinkError::Open)
    }

    /// Returns after routes have changed and the burst of changes is over, or has lasted long enough.
    pub(crate) async fn changed(&self) {
        if self.notices.readable().await.is_err() {
            // The runtime is shutting down.
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(SETTLE).await;
        self.forget();
    }

    /// Throws the notices away: how things are now is looked up anyway.
    fn forget(&self) {
        let mut notice = [0; BUFFER];
        loop {
            match self.notices.try_read(&mut notice) {
                Ok(_) => {}
                // Lost notices are as good as others.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::Netlink;
    use super::*;
    use crate::io::fixture::skip;

    #[tokio::test]
    async fn a_thousand_changes_are_a_few_reports() {
        if nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).is_err() {
            return skip("no right to make network namespaces");
        }
        let netlink = Netlink::open().expect("netlink");
        let loopback = nix::net::if_::if_nametoindex("lo").expect("loopback");
        netlink.bring_up(loopback).await.expect("loopback up");
        let watch = RouteWatch::open().expect("a subscription");
        // What the loopback interface brought with it may still be under way.
        while tokio::time::timeout(Duration::from_secs(2), watch.changed()).await.is_ok() {}
        for n in 0..1000_u32 {
            let prefix = Ipv4Addr::from(0x0a00_0000 + n * 256);
            let route = rtnetlink::RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(prefix, 24)
                .output_interface(loopback)
                .build();
            netlink.route(route, "10.0.0.0/8".parse().expect("a prefix")).await.expect("added");
        }
        let mut reports = 0;
        while tokio::time::timeout(Duration::from_secs(2), watch.changed()).await.is_ok() {
            reports += 1;
        }
        assert!((1..=2).contains(&reports), "{reports}");
    }
}
