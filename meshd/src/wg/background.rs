//! Going to the background, without a moment in which nobody knows whether the device is there.
//!
//! A process with threads cannot fork itself in two, so the program starts itself anew, in the foreground, with its
//! standard output in our hands:
//!
//! ```text
//! meshd wg wg0 ──starts──> meshd wg wg0 --foreground --detached     a session of its own
//!      │ waits                       │ says on the terminal what goes wrong
//!      │<───────── one byte ─────────┤ the device is ready
//!      └ ends with 0                 │ lets go of the terminal, and stays
//! ```

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitCode, Stdio};

use nix::unistd::{dup2_stderr, dup2_stdout, setsid};

use crate::args::WgArgs;
use crate::exit::{Exit, Reason};

/// What is written once the device is ready.
const READY: u8 = b'\n';

/// Starts the device, and returns when it is ready or has failed; what went wrong it has said itself.
pub(super) fn start(args: &WgArgs) -> ExitCode {
    match spawn(args) {
        Ok(child) => wait(child),
        Err(error) => Exit::because(
            Reason::Environment,
            format_args!("cannot start a process in the background: {error}"),
        )
        .remedy("run it with --foreground")
        .report(),
    }
}

fn spawn(args: &WgArgs) -> std::io::Result<Child> {
    // Each by name, so that none is forgotten.
    let WgArgs {
        interface,
        foreground: _,
        workers,
        offloads,
        log,
        log_format,
        state_dir,
        detached: _,
    } = args;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["wg", interface, "--foreground", "--detached"]);
    // It changes its working directory, where a relative path would mean another place.
    command.arg("--state-dir").arg(std::path::absolute(state_dir)?);
    let settings = [
        ("--workers", workers),
        ("--offloads", offloads),
        ("--log", log),
        ("--log-format", log_format),
    ];
    for (flag, value) in settings {
        command.args(value.iter().flat_map(|value| [flag, value]));
    }
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
}

fn wait(mut child: Child) -> ExitCode {
    let mut byte = [0];
    let ready = child.stdout.take().is_some_and(|mut out| out.read_exact(&mut byte).is_ok());
    if ready {
        return Exit::clean().report();
    }
    let code = child.wait().ok().and_then(|status| status.code());
    let code = code.and_then(|code| u8::try_from(code).ok());
    code.map_or_else(
        || Exit::because(Reason::Bug, "the device was killed").report(),
        ExitCode::from,
    )
}

/// The process in the background, until it is ready.
pub(super) struct Background(());

impl Background {
    /// Leaves the terminal's session: what is typed there does not end the device.
    pub(super) fn enter() -> Result<Self, Exit> {
        setsid().map(|_| Self(())).map_err(|error| refused("leave the terminal's session", error))
    }

    /// Tells whoever started us, and lets go of the terminal.
    pub(super) fn ready(self) -> Result<(), Exit> {
        let null = OpenOptions::new().write(true).open("/dev/null");
        let null = null.map_err(|error| refused("open /dev/null", error))?;
        // Whoever started us may have been killed; the device is there all the same.
        let _ = std::io::stdout().write_all(&[READY]).and_then(|()| std::io::stdout().flush());
        dup2_stdout(&null).map_err(|error| refused("let go of standard output", error))?;
        dup2_stderr(&null).map_err(|error| refused("let go of standard error", error))
    }
}

fn refused(what: &str, error: impl Into<std::io::Error>) -> Exit {
    Exit::because(Reason::Environment, format_args!("cannot {what}: {}", error.into()))
}
