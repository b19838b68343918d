//! What works on a stopped host, struck at each step of it, every occurrence of every one: `snapshot apply`, `backup restore`,
//! `keys restore` and `recover` by `meshd`, `backup create` and `keys backup` by `mesh`. What is there afterwards is what was
//! there before or what was asked for, the latter if it was acknowledged, and the same once more leads to the latter.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use mesh_model::MemberId;
use mesh_model::api::v1::{Document, Recovery, SnapshotInfo};
use mesh_model::backup::Backup;
use mesh_model::trust::RootShare;
use mesh_tests::Lab;
use mesh_tests::binaries::Binaries;
use mesh_tests::chaos::points;
use mesh_tests::lab::SETTLE_LIMIT;

/// More steps than any of these takes.
const MANY: usize = 200;

/// A stopped member that never voted and has the root key, and what can be done with it.
struct Host {
    lab: Lab,
    /// Its state directory as it was left.
    before: PathBuf,
    /// Where each attempt is made.
    place: PathBuf,
    /// A snapshot of what was agreed after it stopped.
    snapshot: PathBuf,
}

/// One thing that is done to it.
struct Deed<'a> {
    verb: &'a str,
    words: Vec<&'a str>,
    input: Vec<u8>,
    /// What the place holds before: a directory like this one, or nothing.
    before: Option<&'a Path>,
    /// What is looked at afterwards: the same before, something else once it is done.
    look: &'a dyn Fn(&Host) -> String,
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Copies a directory as it is.
fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").args(["-a", text(from), text(to)]).status().unwrap();
    assert!(done.success());
}

fn clear(path: &Path) {
    for path in [path.to_owned(), path.with_added_extension("restoring")] {
        if path.exists() {
            fs::remove_dir_all(path).unwrap();
        }
    }
}

/// Runs `program` with `words` and `input`, struck as `charge` says.
fn run(program: &Path, words: &[&str], input: &[u8], charge: (&str, &str)) -> Output {
    let mut child = Command::new(program)
        .args(words)
        .env(charge.0, charge.1)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that is struck early does not read it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn was_struck(output: &Output) -> bool {
    let said = String::from_utf8_lossy(&output.stderr);
    said.lines().any(|line| line.starts_with("failpoint ") && line.contains(" strikes"))
}

impl Host {
    fn prepare() -> Self {
        let mut lab = Lab::pair().unwrap();
        lab.host_mut(2).terminate().unwrap();
        lab.host(1).invite(1).unwrap();
        let snapshot = lab.dir().join("late.meshsnap");
        let mesh = lab.host(1).mesh();
        let _: SnapshotInfo = mesh.get(&["snapshot", "create"]).unwrap();
        let _: SnapshotInfo = mesh.get(&["snapshot", "download", text(&snapshot)]).unwrap();
        let (before, place) = (lab.dir().join("before"), lab.dir().join("place"));
        copy(&lab.host(2).state_dir(), &before);
        fs::copy(lab.host(1).state_dir().join("admin.key"), before.join("admin.key")).unwrap();
        Self { lab, before, place, snapshot }
    }

    /// What `meshd offline` answers to `verb` about the place.
    fn meshd(&self, verb: &str, words: &[&str], input: &[u8], charge: &str) -> Output {
        let meshd = Binaries::find().unwrap().meshd;
        let words = [&["offline", verb, "--state-dir", text(&self.place)], words].concat();
        run(&meshd, &words, input, ("MESHD_FAILPOINTS", charge))
    }

    /// What the host of the place could go on from; why not, if it could not.
    fn survey(&self) -> Result<Recovery, String> {
        let output = self.meshd("recovery", &["--sign"], b"", "");
        let said = String::from_utf8(output.stdout).unwrap();
        match output.status.success() {
            true => Ok(serde_json::from_str::<Document<Recovery>>(&said).unwrap().body),
            false => Err(said),
        }
    }

    /// Has it as it is to be before a deed.
    fn lay(&self, before: Option<&Path>) {
        clear(&self.place);
        if let Some(before) = before {
            copy(before, &self.place);
        }
    }

    /// Strikes at every step of `deed`, and says at which points there were any.
    fn strike(&self, deed: &Deed<'_>) -> BTreeMap<String, usize> {
        self.lay(deed.before);
        let before = (deed.look)(self);
        let done = self.meshd(deed.verb, &deed.words, &deed.input, "");
        assert!(done.status.success(), "{}: {done:?}", deed.verb);
        let after = (deed.look)(self);
        assert_ne!(before, after, "{} changes nothing", deed.verb);
        let mut passed = BTreeMap::new();
        for point in points().unwrap() {
            for blow in ["abort", "error"] {
                for step in 0..MANY {
                    let charge = format!("{point}={blow}:after-{step}");
                    self.lay(deed.before);
                    let struck = self.meshd(deed.verb, &deed.words, &deed.input, &charge);
                    if !was_struck(&struck) {
                        assert!(struck.status.success(), "{} {charge}: {struck:?}", deed.verb);
                        break;
                    }
                    assert!(step + 1 < MANY, "{} {charge}: it never ends", deed.verb);
                    *passed.entry(point.clone()).or_default() += 1;
                    let found = (deed.look)(self);
                    let is_done = found == after;
                    assert!(is_done || found == before, "{} {charge}: {found}", deed.verb);
                    assert!(is_done || !struck.status.success(), "{} {charge} is lost", deed.verb);
                    let again = self.meshd(deed.verb, &deed.words, &deed.input, "");
                    assert_eq!(
                        again.status.success(),
                        !is_done,
                        "{} {charge}: {again:?}",
                        deed.verb
                    );
                    assert_eq!((deed.look)(self), after, "{} {charge}, and again", deed.verb);
                }
            }
        }
        passed
    }
}

/// The files below `dir` by their names, without the lock and what is left of drafts.
fn files(dir: &Path) -> String {
    let Ok(entries) = fs::read_dir(dir) else { return String::new() };
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    let tell = |path: &PathBuf| match path.is_dir() {
        true => format!("{}: {}", path.display(), files(path)),
        false => format!("{}: {:?}", path.display(), fs::read(path).unwrap()),
    };
    found.iter().map(tell).collect::<Vec<_>>().join("\n")
}

fn assert_passed(passed: &BTreeMap<String, usize>, points: &[&str]) {
    for point in points {
        assert!(passed.contains_key(*point), "{point} was never passed: {passed:?}");
    }
}

#[test]
fn a_snapshot_is_applied_or_not_wherever_it_is_struck() {
    let host = Host::prepare();
    let deed = Deed {
        verb: "snapshot-apply",
        words: vec![text(&host.snapshot)],
        input: Vec::new(),
        before: Some(&host.before),
        look: &|host| {
            let survey = host.survey().unwrap();
            format!("agreed {}, last {} of {}", survey.agreed, survey.index, survey.term)
        },
    };
    let passed = host.strike(&deed);
    assert_passed(&passed, &["log-write", "log-sync", "log-synced"]);
}

#[test]
fn a_host_goes_over_into_its_epoch_or_not_wherever_it_is_struck() {
    let host = Host::prepare();
    host.lay(Some(&host.before));
    let request = host.survey().unwrap().draft.request;
    let deed = Deed {
        verb: "recover",
        words: Vec::new(),
        input: request.into_bytes(),
        before: Some(&host.before),
        look: &|host| match host.survey() {
            Ok(survey) => format!("before epoch {}", survey.epoch),
            Err(why) => why,
        },
    };
    let passed = host.strike(&deed);
    assert_passed(&passed, &["log-write", "log-sync", "log-synced"]);
}

#[test]
fn a_root_key_is_there_or_not_wherever_its_return_is_struck() {
    let host = Host::prepare();
    host.lay(Some(&host.before));
    let exported = host.meshd("root-export", &[], b"", "");
    let exported: serde_json::Value = serde_json::from_slice(&exported.stdout).unwrap();
    let seed: Vec<u8> = serde_json::from_value(exported["seed"].clone()).unwrap();
    let without = host.lab.dir().join("without");
    copy(&host.before, &without);
    fs::remove_file(without.join("admin.key")).unwrap();
    let deed = Deed {
        verb: "root-import",
        words: Vec::new(),
        input: seed,
        before: Some(&without),
        look: &|host| match fs::read_to_string(host.place.join("admin.key")) {
            Ok(text) => text,
            Err(_) => "none".to_owned(),
        },
    };
    let passed = host.strike(&deed);
    assert_passed(
        &passed,
        &["draft-write", "draft-written", "rename", "renamed", "directory-sync"],
    );
}

#[test]
fn a_backup_is_restored_or_not_wherever_it_is_struck() {
    let host = Host::prepare();
    let snapshot = fs::read(&host.snapshot).unwrap();
    let (head, _) = mesh_model::snapshot::read(&snapshot).unwrap();
    let backup = Backup {
        made_ms: 1,
        root: head.header.root,
        member: MemberId(77),
        name: "n77".parse().unwrap(),
        identity: [1; 32],
        tunnel: [2; 32],
        other_tunnel: None,
        config: Some("mtu = 1400\n".to_owned()),
        snapshot,
    };
    let deed = Deed {
        verb: "backup-restore",
        words: Vec::new(),
        input: backup.to_bytes().to_vec(),
        before: None,
        look: &|host| files(&host.place),
    };
    let passed = host.strike(&deed);
    let made = ["make-directory", "directory-made", "draft-synced", "rename", "renamed"];
    assert_passed(&passed, &made);
    // What is left of an attempt that was struck is removed by the next; that one is struck, too.
    let left = host.place.with_added_extension("restoring");
    for (blow, point) in [("abort", "remove-tree"), ("error", "tree-removed")] {
        host.lay(None);
        fs::create_dir_all(left.join("half")).unwrap();
        let charge = format!("{point}={blow}");
        let struck = host.meshd(deed.verb, &[], &deed.input, &charge);
        assert!(was_struck(&struck) && !struck.status.success() && !host.place.exists());
        assert!(host.meshd(deed.verb, &[], &deed.input, "").status.success());
        assert!(!left.exists());
    }
}

/// Strikes at every step of what `words` have `mesh` do, each time in a directory of its own; `check` is told what it is and
/// whether it was done.
fn strike_mesh(lab: &Lab, words: &dyn Fn(&Path) -> Vec<String>, check: &dyn Fn(&Path, bool)) {
    for blow in ["abort", "error"] {
        for step in 0..MANY {
            let dir = lab.dir().join(format!("{blow}-{step}"));
            fs::create_dir(&dir).unwrap();
            let mut command = lab.host(1).mesh().command();
            let struck = command.args(words(&dir)).env("MESH_FAILPOINT", format!("{blow}:{step}"));
            let struck = struck.output().unwrap();
            check(&dir, struck.status.success());
            if !was_struck(&struck) {
                assert!(struck.status.success(), "{struck:?}");
                assert!(step > 4, "it has more steps than {step}");
                break;
            }
            assert!(step + 1 < MANY, "it never ends");
        }
    }
}

#[test]
fn a_backup_is_whole_or_absent_wherever_its_making_is_struck() {
    let mut lab = Lab::rootless(1).unwrap();
    lab.host_mut(1).start().unwrap();
    lab.host(1).init().unwrap();
    lab.host(1).wait_for("ready", SETTLE_LIMIT).unwrap();
    let key = age::x25519::Identity::generate();
    let recipient = key.to_public().to_string();
    let words = |dir: &Path| {
        let file = dir.join("n1.age");
        ["backup", "create", text(&file), "--recipient", &recipient].map(str::to_owned).to_vec()
    };
    strike_mesh(&lab, &words, &|dir, is_done| match fs::read(dir.join("n1.age")) {
        Ok(file) => {
            let backup = age::decrypt(&key, &file).unwrap();
            assert_eq!(Backup::from_bytes(&backup).unwrap().member, MemberId::FOUNDER);
        }
        Err(_) => assert!(!is_done),
    });
}

#[test]
fn each_share_of_a_root_key_is_whole_or_absent_wherever_their_making_is_struck() {
    let mut lab = Lab::rootless(1).unwrap();
    lab.host_mut(1).start().unwrap();
    lab.host(1).init().unwrap();
    let state_dir = lab.host(1).state_dir();
    let words = |dir: &Path| {
        let out = dir.join("new/shares");
        let split = ["keys", "backup", "--shares", "3", "--threshold", "2", "--out", text(&out)];
        [&split[..], &["--state-dir", text(&state_dir)]]
            .concat()
            .iter()
            .map(|&word| word.into())
            .collect()
    };
    strike_mesh(&lab, &words, &|dir, is_done| {
        let found = fs::read_dir(dir.join("new/shares")).into_iter().flatten();
        let found = found.map(|entry| entry.unwrap().path());
        let shares = found.filter(|path| path.extension().is_some_and(|end| end == "txt"));
        let whole = shares.map(|path| {
            let share: RootShare = fs::read_to_string(&path).unwrap().parse().unwrap();
            assert_eq!((share.shares, share.threshold), (3, 2));
        });
        let whole = whole.count();
        assert!(if is_done { whole == 3 } else { whole <= 3 });
    });
}
