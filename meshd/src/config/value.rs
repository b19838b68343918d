//! A value as it was written, and where.

use std::fmt;
use std::path::PathBuf;

/// The longest text repeated in an error, in characters: enough to recognise, not a screenful.
const MAX_SHOWN: usize = 60;

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// Text; everything from the environment and from flags is.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A list.
    List(Vec<Value>),
    /// Anything no setting takes, as an error shows it.
    Other(String),
}

impl Value {
    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) if text.chars().count() > MAX_SHOWN => {
                let start: String = text.chars().take(MAX_SHOWN).collect();
                write!(f, "{start:?}...")
            }
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(number) => number.fmt(f),
            Self::List(items) => write!(f, "a list of {}", items.len()),
            Self::Other(kind) => f.write_str(kind),
        }
    }
}

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nowhere: the default.
    Default,
    /// In the file, at this line.
    File(PathBuf, usize),
    /// In this environment variable.
    Env(&'static str),
    /// In this flag.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}
