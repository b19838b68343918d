//! What a daemon without rights says, and what other users of the machine may do.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use mesh_model::api::v1::ErrorCode;
use mesh_tests::daemon::STOP_LIMIT;
use mesh_tests::mesh::exit;
use mesh_tests::{Lab, eventually, needs_namespaces};

use crate::{LIMIT, alone};

/// `nobody`: a user that is neither root nor the daemon's own.
const NOBODY: u32 = 65_534;

/// A copy of `program` in `dir` that everybody may run, wherever the original lies.
fn for_everybody(program: &Path, dir: &Path) -> PathBuf {
    let copy = dir.join(program.file_name().unwrap());
    fs::copy(program, &copy).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
    copy
}

fn open_to_everybody(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn without_net_admin_the_daemon_names_the_capability_and_the_way_without() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = Lab::switched(1).unwrap();
    lab.expect_errors();
    let host = lab.host(1);
    open_to_everybody(lab.dir(), 0o755);
    chown(host.dir(), Some(NOBODY), Some(NOBODY)).unwrap();
    let meshd = for_everybody(&lab.binaries().meshd, lab.dir());
    let log = lab.dir().join("nobody.log");

    let run = |tun: &str| {
        let mut command = std::process::Command::new(&meshd);
        command.args(["run", "--tun", tun, "--state-dir"]).arg(host.state_dir());
        command.arg("--socket").arg(host.socket()).uid(NOBODY).gid(NOBODY);
        // Root's own configuration is neither theirs to read nor meant for them.
        command.env("HOME", host.dir()).env_remove("XDG_CONFIG_HOME");
        host.start_beside(command, &log).unwrap()
    };
    let mut refused = run("mesh0");
    let status = refused.wait_exit(STOP_LIMIT).unwrap();
    assert_eq!(status.code(), Some(64), "{}", refused.log());
    assert!(refused.log().contains("CAP_NET_ADMIN"), "{}", refused.log());
    assert!(refused.log().contains("--tun none"), "{}", refused.log());

    let _runs = run("none");
    eventually(LIMIT, "the daemon answers without rights", || host.status().ok()).unwrap();
    let copy = for_everybody(&lab.binaries().mesh, lab.dir());
    let own = host.mesh().as_user(NOBODY).with_program(&copy);
    own.run(&["init"]).unwrap().text().unwrap();
}

#[test]
fn another_user_may_look_but_changes_nothing() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = Lab::rootless(1).unwrap();
    lab.host_mut(1).start().unwrap();
    let host = lab.host(1);
    open_to_everybody(lab.dir(), 0o755);
    open_to_everybody(host.dir(), 0o755);
    open_to_everybody(&host.socket(), 0o666);
    let copy = for_everybody(&lab.binaries().mesh, lab.dir());
    let stranger = host.mesh().as_user(NOBODY).with_program(&copy);

    let refused = |words: &[&str]| {
        let error = stranger.run(words).unwrap().error(exit::NOT_PERMITTED).unwrap();
        assert_eq!(error.code, ErrorCode::NotPermitted, "{words:?}");
    };
    refused(&["init"]);
    host.init().unwrap();
    refused(&["invite"]);
    refused(&["leave", "--yes"]);
    refused(&["leave", "--yes", "--force"]);
    let token = host.invite(1).unwrap().token;
    refused(&["join", &token]);

    stranger.run(&["status"]).unwrap().text().unwrap();
    stranger.run(&["peers"]).unwrap().text().unwrap();
    assert_eq!(host.status().unwrap().members, 1);
}

#[test]
fn a_socket_one_may_not_open_is_a_missing_permission() {
    needs_namespaces!();
    let _alone = alone();
    let mut lab = Lab::rootless(1).unwrap();
    lab.host_mut(1).start().unwrap();
    let host = lab.host(1);
    open_to_everybody(lab.dir(), 0o755);
    open_to_everybody(host.dir(), 0o755);
    open_to_everybody(&host.socket(), 0o600);
    let copy = for_everybody(&lab.binaries().mesh, lab.dir());
    let stranger = host.mesh().as_user(NOBODY).with_program(&copy);
    stranger.run(&["status"]).unwrap().failure(exit::NOT_PERMITTED).unwrap();
}
