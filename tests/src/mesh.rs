//! The command line `mesh`, run as a user runs it, its answers as the contract words them.

use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mesh_model::api::v1::{Document, ErrorBody, Schema};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Context as _, Error, Result};
use crate::raw;
use crate::wait::eventually;

/// Exit codes of `mesh`, as promised.
pub mod exit {
    /// Done.
    pub const OK: i32 = 0;
    /// The thing asked for failed.
    pub const FAILED: i32 = 1;
    /// The command line is wrong.
    pub const USAGE: i32 = 2;
    /// No daemon answers.
    pub const UNREACHABLE: i32 = 3;
    /// The caller may not.
    pub const NOT_PERMITTED: i32 = 4;
    /// No majority.
    pub const NO_QUORUM: i32 = 5;
    /// Not in time.
    pub const TIMED_OUT: i32 = 6;
}

/// The longest any command may take before the harness ends it; each has a shorter limit of its own.
const LIMIT: Duration = Duration::from_secs(90);

/// `mesh`, pointed at one daemon.
#[derive(Debug, Clone)]
pub struct Mesh {
    program: PathBuf,
    socket: PathBuf,
    uid: Option<u32>,
    memory: Option<u64>,
}

/// What one command said.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The words it was given.
    pub command: String,
    /// How it ended; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// How long it took.
    pub elapsed: Duration,
}

impl Mesh {
    /// `program` pointed at the daemon behind `socket`.
    pub fn new(program: &Path, socket: &Path) -> Self {
        Self { program: program.to_owned(), socket: socket.to_owned(), uid: None, memory: None }
    }

    /// The same, run by another user.
    pub fn as_user(&self, uid: u32) -> Self {
        Self { uid: Some(uid), ..self.clone() }
    }

    /// The same, with no more than `bytes` of memory for it and for each program that it starts.
    pub fn within_memory(&self, bytes: u64) -> Self {
        Self { memory: Some(bytes), ..self.clone() }
    }

    /// The same, with another copy of the program.
    pub fn with_program(&self, program: &Path) -> Self {
        Self { program: program.to_owned(), ..self.clone() }
    }

    /// Runs a verb with `--format json`.
    pub fn run(&self, words: &[&str]) -> Result<Answer> {
        self.run_with_input(words, "")
    }

    /// Runs a verb with `--format json` and something on standard input.
    pub fn run_with_input(&self, words: &[&str], input: &str) -> Result<Answer> {
        let json = ["--format", "json"];
        self.run_plain([&json, words].concat().as_slice(), input)
    }

    /// Runs exactly these words after `--socket S`.
    pub fn run_plain(&self, words: &[&str], input: &str) -> Result<Answer> {
        let mut command = self.command();
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().context(format!("start {}", self.program.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that does not read its input closes it: no failure of ours.
            let _ = stdin.write_all(input.as_bytes());
        }
        let (stdout, stderr, code) = collect(&mut child)?;
        Ok(Answer { command: words.join(" "), code, stdout, stderr, elapsed: started.elapsed() })
    }

    /// The program with `--socket S`, for callers that run it themselves.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--socket").arg(&self.socket);
        command.env_remove("MESH_SOCKET");
        if let Some(uid) = self.uid {
            use std::os::unix::process::CommandExt as _;
            command.uid(uid).gid(uid);
        }
        if let Some(bytes) = self.memory {
            raw::limit::address_space(&mut command, bytes);
        }
        command
    }

    /// Runs a verb that must succeed; its document.
    pub fn get<T: DeserializeOwned + Schema>(&self, words: &[&str]) -> Result<T> {
        self.run(words)?.document()
    }
}

/// What the child prints and how it ends; it is ended when it takes too long.
fn collect(child: &mut Child) -> Result<(String, String, Option<i32>)> {
    let stdout = child.stdout.take().map(read_in_background);
    let stderr = child.stderr.take().map(read_in_background);
    let exit = eventually(LIMIT, "the command ends", || child.try_wait().ok().flatten());
    if exit.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let text = |reader: Option<std::thread::JoinHandle<String>>| {
        reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    match exit {
        Ok(status) => Ok((stdout, stderr, status.code())),
        Err(error) => Err(Error::Failed(format!("{error}\n{stdout}\n{stderr}"))),
    }
}

fn read_in_background(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What arrived before an error is still worth showing.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

impl Answer {
    /// The document of a success, its schema checked.
    pub fn document<T: DeserializeOwned + Schema>(&self) -> Result<T> {
        if self.code != Some(exit::OK) {
            return Err(self.unexpected("a success"));
        }
        let document: Document<T> = serde_json::from_str(&self.stdout)
            .map_err(|error| self.unexpected(&format!("a {} ({error})", T::SCHEMA)))?;
        if document.schema != T::SCHEMA {
            return Err(self.unexpected(T::SCHEMA));
        }
        Ok(document.body)
    }

    /// The document of a success as plain JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).map_err(|_| self.unexpected("JSON on standard output"))
    }

    /// The error of a failure with exit code `code`, as the daemon words it.
    pub fn error(&self, code: i32) -> Result<ErrorBody> {
        let error = self.failure(code)?;
        serde_json::from_value(error)
            .map_err(|error| self.unexpected(&format!("an error of the API ({error})")))
    }

    /// The error of a failure with exit code `code`, also one that `mesh` found by itself.
    pub fn failure(&self, code: i32) -> Result<Value> {
        if self.code != Some(code) {
            return Err(self.unexpected(&format!("exit code {code}")));
        }
        if !self.stdout.is_empty() {
            return Err(self.unexpected("nothing on standard output"));
        }
        let document: Option<Value> = serde_json::from_str(&self.stderr).ok();
        let error = document.as_ref().and_then(|document| document.get("error"));
        let has = |key| error.and_then(|error| error.get(key)).is_some_and(Value::is_string);
        match error {
            Some(error) if has("code") && has("message") => Ok(error.clone()),
            _ => Err(self.unexpected("an error document on standard error")),
        }
    }

    /// The text of a success.
    pub fn text(&self) -> Result<&str> {
        if self.code != Some(exit::OK) {
            return Err(self.unexpected("a success"));
        }
        Ok(&self.stdout)
    }

    fn unexpected(&self, expected: &str) -> Error {
        Error::Failed(format!(
            "mesh {}: expected {expected}, got exit code {:?}\nstdout: {}\nstderr: {}",
            self.command, self.code, self.stdout, self.stderr
        ))
    }
}
