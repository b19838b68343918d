//! What can be wrong with a configuration.

use std::io;
use std::path::PathBuf;

use super::file::MAX_FILE;
use super::value::Source;
use crate::exit::{Exit, Reason};

/// A configuration that cannot be used. Always the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file named is not there or may not be read.
    #[error("the configuration file {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No configuration is that long.
    #[error("the configuration file {} is longer than {MAX_FILE} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// Not TOML.
    #[error("{origin}: not valid TOML: {message}")]
    Syntax {
        /// Where.
        origin: Source,
        /// What the parser said.
        message: String,
    },
    /// No setting has this key.
    #[error("{origin}: unknown key `{key}`{}", suggestion(nearest.as_deref()))]
    UnknownKey {
        /// Where.
        origin: Source,
        /// The key found.
        key: String,
        /// The key that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A setting cannot have this value.
    #[error("{origin}: `{key}` is {found}; allowed: {allowed}")]
    Wrong {
        /// Where.
        origin: Source,
        /// The setting.
        key: &'static str,
        /// The value found.
        found: String,
        /// What it may be.
        allowed: String,
    },
    /// Backups cannot be made with what was said of them.
    #[error("`[backup]` names {given} but no `{missing}`")]
    BackupIncomplete {
        /// A key that is there.
        given: &'static str,
        /// A key that is missing.
        missing: &'static str,
    },
    /// An ordinary user without a home.
    #[error("no state directory: neither XDG_STATE_HOME nor HOME is set")]
    NoStateDir,
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|key| format!("; did you mean `{key}`?")).unwrap_or_default()
}

impl From<ConfigError> for Exit {
    fn from(error: ConfigError) -> Self {
        let remedy = match &error {
            ConfigError::Unreadable { .. } => "check the path given by --config or MESHD_CONFIG",
            ConfigError::NoStateDir => "name one with --state-dir DIR or MESHD_STATE_DIR",
            _ => {
                "correct it and try again; the sample config/meshd.toml explains every key, \
                 `meshd check-config` tests without starting"
            }
        };
        Exit::because(Reason::Usage, &error).meaning("nothing was started").remedy(remedy)
    }
}
