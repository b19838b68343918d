//! Asking for a passphrase: on the terminal, unseen, or the first line of a file (`/dev/fd/3` is one). Never from an
//! argument, where `ps` and the shell's history would have it.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;

use age::secrecy::SecretString;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::exit::{Exit, Failure};
use crate::render::safe;

/// The longest passphrase, in bytes: a page of prose.
const MAX_PASSPHRASE: u64 = 4096;

/// Where passphrases are asked for, whatever standard input is.
const TERMINAL: &str = "/dev/tty";

/// What to do where nobody can be asked.
const HINT: &str = "run it on a terminal, or name a file with `--passphrase-file FILE`";

/// The passphrase of something that has one.
pub(crate) fn read(file: Option<&Path>, question: &str) -> Result<SecretString, Failure> {
    match file {
        Some(file) => from_file(file),
        None => on_terminal(question),
    }
}

/// A new passphrase: on a terminal asked for twice.
pub(crate) fn choose(file: Option<&Path>, question: &str) -> Result<SecretString, Failure> {
    use age::secrecy::ExposeSecret as _;
    let chosen = read(file, question)?;
    if file.is_none() {
        let again = on_terminal("The same again: ")?;
        if again.expose_secret() != chosen.expose_secret() {
            return Err(failed("the two passphrases differ", "try again"));
        }
    }
    match chosen.expose_secret().is_empty() {
        true => Err(failed("the passphrase is empty", "choose one of several words")),
        false => Ok(chosen),
    }
}

fn failed(message: impl Into<String>, hint: &str) -> Failure {
    Failure::new(Exit::Failed, "passphrase", message, hint)
}

fn from_file(path: &Path) -> Result<SecretString, Failure> {
    let line = File::open(path).and_then(|file| first_line(BufReader::new(file)));
    line.map_err(|error| {
        let path = safe(&path.display().to_string());
        failed(format!("cannot read the passphrase from {path}: {error}"), HINT)
    })
}

fn on_terminal(question: &str) -> Result<SecretString, Failure> {
    let asked = File::options().read(true).write(true).open(TERMINAL).and_then(|mut terminal| {
        terminal.write_all(question.as_bytes())?;
        let unseen = Unseen::on(terminal.try_clone()?)?;
        let line = first_line(BufReader::new(&terminal));
        drop(unseen);
        (&terminal).write_all(b"\n")?;
        line
    });
    asked.map_err(|error| failed(format!("cannot ask for the passphrase: {error}"), HINT))
}

fn first_line(input: impl io::BufRead) -> io::Result<SecretString> {
    let mut line = Zeroizing::new(String::new());
    input.take(MAX_PASSPHRASE).read_line(&mut line)?;
    Ok(SecretString::from(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Unseen {
    terminal: File,
    before: Termios,
}

impl Unseen {
    fn on(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut unseen = before.clone();
        unseen.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &unseen)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        // Nothing is left to do when even this fails: the shell has its own `stty sane`.
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
    }
}
