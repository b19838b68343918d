//! What has to work without a running daemon: done by `meshd` itself, started for the purpose.
//!
//! The state machine and the store are in that program and not in this one. It answers on its standard output with the
//! same documents as on its socket, so to a verb it makes no difference.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use mesh_model::api::v1::Schema;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::args::HostArgs;
use crate::client::{Answer, read_document, read_refusal};
use crate::exit::{Exit, Failure};

/// Names the program to start, where it is neither beside this one nor on the path.
const VARIABLE: &str = "MESHD_PROGRAM";

/// `meshd`, to be started for one answer.
pub(crate) struct Offline {
    program: PathBuf,
}

impl Offline {
    /// The one that belongs to this program.
    pub(crate) fn new() -> Self {
        let named = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        let beside = || Some(std::env::current_exe().ok()?.with_file_name("meshd"));
        let beside = || beside().filter(|path| path.is_file());
        Self { program: named.or_else(beside).unwrap_or_else(|| "meshd".into()) }
    }

    /// What it answers to `verb` with `args`.
    pub(crate) fn ask<T: Schema + DeserializeOwned>(
        &self,
        verb: &str,
        args: &[OsString],
    ) -> Result<Answer<T>, Failure> {
        self.ask_with(verb, args, &[])
    }

    /// The same with `input` on its standard input.
    pub(crate) fn ask_with<T: Schema + DeserializeOwned>(
        &self,
        verb: &str,
        args: &[OsString],
        input: &[u8],
    ) -> Result<Answer<T>, Failure> {
        let mut output = self.run(verb, args, input).map_err(|error| self.not_started(&error))?;
        // It may be a key.
        let stdout = Zeroizing::new(std::mem::take(&mut output.stdout));
        if output.status.success() {
            return read_document(&stdout).map_err(|reason| self.garbled(&output, &reason));
        }
        Err(match read_refusal("an end without one", &stdout) {
            Ok(refusal) => refusal.into(),
            Err(reason) => self.garbled(&output, &reason),
        })
    }

    fn run(&self, verb: &str, args: &[OsString], input: &[u8]) -> io::Result<Output> {
        let mut child = Command::new(&self.program)
            .arg("offline")
            .arg(verb)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends early says why on its standard output.
            let _ = stdin.write_all(input);
        }
        child.wait_with_output()
    }

    fn not_started(&self, error: &io::Error) -> Failure {
        Failure::new(
            Exit::Failed,
            "no_meshd",
            format!("this is done by meshd itself, and {} cannot be started: {error}", self.name()),
            format!("install meshd beside mesh, or name it with {VARIABLE}"),
        )
    }

    fn garbled(&self, output: &Output, reason: &str) -> Failure {
        let errors = String::from_utf8_lossy(&output.stderr);
        let last = errors.lines().last().unwrap_or_default();
        Failure::new(
            Exit::Failed,
            "bad_answer",
            format!("cannot use the answer of {}: {reason}; it said: {last}", self.name()),
            "is it meshd, and of this version? `mesh version` tells what runs, `meshd version` what is installed",
        )
    }

    fn name(&self) -> String {
        self.program.display().to_string()
    }
}

/// `--flag VALUE`, if there is a value.
pub(crate) fn option(flag: &str, value: Option<impl AsRef<OsStr>>) -> Vec<OsString> {
    let pair = |value: OsString| vec![flag.into(), value];
    value.map(|value| value.as_ref().to_owned()).map(pair).unwrap_or_default()
}

/// `--flag`, if it `is_set`.
pub(crate) fn switch(flag: &str, is_set: bool) -> Option<OsString> {
    is_set.then(|| flag.into())
}

/// The arguments that say whose state directory it is about.
pub(crate) fn host(args: &HostArgs) -> Vec<OsString> {
    let config = option("--config", args.config.as_ref());
    [config, option("--state-dir", args.state_dir.as_ref())].concat()
}

/// `path` as an argument, which a path is although it may begin with a hyphen.
pub(crate) fn path(path: &Path) -> OsString {
    match path.is_absolute() || path.starts_with(".") || path.starts_with("..") {
        true => path.as_os_str().to_owned(),
        false => Path::new(".").join(path).into_os_string(),
    }
}
