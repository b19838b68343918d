//! A directory through its life, and in every state it must not be in.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::Duration;

use mesh_model::trust::MeshRoot;
use mesh_model::{MemberId, MeshId};

use super::*;
use crate::exit::{Exit, Reason};
use crate::io::disk;

/// Where [`opens_where_it_is_told`] opens a directory.
const CHILD_DIR: &str = "MESHD_TEST_STATE_DIR";

/// A place for a state directory, and entropy that never repeats.
struct Place {
    parent: tempfile::TempDir,
    seeds: u8,
}

impl Place {
    fn new() -> Self {
        Self { parent: tempfile::tempdir().expect("a directory"), seeds: 0 }
    }

    fn path(&self) -> PathBuf {
        self.parent.path().join("state")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn try_open(&mut self) -> Result<StateDir, StateDirError> {
        let path = self.path();
        StateDir::open(&path, &mut seeds(&mut self.seeds))
    }

    fn open(&mut self) -> StateDir {
        self.try_open().expect("opens")
    }

    /// Joins a mesh; closed again when this returns.
    fn joined(&mut self) -> Membership {
        let mut dir = self.open();
        build_store(&dir);
        dir.commit(membership(), Some(&root())).expect("committed");
        membership()
    }

    /// The reason of the exit that opening ends with.
    fn refusal(&mut self) -> (Reason, String) {
        let exit = Exit::from(self.try_open().expect_err("refused"));
        (exit.reason, exit.to_string())
    }

    fn garble(&self, name: &str, change: impl Fn(String) -> String) {
        let path = self.file(name);
        let text = fs::read_to_string(&path).expect("there");
        fs::write(&path, change(text)).expect("written");
    }

    /// The names in the directory, in order.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).expect("a directory");
        let mut names: Vec<_> = entries
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    }
}

fn seeds(last: &mut u8) -> impl FnMut() -> [u8; 32] {
    move || {
        *last += 1;
        [*last; 32]
    }
}

fn root() -> IdentitySecret {
    IdentitySecret::from_seed([200; 32])
}

fn membership() -> Membership {
    Membership { root: MeshRoot::of(root().public()), member: MemberId(7) }
}

fn build_store(dir: &StateDir) {
    let draft = dir.store_draft().expect("a draft");
    disk::open_log(&draft).expect("made");
    fs::write(draft, "store").expect("written");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o7777
}

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
            .args(["--exact", "state_dir::tests::opens_where_it_is_told"])
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
fn an_identity_stays_the_same_from_start_to_start() {
    let mut place = Place::new();
    let first = place.open();
    let keys = (first.identity().identity.public(), first.identity().tunnel.public());
    drop(first);
    let second = place.open();
    assert_eq!((second.identity().identity.public(), second.identity().tunnel.public()), keys);
    assert_eq!(second.membership(), None);
}

#[test]
fn a_tunnel_key_that_changes_is_kept_with_the_other_and_the_identity_stays() {
    let mut place = Place::new();
    let mut dir = place.open();
    let (identity, first) = (dir.identity().identity.public(), dir.identity().tunnel.clone());
    let next = TunnelSecret::from_bytes([0x42; 32]);
    let held = |dir: &StateDir| {
        let Identity { identity, tunnel, other } = dir.identity();
        (identity.public(), tunnel.public(), other.as_ref().map(TunnelSecret::public))
    };
    let steps = [
        (&first, Some(&next)),
        // Which of the two counts is not for this file to say.
        (&next, Some(&first)),
        (&next, None),
    ];
    for (tunnel, other) in steps {
        dir.keep_tunnel_keys(tunnel.clone(), other.cloned()).expect("written");
        let expected = (identity, tunnel.public(), other.map(TunnelSecret::public));
        assert_eq!(held(&dir), expected);
        drop(dir);
        dir = place.open();
        assert_eq!(held(&dir), expected, "also at the next start");
        assert_eq!(mode(&place.file("identity.key")), 0o600);
    }
    let text = fs::read_to_string(place.file("identity.key")).expect("text");
    assert!(!text.contains(&first.public().to_string()), "what is gone is gone: {text}");
}

#[test]
fn half_a_second_tunnel_key_is_damage() {
    let mut place = Place::new();
    let mut dir = place.open();
    let first = dir.identity().tunnel.clone();
    dir.keep_tunnel_keys(first, Some(TunnelSecret::from_bytes([7; 32]))).expect("written");
    drop(dir);
    let whole = fs::read_to_string(place.file("identity.key")).expect("text");
    for half in ["other-tunnel-public", "other-tunnel-secret"] {
        let lines = whole.lines().filter(|line| !line.starts_with(half));
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        fs::write(place.file("identity.key"), text).expect("written");
        let (reason, text) = place.refusal();
        assert_eq!(reason, Reason::Corrupt);
        assert!(text.contains(half), "{text}");
    }
}

#[test]
fn secrets_do_not_print() {
    let mut place = Place::new();
    let text = format!("{:?}", place.open().identity());
    assert_eq!(
        text,
        "Identity { identity: IdentitySecret(..), tunnel: TunnelSecret(..), other: None }"
    );
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

#[test]
fn a_garbled_identity_is_corrupt_and_names_the_field() {
    let cut = |text: String| text[..text.len() - 20].to_owned();
    let other = |text: String| {
        // Valid base64, another secret: the host would come back as somebody else.
        let at = text.find("identity-secret: ").expect("a field") + "identity-secret: ".len();
        format!("{}{}{}", &text[..at], "B", &text[at + 1..])
    };
    type Change = fn(String) -> String;
    let changes: [(&str, Change); 8] = [
        ("first line", |_| String::new()),
        ("first line", |text| text.replace("identity 1", "identity one")),
        ("field `tunnel-secret`", cut),
        ("field `identity-public`", other),
        ("not know", |text| text + "colour: blue\n"),
        ("stands there twice", |text| text.clone() + text.lines().last().unwrap_or_default()),
        ("field `tunnel-public` is missing", |text| {
            text.lines()
                .filter(|line| !line.starts_with("tunnel-public"))
                .map(|line| format!("{line}\n"))
                .collect()
        }),
        ("longer than", |text| text + &"#".repeat(fields::MAX_KEY_FILE)),
    ];
    for (message, change) in changes {
        let mut place = Place::new();
        drop(place.open());
        place.garble("identity.key", change);
        let (reason, text) = place.refusal();
        assert_eq!(reason, Reason::Corrupt, "{text}");
        assert!(text.contains(message) && text.contains("identity.key"), "{message}: {text}");
    }
    let mut place = Place::new();
    drop(place.open());
    fs::write(place.file("identity.key"), [0xff; 64]).expect("written");
    assert_eq!(place.refusal().0, Reason::Corrupt);
}

#[test]
fn comments_and_blank_lines_do_no_harm() {
    let mut place = Place::new();
    drop(place.open());
    place.garble("identity.key", |text| {
        format!("# copied by ann\n\n{}", text.replace('\n', "\r\n"))
    });
    place.open();
}

#[test]
fn joining_commits_and_lasts() {
    let mut place = Place::new();
    let membership = place.joined();
    let dir = place.open();
    assert_eq!(dir.membership(), Some(&membership));
    assert!(dir.is_admin());
    let admin = dir.admin().expect("readable").expect("there");
    assert_eq!(admin.public(), membership.root.key);
    assert_eq!(dir.store_path(), place.file("mesh.redb"));
    assert_eq!(place.names(), ["admin.key", "identity.key", "lock", "member", "mesh.redb"]);
}

#[test]
fn a_crash_before_the_marker_leaves_a_host_that_can_try_again() {
    let mut place = Place::new();
    build_store(&place.open());
    fs::write(place.file("admin.key.draft"), "half").expect("written");
    let dir = place.open();
    assert_eq!(dir.membership(), None);
    assert!(!dir.is_admin());
    let draft = dir.store_draft().expect("a draft");
    assert!(!draft.exists() && !place.file("admin.key.draft").exists());
}

#[test]
fn a_crash_after_the_marker_leaves_a_member() {
    let mut place = Place::new();
    let membership = place.joined();
    fs::rename(place.file("mesh.redb"), place.file("mesh.redb.draft")).expect("renamed");
    fs::rename(place.file("admin.key"), place.file("admin.key.draft")).expect("renamed");
    let dir = place.open();
    assert_eq!(dir.membership(), Some(&membership));
    assert!(dir.is_admin());
    assert_eq!(place.names(), ["admin.key", "identity.key", "lock", "member", "mesh.redb"]);
}

#[test]
fn a_draft_beside_the_file_it_would_replace_is_corrupt() {
    for name in ["mesh.redb", "admin.key"] {
        let mut place = Place::new();
        place.joined();
        let draft = format!("{name}.draft");
        fs::copy(place.file(name), place.file(&draft)).expect("copied");
        let (reason, text) = place.refusal();
        assert_eq!(reason, Reason::Corrupt, "{text}");
        assert!(text.contains(&draft), "{text}");
        assert!(place.file(&draft).exists() && place.file(name).exists(), "nothing is removed");
    }
}

#[test]
fn a_member_without_its_store_may_not_come_back() {
    let mut place = Place::new();
    place.joined();
    fs::remove_file(place.file("mesh.redb")).expect("removed");
    let (reason, text) = place.refusal();
    assert_eq!(reason, Reason::Mismatch, "{text}");
}

#[test]
fn a_member_with_another_identity_may_not_come_back() {
    let (mut place, mut other) = (Place::new(), Place::new());
    place.joined();
    other.seeds = 100;
    drop(other.open());
    fs::copy(other.file("identity.key"), place.file("identity.key")).expect("copied");
    let (reason, text) = place.refusal();
    assert_eq!(reason, Reason::Mismatch, "{text}");
}

#[test]
fn missing_trust_is_named() {
    for (gone, witness) in [("identity.key", "member"), ("member", "mesh.redb")] {
        let mut place = Place::new();
        place.joined();
        fs::remove_file(place.file(gone)).expect("removed");
        let (reason, text) = place.refusal();
        assert_eq!(reason, Reason::TrustMissing, "{text}");
        assert!(text.contains(gone) && text.contains(witness), "{text}");
    }
}

#[test]
fn a_garbled_marker_is_corrupt_and_names_the_field() {
    type Change = fn(String) -> String;
    let changes: [(&str, Change); 5] = [
        ("version", |_| String::new()),
        ("member", |text| text.replace("member = 7", "member = \"seven\"")),
        ("unknown field `colour`", |text| text + "colour = 1\n"),
        ("root_key", |text| text.replace("root_key = \"", "root_key = \"!")),
        ("field `mesh`", |text| {
            let mesh = membership().root.mesh.to_string();
            text.replace(&mesh, &MeshId([9; 16]).to_string())
        }),
    ];
    for (message, change) in changes {
        let mut place = Place::new();
        place.joined();
        place.garble("member", change);
        let (reason, text) = place.refusal();
        assert_eq!(reason, Reason::Corrupt, "{text}");
        assert!(text.contains(message), "{message}: {text}");
    }
}

#[test]
fn a_file_of_another_version_is_not_called_damaged() {
    type Change = fn(String) -> String;
    let changes: [(&str, Change); 3] = [
        ("member", |text| text.replace("version = 1", "version = 2\ncolour = 1")),
        ("identity.key", |text| {
            text.replace("meshd identity 1", "meshd identity 2") + "colour: 1\n"
        }),
        ("admin.key", |text| text.replace("meshd admin 1", "meshd admin 2")),
    ];
    for (name, change) in changes {
        let mut place = Place::new();
        place.joined();
        place.garble(name, change);
        let (reason, text) = place.refusal();
        assert_eq!(reason, Reason::Environment, "{text}");
        for part in [name, "version 2", "nothing is damaged", "start the meshd that wrote it"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

#[test]
fn a_useless_root_secret_is_corrupt_from_the_start_and_may_be_moved_away() {
    let other = admin::to_text(&IdentitySecret::from_seed([3; 32]));
    let own = admin::to_text(&root());
    for useless in [other.as_bytes(), &own.as_bytes()[..own.len() / 2], b"", b"\xff\xfegarbage"] {
        let mut place = Place::new();
        let membership = place.joined();
        fs::write(place.file("admin.key"), useless).expect("written");
        let (reason, text) = place.refusal();
        assert_eq!(reason, Reason::Corrupt, "{text}");
        assert!(text.contains("admin.key") && text.contains("move it away"), "{text}");
        fs::remove_file(place.file("admin.key")).expect("removed");
        let dir = place.open();
        assert_eq!(dir.membership(), Some(&membership));
        assert!(!dir.is_admin());
    }
}

#[test]
fn leaving_forgets_everything_and_makes_a_new_identity() {
    let mut place = Place::new();
    place.joined();
    let mut dir = place.open();
    dir.save_peer_hints(&[]).expect("saved");
    let before = dir.identity().identity.public();
    dir.forget(&mut seeds(&mut 50)).expect("forgotten");
    assert_ne!(dir.identity().identity.public(), before);
    assert_eq!(dir.membership(), None);
    assert!(dir.admin().expect("readable").is_none());
    assert_eq!(place.names(), ["identity.key", "lock"]);
    build_store(&dir);
    dir.commit(membership(), None).expect("a host may join again as somebody new");
}

#[test]
fn leaving_that_was_cut_short_is_finished_by_the_next_start() {
    let files = ["mesh.redb", "admin.key", "identity.key"];
    // However many of the removals reached the disk before the crash.
    for removed in 0..=files.len() {
        let mut place = Place::new();
        place.joined();
        let before = fs::read(place.file("identity.key")).expect("there");
        fs::rename(place.file("member"), place.file("departed")).expect("renamed");
        for name in &files[..removed] {
            fs::remove_file(place.file(name)).expect("removed");
        }
        assert_eq!(place.open().membership(), None);
        assert_eq!(place.names(), ["identity.key", "lock"]);
        assert_ne!(fs::read(place.file("identity.key")).expect("there"), before);
    }
}

#[test]
fn a_stamp_is_remembered_with_what_may_have_come_after_it() {
    let mut place = Place::new();
    place.joined();
    let dir = place.open();
    assert_eq!(dir.stamp_floor(), WallTime::default());
    let stamp = WallTime(Duration::new(1_800_000_000, 5));
    dir.save_stamp(stamp).expect("saved");
    assert_eq!(dir.stamp_floor(), WallTime(stamp.0 + handshake_stamp::SLACK));
    let path = place.file("handshake.stamp");
    assert_eq!(mode(&path), 0o600);
    fs::write(&path, b"garbage").expect("written");
    assert_eq!(dir.stamp_floor(), WallTime::default());
}

#[test]
fn peers_are_remembered_and_a_useless_cache_is_none() {
    let hint = |n: u16| PeerHint {
        member: MemberId(u64::from(n)),
        endpoint: Some(SocketAddr::from(([192, 0, 2, 1], n))),
        facts: None,
    };
    let mut place = Place::new();
    place.joined();
    let dir = place.open();
    assert_eq!(dir.peer_hints(), []);
    dir.save_peer_hints(&[hint(2), hint(3)]).expect("saved");
    assert_eq!(dir.peer_hints(), [hint(2), hint(3)]);
    let path = place.file("peers.cache");
    let elsewhere = peer_cache::encode(MeshId([1; 16]), &[hint(2)]);
    for useless in [&b""[..], &b"\x07garbage"[..], &elsewhere] {
        fs::write(&path, useless).expect("written");
        assert_eq!(dir.peer_hints(), []);
    }
    let many = vec![hint(2); peer_cache::MAX_PEERS + 1];
    dir.save_peer_hints(&many).expect("saved");
    assert_eq!(dir.peer_hints().len(), peer_cache::MAX_PEERS);
}
