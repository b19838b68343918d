//! Where things are when nobody said: the directories a service manager made, system places for
//! root, XDG places for everyone else.

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
        let place = |name| env(name).and_then(absolute);
        let (config_dir, state_dir, runtime_dir) = if root {
            let system = |path: &str| Some(PathBuf::from(path));
            (system("/etc/meshd"), system("/var/lib/meshd"), system("/run/meshd"))
        } else {
            let home = |below: &str| place("HOME").map(|home| home.join(below));
            let below = |place: Option<PathBuf>| place.map(|place| place.join("meshd"));
            (
                below(place("XDG_CONFIG_HOME").or_else(|| home(".config"))),
                below(place("XDG_STATE_HOME").or_else(|| home(".local/state"))),
                below(place("XDG_RUNTIME_DIR")),
            )
        };
        // What a service manager made for this very service (systemd.exec(5)) comes first.
        Self {
            config_file: place("CONFIGURATION_DIRECTORY")
                .or(config_dir)
                .map(|dir| dir.join("meshd.toml")),
            state_dir: place("STATE_DIRECTORY").or(state_dir).unwrap_or_default(),
            runtime_dir: place("RUNTIME_DIRECTORY").or(runtime_dir),
        }
    }

    /// The socket of a daemon with this state directory.
    pub(super) fn socket_for(&self, state_dir: &Path) -> PathBuf {
        self.runtime_dir.as_deref().unwrap_or(state_dir).join("meshd.sock")
    }
}

/// The path in `value`; a relative one is invalid and ignored, as the XDG base directory specification
/// has it.
fn absolute(value: OsString) -> Option<PathBuf> {
    Some(PathBuf::from(value)).filter(|path| path.is_absolute())
}
