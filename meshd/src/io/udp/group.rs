//! The sockets of one port: two lanes for each packet thread.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{Queue, Udp, UdpPort, control, steering};
use crate::io::offloads::Offloads;

impl Udp {
    /// Puts `port` into service for `of` threads, each with lanes of its own. For one thread only where
    /// the kernel does not choose between several sockets on a port, and without a lane for what is
    /// urgent where it has only one. With no other offloads than those `allowed`.
    pub(crate) fn serve_sliced(
        port: UdpPort,
        of: usize,
        allowed: Offloads,
    ) -> io::Result<Vec<Self>> {
        let UdpPort { socket, local } = port;
        let is_v6 = local.is_ipv6();
        let others = open_others(&socket, local, of).or_else(|error| {
            tracing::debug!(%error, of, "no sockets for so many threads");
            open_others(&socket, local, 1)
        });
        let queue = |socket| Queue::serve(socket, is_v6, allowed);
        let bulk = queue(socket)?;
        let others: io::Result<Vec<_>> =
            others.and_then(|others| others.into_iter().map(queue).collect());
        let others = others.inspect_err(|error| tracing::debug!(%error, "no lane for control"));
        let Ok(others) = others else {
            return Ok(vec![Self { bulk, control: None, is_v6 }]);
        };
        let mut all = [bulk].into_iter().chain(others);
        let mut threads = Vec::new();
        while let Some(bulk) = all.next() {
            threads.push(Self { bulk, control: all.next(), is_v6 });
        }
        Ok(threads)
    }
}

/// Opens the other sockets beside `first`, which is bound to `local`: the urgent lane of the first
/// thread, then bulk and urgent lane of each other one.
///
/// `first` was bound without sharing, so that the port was known to be free; it shares from now on.
fn open_others(first: &UdpSocket, local: SocketAddr, of: usize) -> io::Result<Vec<UdpSocket>> {
    let first = SockRef::from(first);
    first.set_reuse_port(true)?;
    let mark = first.mark()?;
    let mut others: Vec<UdpSocket> = Vec::new();
    for n in 1..2 * of {
        let socket = beside(local)?;
        if n % 2 == 1 {
            control::mark(&socket, local)?;
        }
        if mark != 0 {
            socket.set_mark(mark)?;
        }
        socket.bind(&local.into())?;
        others.push(socket.into());
    }
    others.last().map_or(Ok(()), |last| steering::attach(last, of))?;
    Ok(others)
}

/// A socket that may share `local` with others of ours.
fn beside(local: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    if local.is_ipv6() {
        socket.set_only_v6(!local.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use mesh_dataplane::{Lane, Slice};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::super::ReceiveBatch;
    use super::super::tests::send;
    use super::*;

    /// What has arrived on one lane of one thread.
    fn receive(udp: &Udp, lane: Lane) -> Vec<Vec<u8>> {
        let fd = if lane == Lane::Bulk { udp.bulk() } else { udp.control().expect("a lane") };
        let mut batch = ReceiveBatch::new();
        let mut got = Vec::new();
        let soon = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        while poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&soon)) == Ok(1) {
            udp.receive(lane, &mut batch).expect("something has arrived");
            for n in 0..batch.len() {
                let run = batch.run(n);
                got.extend(run.datagrams().map(|at| batch.arena()[at].to_vec()));
            }
        }
        got
    }

    fn datagrams() -> Vec<Vec<u8>> {
        let names = |kind: u8, at: usize, len: usize| {
            move |index: u8| {
                let mut datagram = vec![0; len];
                datagram[0] = kind;
                datagram[4] = 0x55;
                datagram[at] = index;
                datagram
            }
        };
        let indices = [0, 1, 2, 3, 4, 7, 100, 254, 255];
        let all = [(1, 4, 148), (2, 8, 92), (3, 4, 64), (4, 4, 32), (4, 4, 1452), (0xc0, 4, 1200)];
        let long = all.into_iter().flat_map(|(kind, at, len)| indices.map(names(kind, at, len)));
        long.chain([vec![4, 0, 0, 0, 1], vec![2], vec![1, 2, 3]]).collect()
    }

    #[test]
    fn every_datagram_arrives_at_the_thread_it_names_on_its_lane() {
        for of in [2, 3, 8] {
            let port = UdpPort::bind_any(0).expect("bound");
            let near = UdpPort::bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
            let near = Udp::serve_sliced(near, 1, Offloads::ALL).expect("served").remove(0);
            let to = SocketAddr::from(([127, 0, 0, 1], port.local().port()));
            let threads = Udp::serve_sliced(port, of, Offloads::ALL).expect("served");
            assert_eq!(threads.len(), of);
            for datagram in datagrams() {
                for lane in [Lane::Bulk, Lane::Control] {
                    send(&near, lane, to.into(), &datagram);
                }
            }
            for (n, udp) in threads.iter().enumerate() {
                let mut expected = datagrams();
                expected.retain(|datagram| Slice::named_by(datagram, of) == n);
                for lane in [Lane::Control, Lane::Bulk] {
                    assert_eq!(receive(udp, lane), expected, "{n} of {of}, {lane:?}");
                }
            }
        }
    }

    #[test]
    fn every_thread_sends_from_the_one_port() {
        let port = UdpPort::bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
        let from = port.local();
        let threads = Udp::serve_sliced(port, 3, Offloads::ALL).expect("served");
        let peer = UdpSocket::bind("127.0.0.1:0").expect("loopback");
        let to = peer.local_addr().expect("bound").into();
        for udp in &threads {
            for lane in [Lane::Bulk, Lane::Control] {
                send(udp, lane, to, b"from whom?");
                assert_eq!(peer.recv_from(&mut [0; 16]).expect("received").1, from);
            }
        }
    }
}
