//! What a child process does between fork and exec.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::setsid;

use super::check;

/// Where the descriptors begin that a service manager hands over (sd_listen_fds(3)).
const HANDED: RawFd = 3;

/// Makes `command` start inside the network namespace `netns`, as the leader of a session of its own,
/// and be killed when the thread that starts it ends.
pub(crate) fn tie(command: &mut Command, netns: OwnedFd) {
    let prepare = move || -> io::Result<()> {
        set_pdeathsig(Signal::SIGKILL)?;
        setns(&netns, CloneFlags::CLONE_NEWNET)?;
        setsid()?;
        Ok(())
    };
    // SAFETY: the closure makes three system calls and allocates nothing, so it may run between fork
    // and exec, whatever locks other threads held.
    unsafe { command.pre_exec(prepare) };
}

/// Makes `command` start with `socket` as the first descriptor that a service manager hands over.
pub(crate) fn hand_over(command: &mut Command, socket: OwnedFd) {
    let place = move || -> io::Result<()> {
        // SAFETY: no pointers. What had the number in the child is replaced there alone.
        check(unsafe { libc::dup2(socket.as_raw_fd(), HANDED) })?;
        // SAFETY: no pointers. Where the socket had the number already, it is still to be closed by exec.
        check(unsafe { libc::fcntl(HANDED, libc::F_SETFD, 0) }).map(drop)
    };
    // SAFETY: as above, with two system calls.
    unsafe { command.pre_exec(place) };
}
