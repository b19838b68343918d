//! What a packet thread sleeps for.

use std::io;
use std::time::{Duration, Instant};

use mesh_dataplane::Lane;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Worker;
use crate::io::clock;

/// How soon to try again to hand on what another thread has not had room for: as long as that thread may
/// be busy with one turn, and a tenth of what a stalled TCP would notice.
const HANDOVER_RETRY: Duration = Duration::from_millis(1);

/// A sleep after which the device is asked for its MTU anew: nobody waits for that, and whoever changed
/// it while nothing was sent is heard at once.
const IDLE: Duration = Duration::from_millis(5);

/// Which sources have something.
#[derive(Default)]
pub(super) struct Ready {
    pub(super) control: bool,
    pub(super) bulk: bool,
    pub(super) tun: bool,
}

impl Worker {
    /// Sleeps until there is something to do.
    pub(super) fn wait(&mut self) -> io::Result<Ready> {
        let before = clock::now();
        // First the announcement, then the look: what comes in between rings.
        let idle = self.ends.orders.may_sleep() && !self.is_called();
        let deadline = self.engine.poll_timeout().map(|(deadline, _)| deadline);
        let retry = self.held_back.then(|| before + HANDOVER_RETRY);
        let stall = self.outlet.uplink.poll_timeout();
        let timeout = match (idle, deadline.into_iter().chain(retry).chain(stall).min()) {
            (false, _) => Some(Timespec::default()),
            (true, Some(deadline)) => Some(until(deadline)),
            (true, None) => None,
        };
        let outlet = &self.outlet;
        let of = |lanes: &[Lane]| {
            let waits = lanes.iter().any(|lane| outlet.waits_for_room(*lane));
            if waits { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN }
        };
        // A negative descriptor, which poll(2) passes over, cannot be said here: what is not to be
        // polled is the bell once more.
        let bell = self.ends.orders.bell();
        let control = outlet.udp.control();
        let on_bulk: &[_] = match control {
            Some(_) => &[Lane::Bulk],
            None => &[Lane::Bulk, Lane::Control],
        };
        // Off, it takes packets again as soon as it is on.
        let on_tun =
            if self.engine.is_up() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        let mut fds = [
            PollFd::from_borrowed_fd(bell, PollFlags::IN),
            control.map_or(PollFd::from_borrowed_fd(bell, PollFlags::empty()), |control| {
                PollFd::from_borrowed_fd(control, of(&[Lane::Control]))
            }),
            PollFd::from_borrowed_fd(outlet.udp.bulk(), of(on_bulk)),
            outlet.tun.as_ref().map_or(PollFd::from_borrowed_fd(bell, PollFlags::empty()), |tun| {
                PollFd::new(tun, on_tun)
            }),
        ];
        match poll(&mut fds, timeout.as_ref()) {
            // A signal is a wake without a cause.
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let has_room = fds[2].revents().contains(PollFlags::OUT);
        let [rung, control, bulk, tun] = fds.map(|fd| !fd.revents().is_empty());
        if has_room {
            self.outlet.handle_room();
        } else if stall.is_some() {
            self.outlet.handle_stall();
        }
        self.ends.orders.wake(rung);
        if clock::now() >= before + IDLE {
            self.mtu_known = None;
        }
        Ok(Ready { control, bulk, tun })
    }

    /// Whether there is something to be dealt with now: of other threads, or what has waited for room.
    fn is_called(&self) -> bool {
        let incoming = &self.ends.incoming;
        !incoming.is_empty(Lane::Control)
            || !incoming.is_empty(Lane::Bulk)
            || self.backlog.is_next(&self.outlet.uplink)
            || self.ends.team.is_over()
    }
}

/// The time from now to `deadline`.
fn until(deadline: Instant) -> Timespec {
    let left = deadline.saturating_duration_since(clock::now());
    // A deadline beyond what the kernel can count is as good as none.
    Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 })
}
