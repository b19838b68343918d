//! Where the daemon listens, when nobody says.
//!
//! Root talks to the system's daemon and to no other: a socket in somebody's home is not root's to
//! trust. Everybody else prefers a daemon of their own and falls back to the system's.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The system's daemon.
const SYSTEM: &str = "/run/meshd/meshd.sock";

/// The socket below a user's runtime or state directory.
const BELOW_USER: &str = "meshd/meshd.sock";

/// The socket to use when neither `--socket` nor `MESH_SOCKET` names one.
pub(crate) fn default_path() -> PathBuf {
    let root = nix::unistd::geteuid().is_root();
    pick(candidates(root, |name| std::env::var_os(name)), Path::exists)
}

/// Where a daemon might listen, best first; never empty.
fn candidates(root: bool, env: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    // The XDG specification: a relative path is invalid and must be ignored.
    let dir = |name| env(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let mut paths = Vec::new();
    if !root {
        paths.extend(dir("XDG_RUNTIME_DIR"));
        paths.extend(dir("XDG_STATE_HOME").or_else(|| Some(dir("HOME")?.join(".local/state"))));
        for path in &mut paths {
            path.push(BELOW_USER);
        }
    }
    paths.push(SYSTEM.into());
    paths
}

/// The first that is there, or the first of all, so that the error names the usual place.
fn pick(candidates: Vec<PathBuf>, exists: impl Fn(&Path) -> bool) -> PathBuf {
    let found = candidates.iter().position(|path| exists(path));
    candidates.into_iter().nth(found.unwrap_or(0)).unwrap_or_else(|| SYSTEM.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<OsString> {
        match name {
            "XDG_RUNTIME_DIR" => Some("/run/user/7".into()),
            "XDG_STATE_HOME" => Some("not/absolute".into()),
            "HOME" => Some("/home/u".into()),
            _ => None,
        }
    }

    #[test]
    fn root_uses_the_systems_socket_only() {
        assert_eq!(candidates(true, env), [PathBuf::from(SYSTEM)]);
    }

    #[test]
    fn a_user_prefers_a_daemon_of_their_own() {
        let expected =
            ["/run/user/7/meshd/meshd.sock", "/home/u/.local/state/meshd/meshd.sock", SYSTEM]
                .map(PathBuf::from);
        assert_eq!(candidates(false, env), expected);
    }

    #[test]
    fn the_first_that_exists_wins_and_the_first_of_all_is_named_when_none_does() {
        let all = candidates(false, env);
        assert_eq!(pick(all.clone(), |path| path == Path::new(SYSTEM)), all[2]);
        assert_eq!(pick(all.clone(), |_| true), all[0]);
        assert_eq!(pick(all.clone(), |_| false), all[0]);
    }
}
