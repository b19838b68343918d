//! Where things are when nobody said: system places for root, XDG places for everyone else.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The places of this host and user.
pub(super) struct Defaults {
    /// Read when it exists.
    pub(super) config_file: Option<PathBuf>,
    /// Empty when the user has no home.
    pub(super) state_dir: PathBuf,
    /// The directory of the socket, outside the state directory if there is such a place.
    runtime_dir: Option<PathBuf>,
}

impl Defaults {
    /// The places of the user that runs the daemon.
    pub(super) fn of_host(env: &dyn Fn(&str) -> Option<OsString>, root: bool) -> Self {
        if root {
            return Self {
                config_file: Some(PathBuf::from("/etc/meshd/meshd.toml")),
                state_dir: PathBuf::from("/var/lib/meshd"),
                runtime_dir: Some(PathBuf::from("/run/meshd")),
            };
        }
        // The XDG base directory specification: a relative path is invalid and ignored.
        let place = |name| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = place("HOME");
        let or_home =
            |name, below: &str| place(name).or_else(|| home.as_ref().map(|home| home.join(below)));
        Self {
            config_file: or_home("XDG_CONFIG_HOME", ".config")
                .map(|dir| dir.join("meshd/meshd.toml")),
            state_dir: or_home("XDG_STATE_HOME", ".local/state")
                .map(|dir| dir.join("meshd"))
                .unwrap_or_default(),
            runtime_dir: place("XDG_RUNTIME_DIR").map(|dir| dir.join("meshd")),
        }
    }

    /// The socket of a daemon with this state directory.
    pub(super) fn socket_for(&self, state_dir: &Path) -> PathBuf {
        self.runtime_dir.as_deref().unwrap_or(state_dir).join("meshd.sock")
    }
}
