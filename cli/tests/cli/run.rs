//! Runs the built program.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The one document on standard output.
    pub(crate) fn document(&self) -> Value {
        assert!(self.stdout.ends_with('\n'), "{self:?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The error document on standard error, with nothing on standard output.
    pub(crate) fn error(&self) -> Value {
        assert_eq!(self.stdout, "");
        let outer: Value =
            serde_json::from_str(&self.stderr).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        outer["error"].clone()
    }
}

/// The program, with nothing of this process's environment that it would heed.
pub(crate) fn command(socket: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
    command.arg("--socket").arg(socket).args(args);
    for name in ["MESH_SOCKET", "NO_COLOR", "TERM", "XDG_RUNTIME_DIR"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end.
pub(crate) fn mesh(socket: &Path, args: &[&str]) -> Ran {
    ended(command(socket, args).output().expect("runs"))
}

/// Runs it to its end with `input` on standard input.
pub(crate) fn mesh_with_input(socket: &Path, args: &[&str], input: &[u8]) -> Ran {
    let mut child = command(socket, args).stdin(Stdio::piped()).spawn().expect("starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It may stop reading early: that is what some tests are about.
    let _ = stdin.write_all(input);
    drop(stdin);
    ended(child.wait_with_output().expect("runs"))
}

pub(crate) fn ended(output: std::process::Output) -> Ran {
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}
