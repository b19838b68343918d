//! Who is compared: a way to bring up one tunnel between the two ends, afresh for each sample.

mod catalogue;
mod direct;
mod mesh;
mod nebula;
mod tinc;
mod wireguard;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::ground::Ground;
use super::tunnel::Tunnel;
use crate::error::{Context as _, Error, Result};

pub use catalogue::{Catalogue, OTHERS};
pub use direct::Direct;

/// A contestant.
pub trait Peer {
    /// What the tables call it.
    fn name(&self) -> &str;

    /// What the program says of its version.
    fn version(&self) -> Option<String>;

    /// An error naming what is missing where it cannot run.
    fn available(&self) -> Result<()>;

    /// Starts both daemons and tells them all they need. `dir` is an empty directory.
    fn start(&self, ground: &Ground, dir: &Path) -> Result<Tunnel>;
}

/// Where a program is, or the reason why it cannot be had.
type Program = Result<PathBuf, String>;

fn available(program: &Program) -> Result<()> {
    program.as_ref().map(drop).map_err(|reason| reason.clone().into())
}

fn path(program: &Program) -> Result<&Path> {
    program.as_deref().map_err(|reason| reason.clone().into())
}

/// Runs a tool that prepares something to its end.
fn run(command: &mut Command) -> Result<()> {
    let what = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output().context(format!("run {what}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Failed(format!("{what}: {}: {said}", output.status)))
}
