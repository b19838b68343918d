use std::net::{Ipv4Addr, Ipv6Addr};

use mesh_dataplane::Endpoint;
use nix::sys::socket::getsockopt;
use rustix::event::{PollFd, PollFlags, poll};

use super::*;

fn serve(port: UdpPort) -> Udp {
    Udp::serve_sliced(port, 1, Offloads::ALL).expect("served").remove(0)
}

pub(super) fn send(udp: &Udp, lane: Lane, to: Endpoint, contents: &[u8]) {
    let transmit = Transmit::datagram(to, contents);
    assert_eq!(udp.send(lane, [transmit].into_iter()).expect("sent"), 1);
}

/// Everything the next receive call brings, once something has arrived.
fn receive(udp: &Udp, lane: Lane) -> Vec<(Endpoint, Vec<u8>)> {
    let mut batch = ReceiveBatch::new();
    let fd = if lane == Lane::Bulk { udp.bulk() } else { udp.control().expect("a lane") };
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    poll(&mut fds, None).expect("polled");
    udp.receive(lane, &mut batch).expect("something has arrived");
    let mut got = Vec::new();
    for n in 0..batch.len() {
        let run = batch.run(n);
        let from = run.from;
        got.extend(run.datagrams().map(|at| (from, batch.arena()[at].to_vec())));
    }
    got
}

#[test]
fn ipv4_peers_of_the_dual_stack_port_look_like_ipv4() {
    let port = UdpPort::bind_any(0).expect("any");
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port.local().port()));
    let udp = serve(port);
    let peer = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    peer.send_to(b"hello", to).expect("sent");
    let from = peer.local_addr().expect("bound");
    let interface = nix::net::if_::if_nametoindex("lo").ok();
    let seen = Endpoint { remote: from, local: Some(Ipv4Addr::LOCALHOST.into()), interface };
    assert_eq!(receive(&udp, Lane::Bulk), [(seen, b"hello".to_vec())]);

    for to in [seen, from.into()] {
        for lane in [Lane::Bulk, Lane::Control] {
            send(&udp, lane, to, b"back");
        }
        for _ in 0..2 {
            let mut buf = [0; 16];
            let (len, _) = peer.recv_from(&mut buf).expect("received");
            assert_eq!(&buf[..len], b"back");
        }
    }
}

#[test]
fn a_run_arrives_as_the_datagrams_it_was_made_of() {
    let open = || {
        let port = UdpPort::bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
        let at = port.local();
        (serve(port), at)
    };
    let ((near, from), (far, to)) = (open(), open());
    let run = [[1; 100], [2; 100]].concat();
    let run = [&run[..], &[3; 40]].concat();
    if near.max_run() > 1 {
        let run = Transmit { segment: Some(100), ..Transmit::datagram(to, &run) };
        assert_eq!(near.send(Lane::Bulk, [run].into_iter()).expect("sent"), 1);
    } else {
        run.chunks(100).for_each(|datagram| send(&near, Lane::Bulk, to.into(), datagram));
    }
    send(&near, Lane::Bulk, to.into(), &[]);
    let mut got = Vec::new();
    // The empty one may be dropped on the way up: it carries nothing.
    while got.len() < 3 {
        got.extend(receive(&far, Lane::Bulk));
    }
    got.truncate(3);
    let parts = [vec![1; 100], vec![2; 100], vec![3; 40]];
    let interface = nix::net::if_::if_nametoindex("lo").ok();
    let from = Endpoint { remote: from, local: Some(to.ip()), interface };
    assert_eq!(got, parts.map(|part| (from, part)));
}

/// Whether the kernel has been told to put together what arrives, for each socket there is.
fn gro(threads: &[Udp]) -> Vec<bool> {
    let queues = threads.iter().flat_map(|udp| [Some(&udp.bulk), udp.control.as_ref()]);
    let told = |queue: &Queue| getsockopt(&queue.socket, sockopt::UdpGroSegment);
    queues.flatten().map(|queue| told(queue).expect("told")).collect()
}

#[test]
fn an_offload_is_used_where_it_may_be_and_nowhere_else() {
    let open = |allowed| {
        let port = UdpPort::bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
        Udp::serve_sliced(port, 2, allowed).expect("served")
    };
    let full = open(Offloads::ALL);
    let has =
        Offloads { udp_gso: full[0].max_run() > 1, udp_gro: full[0].has_gro(), ..Offloads::NONE };
    for allowed in [
        Offloads::ALL,
        Offloads { udp_gro: true, ..Offloads::NONE },
        Offloads { udp_gso: true, ..Offloads::NONE },
        Offloads::NONE,
    ] {
        let threads = open(allowed);
        let expected = has.and(allowed);
        assert_eq!(gro(&threads), [expected.udp_gro; 4], "{allowed:?}");
        for udp in &threads {
            assert_eq!((udp.max_run() > 1, udp.has_gro()), (expected.udp_gso, expected.udp_gro));
        }
    }
}

#[test]
fn what_is_urgent_arrives_on_its_own_lane_in_both_families() {
    for host in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
        let near = serve(UdpPort::bind(SocketAddr::new(host, 0)).expect("bound"));
        let far = UdpPort::bind_any(0).expect("bound");
        let to = Endpoint::from(SocketAddr::new(host, far.local().port()));
        let far = serve(far);
        for n in 0..20 {
            send(&near, Lane::Bulk, to, &[n, 0]);
            send(&near, Lane::Control, to, &[n, 1]);
        }
        for lane in [Lane::Control, Lane::Bulk] {
            let mut got = Vec::new();
            while got.len() < 20 {
                got.extend(receive(&far, lane));
            }
            let urgent = u8::from(lane == Lane::Control);
            let all = (0..20).map(|n| vec![n, urgent]).collect::<Vec<_>>();
            assert_eq!(got.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>(), all);
        }
    }
}

#[test]
fn sharing_between_lanes_lets_nobody_else_in() {
    let port = UdpPort::bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let at = port.local();
    let _served = serve(port);
    assert!(UdpPort::bind(at).is_err());
}

#[test]
fn a_taken_port_is_named() {
    let held = UdpPort::bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let error = UdpPort::bind(held.local()).expect_err("taken");
    assert!(error.to_string().contains(&held.local().to_string()), "{error}");
}
