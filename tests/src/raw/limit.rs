//! What another process may do.

use std::io;

use nix::unistd::Pid;

use super::check;

/// No file that `pid` writes may become longer than `bytes`; what is longer stays. It may be given more again.
pub(crate) fn file_length(pid: Pid, bytes: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the limit outlives the call, which writes nothing.
    check(unsafe { libc::prlimit(pid.as_raw(), libc::RLIMIT_FSIZE, &limit, std::ptr::null_mut()) })
        .map(drop)
}
