//! A user without rights, in namespaces of their own.
//!
//! Red when: a device wants more of its user than the rights over its own network.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use mesh_tests::wireguard::{PROGRAM, Program};
use mesh_tests::{needs_namespaces, rights};

use crate::program;

/// `nobody`: a user that is neither root nor anybody's owner.
const NOBODY: u32 = 65_534;

/// What is run again as that user: a whole test, devices and all.
const WITHIN: &str = "roaming::an_end_that_is_told_no_address_learns_it";

/// Makes the caller root of a user, a mount and a network namespace, and of nothing else.
fn in_own_namespaces(program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "--net"]).arg(program);
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    command
}

/// A copy of `program` in `dir` that everybody may run, wherever the original lies.
fn for_everybody(program: &Path, dir: &Path) -> PathBuf {
    let copy = dir.join(program.file_name().unwrap());
    fs::copy(program, &copy).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
    copy
}

#[test]
fn a_user_without_rights_runs_devices_in_namespaces_of_their_own() {
    needs_namespaces!();
    let possible = Program::find("unshare").is_some()
        && in_own_namespaces(Path::new("sh"))
            .args(["-c", "exec 3<>/dev/net/tun"])
            .status()
            .is_ok_and(|status| status.success());
    if !possible {
        rights::report_skip(
            "wireguard::rootless",
            "no user namespaces, or no /dev/net/tun, for users without rights",
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let own = for_everybody(&std::env::current_exe().unwrap(), dir.path());
    let device = for_everybody(program().path(), dir.path());
    // The directory of sockets is root's; inside it is one of their own.
    let mut command = in_own_namespaces(Path::new("sh"));
    command.args(["-c", "mount -t tmpfs tmpfs /run && exec \"$0\" --exact \"$1\" --nocapture"]);
    command.arg(own).arg(WITHIN).env(PROGRAM, device).env_remove(rights::SKIP_LOG);
    let output = command.env("TMPDIR", "/run").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed") && !said.contains(rights::SKIPPED), "{said}");
}
