//! Who may have the directory, and what others could have read is not used.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use super::{Place, build_store, membership, mode, root, seeds};
use crate::exit::Reason;
use crate::state_dir::{StateDir, StateDirError};

/// Where [`opens_where_it_is_told`] opens a directory.
const CHILD_DIR: &str = "MESHD_TEST_STATE_DIR";

/// Not a test of its own: the part of the next one that runs under another umask, in a process of its
/// own because the umask belongs to the whole process.
#[test]
fn opens_where_it_is_told() {
    let Some(path) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let mut dir = StateDir::open(Path::new(&path), &mut seeds(&mut 0)).expect("opens");
    build_store(&dir);
    dir.commit(membership(), Some(&root())).expect("committed");
    dir.save_peer_hints(&[]).expect("saved");
}

#[test]
fn modes_are_the_owners_alone_whatever_the_umask() {
    for umask in ["000", "022", "777"] {
        let place = Place::new();
        let done = Command::new("sh")
            .args(["-c", "umask $0; exec \"$@\"", umask])
            .arg(std::env::current_exe().expect("this program"))
            .args(["--exact", "state_dir::tests::rights::opens_where_it_is_told"])
            .env(CHILD_DIR, place.path())
            .output()
            .expect("a shell");
        assert!(done.status.success(), "umask {umask}: {done:?}");
        assert_eq!(mode(&place.path()), 0o700, "umask {umask}");
        for name in ["lock", "identity.key", "member", "admin.key", "mesh.redb", "peers.cache"] {
            assert_eq!(mode(&place.file(name)), 0o600, "umask {umask}, {name}");
        }
    }
}

#[test]
fn a_second_daemon_is_refused_and_told_who_is_first() {
    let mut place = Place::new();
    let first = place.open();
    let (reason, text) = place.refusal();
    assert_eq!(reason, Reason::Environment);
    assert!(text.contains(&format!("(process {})", std::process::id())), "{text}");
    drop(first);
    place.open();
}

#[test]
fn what_others_can_read_is_refused_with_the_remedy() {
    let mut place = Place::new();
    drop(place.open());
    let key = place.file("identity.key");
    fs::set_permissions(&key, Permissions::from_mode(0o640)).expect("set");
    let (reason, text) = place.refusal();
    assert_eq!(reason, Reason::Environment);
    assert!(text.contains("mode 0640") && text.contains("chmod 600 "), "{text}");
    fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("set");
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).expect("set");
    let (_, text) = place.refusal();
    assert!(text.contains("mode 0755") && text.contains("chmod 700 "), "{text}");
    assert_eq!(mode(&place.path()), 0o755, "refused, not repaired");
}

#[test]
fn every_file_of_a_member_is_looked_at_before_it_is_used() {
    for name in ["lock", "identity.key", "member", "admin.key", "mesh.redb"] {
        let mut place = Place::new();
        place.joined();
        let path = place.file(name);
        fs::set_permissions(&path, Permissions::from_mode(0o604)).expect("set");
        let (reason, text) = place.refusal();
        assert_eq!(reason, Reason::Environment, "{name}: {text}");
        assert!(text.contains(name) && text.contains("mode 0604"), "{name}: {text}");
        assert_eq!(mode(&path), 0o604, "{name}: refused, not repaired");

        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("set");
        let elsewhere = place.parent.path().join("elsewhere");
        fs::rename(&path, &elsewhere).expect("moved");
        std::os::unix::fs::symlink(&elsewhere, &path).expect("linked");
        let refused = place.try_open().expect_err("a link was followed");
        assert!(matches!(refused, StateDirError::NotAFile { .. }), "{name}: {refused}");
    }
}

/// Debian's `nobody`, or whoever has that number.
const OTHER: u32 = 65534;

fn owner(path: &Path) -> u32 {
    fs::metadata(path).expect("there").uid()
}

/// Gives `path` and everything in it to [`OTHER`].
fn give_away(path: &Path) {
    chown(path, Some(OTHER), Some(OTHER)).expect("root may");
    for entry in fs::read_dir(path).expect("listed") {
        chown(entry.expect("an entry").path(), Some(OTHER), Some(OTHER)).expect("root may");
    }
}

#[test]
fn root_does_by_hand_what_the_daemons_user_could_do() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let mut place = Place::new();
    place.joined();
    fs::remove_file(place.file("admin.key")).expect("removed");
    fs::remove_file(place.file("lock")).expect("removed");
    give_away(&place.path());
    let link = place.parent.path().join("link");
    std::os::unix::fs::symlink(place.path(), &link).expect("linked");

    let refused = place.try_open().expect_err("a daemon as root");
    assert!(matches!(refused, StateDirError::Foreign { owner: OTHER, user: 0, .. }), "{refused}");
    let dir = StateDir::open_used(&link, &mut || unreachable!("it has one")).expect("opened");
    dir.adopt_admin(&root()).expect("written");
    dir.snapshots().save(7, b"abc").expect("saved");
    for name in
        ["lock", "admin.key", "mesh.redb", "snapshots", "snapshots/00000000000000000007.meshsnap"]
    {
        assert_eq!(owner(&place.file(name)), OTHER, "{name}");
    }
    drop(dir);
    assert!(StateDir::peek_admin(&link).expect("read").1.is_some());

    // What root left there otherwise is nothing the daemon could use, and is found.
    chown(place.file("identity.key"), Some(0), None).expect("root may");
    let refused = StateDir::open_used(&link, &mut || unreachable!("it has one"));
    assert!(matches!(refused, Err(StateDirError::Foreign { owner: 0, user: OTHER, .. })));
}

#[test]
fn what_is_not_ours_by_kind_is_refused() {
    let mut place = Place::new();
    fs::write(place.path(), "a file").expect("written");
    assert!(matches!(place.try_open(), Err(StateDirError::NotADirectory { .. })));
    fs::remove_file(place.path()).expect("removed");
    drop(place.open());
    let elsewhere = place.parent.path().join("elsewhere");
    fs::rename(place.file("identity.key"), &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, place.file("identity.key")).expect("linked");
    assert!(matches!(place.try_open(), Err(StateDirError::NotAFile { .. })));
}
