//! What another process may do.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::unistd::Pid;

use super::check;

/// No file that `pid` writes may become longer than `bytes`; what is longer stays. It may be given more again.
pub(crate) fn file_length(pid: Pid, bytes: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the limit outlives the call, which writes nothing.
    check(unsafe { libc::prlimit(pid.as_raw(), libc::RLIMIT_FSIZE, &limit, std::ptr::null_mut()) })
        .map(drop)
}

/// Makes `command`, and each program that it starts, have no more than `bytes` of address space.
pub(crate) fn address_space(command: &mut Command, bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    let restrict = move || -> io::Result<()> {
        // SAFETY: the limit outlives the call, which only reads it.
        check(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }).map(drop)
    };
    // SAFETY: the closure makes one system call and allocates nothing, so it may run between fork and exec, whatever
    // locks other threads held.
    unsafe { command.pre_exec(restrict) };
}
