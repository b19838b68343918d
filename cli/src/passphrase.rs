//! A passphrase: the first line of a file, or typed on a terminal that does not show it.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::path::Path;

use age::secrecy::SecretString;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::{Zeroize as _, Zeroizing};

use super::commands::Session;
use crate::exit::{Exit, Failure};
use crate::file;

/// The longest, in bytes.
const MAX_PASSPHRASE: usize = 1024;

/// The passphrase in `file`, or the one the person types; twice, if it is a `new` one.
pub(crate) fn ask(
    file: Option<&Path>,
    new: bool,
    session: &Session,
) -> Result<SecretString, Failure> {
    let passphrase = match file {
        Some(file) => from_file(file)?,
        None => typed(new, session)?,
    };
    match passphrase.is_empty() {
        true => Err(unusable("the passphrase is empty")),
        false => Ok(passphrase.to_string().into()),
    }
}

fn unusable(message: &str) -> Failure {
    Failure::new(Exit::Failed, "input", message, "give another one")
}

fn from_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let bytes = Zeroizing::new(file::read(path, MAX_PASSPHRASE)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| unusable("the passphrase is not text"))?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

fn typed(new: bool, session: &Session) -> Result<Zeroizing<String>, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "there is no terminal to ask for a passphrase on: name a file with --passphrase-file",
        ));
    }
    let first = line("Passphrase: ", session)?;
    if new && *line("The same again: ", session)? != *first {
        return Err(unusable("the two are not the same"));
    }
    Ok(first)
}

/// A line that is typed but not shown.
fn line(prompt: &str, session: &Session) -> Result<Zeroizing<String>, Failure> {
    let failed = |error: io::Error| unusable(&format!("cannot read the passphrase: {error}"));
    session.output.note(prompt);
    let hidden = Hidden::new().map_err(|errno| failed(errno.into()))?;
    let mut line = Zeroizing::new(String::with_capacity(MAX_PASSPHRASE));
    let read = io::stdin().lock().take(MAX_PASSPHRASE as u64).read_line(&mut line);
    drop(hidden);
    session.output.note("\n");
    read.map_err(failed)?;
    let passphrase = Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned());
    line.zeroize();
    Ok(passphrase)
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn new() -> nix::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone shows nothing any more.
        let _ = tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.0);
    }
}
