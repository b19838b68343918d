//! The programs that can stand behind an interface.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binaries::Binaries;
use crate::error::{Error, Result};

/// Names another program to put under test instead of `meshd`: its name on the path, or where it is.
pub const PROGRAM: &str = "MESH_WG_PROGRAM";

/// A program that makes an interface and serves its configuration socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    path: PathBuf,
    dialect: Dialect,
    /// Packet threads, where a program can be told.
    workers: Option<usize>,
    /// The kernel's offloads it may use, where it can be told; all unless it is.
    offloads: Option<String>,
}

/// How a program wants to be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Meshd,
    WireguardGo,
    Boringtun,
}

impl Program {
    /// `meshd`, unless the environment names another.
    pub fn under_test() -> Result<Self> {
        let Some(named) = std::env::var_os(PROGRAM) else {
            return Ok(Self {
                path: Binaries::find()?.meshd,
                dialect: Dialect::Meshd,
                workers: None,
                offloads: None,
            });
        };
        let named = named.to_string_lossy().into_owned();
        Self::find(&named).ok_or_else(|| Error::Failed(format!("{PROGRAM}={named} is not there")))
    }

    /// The program `name`, a path or a name on the path; `None` where it is missing.
    pub fn find(name: &str) -> Option<Self> {
        let path = Some(PathBuf::from(name)).filter(|path| path.is_absolute());
        let path = path.or_else(|| on_path(name)).filter(|path| path.is_file())?;
        let dialect = match path.file_name()?.to_str()? {
            "wireguard-go" => Dialect::WireguardGo,
            "boringtun-cli" => Dialect::Boringtun,
            _ => Dialect::Meshd,
        };
        Some(Self { path, dialect, workers: None, offloads: None })
    }

    /// The same with so many packet threads, if it is one that can be told.
    #[must_use]
    pub fn with_workers(self, workers: usize) -> Self {
        let workers = (self.dialect == Dialect::Meshd).then_some(workers);
        Self { workers, ..self }
    }

    /// The same with no other offloads of the kernel than these, if it is one that can be told.
    #[must_use]
    pub fn with_offloads(self, offloads: &[&str]) -> Self {
        let names = if offloads.is_empty() { "none".to_owned() } else { offloads.join(",") };
        let offloads = (self.dialect == Dialect::Meshd).then_some(names);
        Self { offloads, ..self }
    }

    /// How many packet threads it was told to have.
    pub fn workers(&self) -> Option<usize> {
        self.workers
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What reports call it.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Runs it in the foreground for `interface`. What it wants to remember it keeps in `memory`, if it can be told.
    pub(super) fn command(&self, interface: &str, memory: &Path) -> Command {
        let mut command = Command::new(&self.path);
        match self.dialect {
            Dialect::Meshd => {
                command.args(["wg", interface, "--foreground", "--state-dir"]).arg(memory)
            }
            Dialect::WireguardGo => {
                command.args(["--foreground", interface]).env("LOG_LEVEL", "error")
            }
            Dialect::Boringtun => {
                command.args(["--foreground", "--disable-drop-privileges", interface])
            }
        };
        command.envs(self.workers.map(|workers| ("MESHD_WORKERS", workers.to_string())));
        command.envs(self.offloads.iter().map(|offloads| ("MESHD_OFFLOADS", offloads)));
        command
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let dirs = std::env::var_os("PATH")?;
    std::env::split_paths(&dirs).map(|dir| dir.join(name)).find(|path| path.is_file())
}
