//! What a child process does between fork and exec.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::setsid;

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
