//! A socket in a daemon's cradle, as systemd puts it there (sd_listen_fds(3)).

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::error::{Context as _, Result};
use crate::raw;

/// Tells the program in `$0` that one socket is meant for this very process, which it becomes.
const CRADLE: &str = "LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\"";

/// `command`, to which `listener` is handed over.
pub(super) fn with(command: &Command, listener: &UnixListener) -> Result<Command> {
    let mut cradle = Command::new("sh");
    cradle.args(["-c", CRADLE]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => cradle.env(name, value),
            None => cradle.env_remove(name),
        };
    }
    let socket = listener.try_clone().context("duplicate a socket")?;
    raw::child::hand_over(&mut cradle, OwnedFd::from(socket));
    Ok(cradle)
}
