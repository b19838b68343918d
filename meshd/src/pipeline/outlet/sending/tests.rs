use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;

use mesh_dataplane::Sink as _;
use rustix::event::{PollFd, PollFlags, poll};

use super::*;
use crate::io::offloads::Offloads;
use crate::io::overlay::Ingress;
use crate::io::udp::{ReceiveBatch, Udp, UdpPort};
use crate::pipeline::handover::Outgoing;

/// How many datagrams arrive on `lane`, once `least` have.
fn arrivals(udp: &Udp, lane: Lane, least: usize) -> usize {
    let mut received = ReceiveBatch::new();
    let mut count = 0;
    while count < least {
        let fd = if lane == Lane::Bulk { udp.bulk() } else { udp.control().expect("a lane") };
        poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], None).expect("polled");
        udp.receive(lane, &mut received).expect("something has arrived");
        count += (0..received.len()).map(|n| received.run(n).datagrams().count()).sum::<usize>();
    }
    count
}

fn outlet() -> Outlet {
    Outlet::new(serve().0, None, Ingress::new().0, Outgoing::default())
}

/// A port and its number.
fn serve() -> (Udp, u16) {
    let port = UdpPort::bind_any(0).expect("any");
    let at = port.local().port();
    (Udp::serve_sliced(port, 1, Offloads::ALL).expect("served").remove(0), at)
}

fn write(outlet: &mut Outlet, lane: Lane, to: impl Into<Endpoint>) {
    outlet.slot(lane, 100).fill(7);
    outlet.send(to.into(), 100);
}

fn dropped(outlet: &Outlet) -> u64 {
    outlet.drops.iter().map(|(_, count)| count).sum()
}

#[test]
fn an_address_is_not_to_blame_for_a_destination_without_a_way() {
    let (mut outlet, (far, port)) = (outlet(), serve());
    let local = Some("::1".parse().expect("an address"));
    // Nobody can be sent to at port 0.
    for port in [0, port, 0] {
        let remote = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
        for _ in 0..2 {
            write(&mut outlet, Lane::Bulk, Endpoint { local, ..remote.into() });
        }
    }
    outlet.flush();
    assert_eq!(outlet.take_unusable(), None);
    assert_eq!(dropped(&outlet), 4);
    assert_eq!(arrivals(&far, Lane::Bulk, 2), 2);
}

#[test]
fn more_than_one_call_takes_leave_in_several_and_what_left_is_told() {
    let (mut outlet, (far, port)) = (outlet(), serve());
    let to = |n: usize| SocketAddr::from(([127, 0, 0, 1 + (n % 2) as u8], port));
    let count = MAX_MESSAGES + 2;
    (0..count).for_each(|n| write(&mut outlet, Lane::Bulk, to(n)));
    let (_, left) = outlet.try_next(Lane::Bulk, Runs::All).expect("something to send");
    let full = Left { count: MAX_MESSAGES, bytes: MAX_MESSAGES * 100 };
    assert_eq!(left.expect("sent"), full);
    outlet.bulk.pass(full.count);
    outlet.flush();
    assert!(outlet.bulk.is_empty());
    assert_eq!((arrivals(&far, Lane::Bulk, count), dropped(&outlet)), (count, 0));
}

#[test]
fn without_memory_the_buffer_grows_while_it_can() {
    let mut outlet = outlet();
    let refused = || Err(io::Error::from_raw_os_error(libc::ENOBUFS));
    assert!(outlet.watch_uplink(&refused()));
    let tries = (0..64).take_while(|_| outlet.watch_uplink(&refused())).count();
    assert!(tries < 64, "it goes on to ask for more");
}

#[test]
fn an_address_that_went_away_is_named_and_nothing_is_lost() {
    for (host, gone) in [("127.0.0.1", "192.0.2.1"), ("::1", "2001:db8::1")] {
        let (mut outlet, (far, port)) = (outlet(), serve());
        let local = Some(gone.parse().expect("an address"));
        let remote = SocketAddr::new(host.parse().expect("an address"), port);
        for lane in [Lane::Bulk, Lane::Bulk, Lane::Control] {
            write(&mut outlet, lane, Endpoint { local, ..remote.into() });
        }
        outlet.flush();
        assert_eq!(outlet.take_unusable(), local);
        assert_eq!(dropped(&outlet), 0);
        assert!(outlet.refusals.allow(remote.ip()), "it was not for being a run");
        assert_eq!(arrivals(&far, Lane::Control, 1), 1);
        assert_eq!(arrivals(&far, Lane::Bulk, 2), 2);
    }
}

/// Whether the kernel leaves out checksums, without which it takes no runs.
#[allow(unsafe_code)]
fn set_unsummed(udp: &Udp, unsummed: bool) {
    let (value, size) = (libc::c_int::from(unsummed), size_of::<libc::c_int>() as u32);
    // SAFETY: the value is a c_int of the stated size, which the kernel only reads.
    let done = unsafe {
        let (fd, value) = (udp.bulk().as_raw_fd(), (&raw const value).cast());
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_NO_CHECK, value, size)
    };
    assert_eq!(done, 0);
}

#[test]
fn where_no_run_may_go_datagrams_do_and_runs_still_go_elsewhere() {
    let (mut outlet, (far, port)) = (outlet(), serve());
    if !outlet.offloads().udp_gso {
        return;
    }
    let [narrow, wide] = [[127, 0, 0, 1], [127, 0, 0, 2]].map(|ip| SocketAddr::from((ip, port)));
    set_unsummed(&outlet.udp, true);
    (0..3).for_each(|_| write(&mut outlet, Lane::Bulk, narrow));
    outlet.flush();
    assert_eq!(arrivals(&far, Lane::Bulk, 3), 3);

    set_unsummed(&outlet.udp, false);
    for to in [wide, narrow] {
        (0..3).for_each(|_| write(&mut outlet, Lane::Bulk, to));
    }
    let counts = |outlet: &Outlet| {
        let (first, left) = outlet.try_next(Lane::Bulk, Runs::All).expect("something to send");
        (first.count > 1, left.expect("sent"))
    };
    assert_eq!(counts(&outlet), (true, Left { count: 6, bytes: 600 }));
    assert_eq!(arrivals(&far, Lane::Bulk, 6), 6);
    assert!(!outlet.refusals.allow(narrow.ip()));
    assert!(outlet.refusals.allow(wide.ip()));
    assert!(outlet.offloads().udp_gso);
    assert_eq!(dropped(&outlet), 0);
}
