//! Sending what was written: many runs to a call, and what to do about those that the kernel refuses.

#[cfg(test)]
mod tests;

use std::io;

use mesh_dataplane::{Endpoint, Lane};
use nix::libc;

use super::Outlet;
use crate::io::clock;
use crate::io::udp::{MAX_MESSAGES, Transmit};
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
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Left {
    /// Datagrams.
    count: usize,
    bytes: usize,
}

impl Left {
    fn and(self, run: &Run<'_>) -> Self {
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
        let made_room = match lane {
            Lane::Bulk => self.watch_uplink(&sent),
            Lane::Control => false,
        };
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

    /// Tells the uplink what became of bulk. Returns whether there is room now for what was too long.
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
        let most = if self.suspected.is_some() { 1 } else { MAX_MESSAGES };
        let mut first = None;
        // What will have left when so many runs have.
        let mut left = [Left::default(); 1 + MAX_MESSAGES];
        let leaving = batch
            .runs(|to| if self.refusals.allow(to) { max } else { 1 })
            .take_while(|run| runs == Runs::All || run.is_full)
            .take(most)
            .enumerate();
        let transmits = leaving.map(|(n, run)| {
            left[n + 1] = left[n].and(&run);
            let Run { to, hops, segment, contents, count, .. } = run;
            let to = self.usable(to);
            first.get_or_insert(First { to, count });
            Transmit { to, hops, segment, contents }
        });
        let sent = self.udp.send(lane, transmits);
        Some((first?, sent.map(|runs| left[runs])))
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
