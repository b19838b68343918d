//! Sending what was written: many runs to a call, and what to do about those that the kernel refuses.

use std::io;

use mesh_dataplane::{Endpoint, Lane};
use nix::libc;

use super::Outlet;
use crate::io::clock;
use crate::io::udp::Transmit;
use crate::pipeline::batch::Run;
use crate::pipeline::drops::PathDrop;

/// Which runs of bulk are to leave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Runs {
    All,
    /// Not the last, while more could join it.
    Full,
}

/// What is first to leave.
struct First {
    to: Endpoint,
    /// How many datagrams it is.
    count: usize,
}

/// What has left.
#[derive(Debug, Default, PartialEq, Eq)]
struct Left {
    /// Datagrams.
    count: usize,
    bytes: usize,
}

impl Left {
    fn and(self, run: Run<'_>) -> Self {
        Self { count: self.count + run.count, bytes: self.bytes + run.contents.len() }
    }
}

impl Outlet {
    /// Sends what was written on `lane`, as far as the kernel has room. While it has none it is not asked again.
    pub(super) fn flush_lane(&mut self, lane: Lane, runs: Runs) {
        if lane == Lane::Bulk && self.uplink.is_full() {
            return;
        }
        if lane == Lane::Bulk && !self.bulk.is_empty() && self.uplink.asks_unsent() {
            self.uplink.handle_more(self.udp.unsent());
        }
        self.refusals.expire(clock::now);
        while self.send_next(lane, runs) {}
        // What is next may be another lane's.
        self.suspected = None;
        if lane == Lane::Bulk && self.bulk.is_empty() {
            self.uplink.handle_idle();
        }
    }

    /// Sends as much of `lane` as leaves in one call. `false` when nothing is left to send, or no room in the
    /// kernel.
    fn send_next(&mut self, lane: Lane, runs: Runs) -> bool {
        let Some((first, sent)) = self.try_next(lane, runs) else { return false };
        let made_room = lane == Lane::Bulk && self.watch_uplink(&sent);
        let passed = match sent {
            Ok(left) => {
                // From any other address it leaves.
                self.unusable = self.suspected.take().or(self.unusable);
                left.count
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            // It was too long for the buffer beside what is in it.
            Err(_) if made_room => 0,
            // It goes again, datagram by datagram.
            Err(error) if first.count > 1 && takes_no_runs(&error) => {
                self.refusals.add(first.to.remote.ip(), clock::now());
                0
            }
            // It goes again, from whatever address the kernel chooses.
            Err(error) if is_unusable(&error) && first.to.local.is_some() => {
                self.suspected = first.to.local;
                self.refusals.forget(first.to.remote.ip());
                0
            }
            Err(error) => {
                // Nor from another address: there is no way to that destination.
                self.suspected = None;
                tracing::trace!(to = %first.to.remote, %error, "datagrams refused");
                // Where one alone is refused it was not for being a run.
                self.refusals.forget(first.to.remote.ip());
                self.drops.add(PathDrop::UdpRefused, first.count as u64);
                first.count
            }
        };
        self.batch(lane).pass(passed);
        true
    }

    /// Tells the uplink what became of bulk, and whether there is room now for what was too long.
    fn watch_uplink(&mut self, sent: &io::Result<Left>) -> bool {
        let now = clock::now();
        let made_room = match sent {
            Err(error) if is_no_memory(error) => self.uplink.handle_cramped(now),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.uplink.handle_full(now);
                false
            }
            Ok(left) => {
                self.uplink.handle_sent(left.bytes, now);
                false
            }
            Err(_) => false,
        };
        self.fit_buffer();
        made_room
    }

    /// Tries to send: what is first, and what has left or why it has not. `None` when nothing is to leave.
    fn try_next(&self, lane: Lane, runs: Runs) -> Option<(First, io::Result<Left>)> {
        let (batch, max) = match lane {
            Lane::Control => (&self.control, 1),
            Lane::Bulk => (&self.bulk, self.udp.max_run()),
        };
        let leaving = batch
            .runs(|to| if self.refusals.allow(to) { max } else { 1 })
            .take_while(|run| runs == Runs::All || run.is_full);
        let first = leaving.clone().next()?;
        let transmits = leaving.clone().map(|Run { to, hops, segment, contents, .. }| Transmit {
            to: self.usable(to),
            hops,
            segment,
            contents,
        });
        let most = if self.suspected.is_some() { 1 } else { usize::MAX };
        let left = self.udp.send(lane, transmits.take(most));
        let left = left.map(|runs| leaving.take(runs).fold(Left::default(), Left::and));
        Some((First { to: self.usable(first.to), count: first.count }, left))
    }

    /// The way to `to`, from any address of ours if the one it names does not do or may not.
    fn usable(&self, to: Endpoint) -> Endpoint {
        let is_usable =
            to.local.is_none() || (to.local != self.unusable && to.local != self.suspected);
        if is_usable { to } else { to.remote.into() }
    }
}

/// Whether the kernel refused because of the run, and may take its datagrams: the device does no sums (EIO),
/// or the way is too narrow for them (EINVAL, since Linux 6.15 EMSGSIZE).
fn takes_no_runs(error: &io::Error) -> bool {
    let reasons = [libc::EIO, libc::EINVAL, libc::EMSGSIZE, libc::EOPNOTSUPP];
    error.raw_os_error().is_some_and(|reason| reasons.contains(&reason))
}

/// Whether the kernel had no memory for a datagram in the socket's account.
fn is_no_memory(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOBUFS)
}

/// Whether the kernel refused because the address to send from is no longer ours.
fn is_unusable(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EADDRNOTAVAIL | libc::ENETUNREACH))
}

#[cfg(test)]
mod tests {
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
            count +=
                (0..received.len()).map(|n| received.run(n).datagrams().count()).sum::<usize>();
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
        for port in [0, port] {
            let remote = SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port));
            for _ in 0..2 {
                write(&mut outlet, Lane::Bulk, Endpoint { local, ..remote.into() });
            }
        }
        outlet.flush();
        assert_eq!(outlet.take_unusable(), None);
        assert_eq!(dropped(&outlet), 2);
        assert_eq!(arrivals(&far, Lane::Bulk, 2), 2);
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
        let [narrow, wide] =
            [[127, 0, 0, 1], [127, 0, 0, 2]].map(|ip| SocketAddr::from((ip, port)));
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
            (first.count > 1, left.expect("sent").count)
        };
        assert_eq!(counts(&outlet), (true, 6));
        assert_eq!(arrivals(&far, Lane::Bulk, 6), 6);
        assert!(!outlet.refusals.allow(narrow.ip()));
        assert!(outlet.refusals.allow(wide.ip()));
        assert!(outlet.offloads().udp_gso);
        assert_eq!(dropped(&outlet), 0);
    }
}
