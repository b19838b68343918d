//! Standard output and standard error: what goes where, and with which colours.

use std::io::{self, IsTerminal as _, Write as _};

use crate::args::Format;
use crate::exit::{Exit, Failure, Told};
use crate::render::theme::Theme;
use crate::render::{json, safe};

/// Where answers and failures go.
pub(crate) struct Output {
    /// For people or for programs.
    pub(crate) format: Format,
    /// Colours of standard output.
    pub(crate) theme: Theme,
    /// Whether standard output is a terminal.
    pub(crate) terminal: bool,
    errors: Theme,
}

impl Output {
    /// Colours are for terminals, unless `--no-color`, `NO_COLOR` (<https://no-color.org>) or a dumb
    /// terminal says otherwise.
    pub(crate) fn new(format: Format, no_color: bool) -> Self {
        let unwanted = no_color
            || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let theme = |terminal| Theme::new(terminal && !unwanted);
        let terminal = io::stdout().is_terminal();
        Self { format, theme: theme(terminal), terminal, errors: theme(io::stderr().is_terminal()) }
    }

    /// Whether one JSON document is wanted instead of text.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints `text`, whose last line is complete.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| Failure::of_output(&error))
    }

    /// Prints one line.
    pub(crate) fn line(&self, line: &str) -> Result<(), Failure> {
        self.text(&format!("{line}\n"))
    }

    /// Tells the person something that is not the answer, on standard error.
    pub(crate) fn note(&self, text: &str) {
        // Whoever closed standard error does not want to know.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Tells why it failed, and gives the exit code for it.
    pub(crate) fn fail(&self, failure: &Failure) -> Exit {
        match failure {
            Failure::Interrupted => Exit::Interrupted,
            Failure::ReaderGone => Exit::Ok,
            Failure::Told(told) => {
                self.note(&self.in_words(told));
                told.exit
            }
        }
    }

    /// A failure as it is shown.
    pub(crate) fn in_words(&self, told: &Told) -> String {
        if self.is_json() {
            return json::error(told);
        }
        let mut text = format!("{} {}\n", self.errors.bad("error:"), safe(&told.message));
        if !told.hint.is_empty() {
            text += &format!("{} {}\n", self.errors.bold("hint:"), safe(&told.hint));
        }
        text
    }
}
