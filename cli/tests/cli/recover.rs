//! `mesh recover` with a `meshd` of cardboard: what is asked of it, signed, shown and refused.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use mesh_model::api::v1::{Document, Draft, MemberName, Recovered, Recovery};
use mesh_model::trust::{EPOCH_LEAP, Epoch, EpochHead, MeshRoot, Request};
use mesh_model::view::StateHash;
use mesh_model::{Cosigned, IdentitySecret, MemberId};
use serde::Serialize;
use tempfile::TempDir;

use crate::alice::{Alice, PASSPHRASE};
use crate::run::{Ran, command, ended};

const FLAG: &str = "--i-accept-losing-unreplicated-writes";

/// Nobody listens there: no daemon is asked.
const NOWHERE: &str = "/nonexistent/meshd.sock";

fn root() -> IdentitySecret {
    IdentitySecret::from_seed([1; 32])
}

fn statement() -> Epoch {
    Epoch {
        mesh: MeshRoot::of(root().public()).mesh,
        number: 1,
        before: EpochHead([3; 32]),
        from: 105,
        state: StateHash([4; 32]),
        first: 105 + EPOCH_LEAP,
        voter: MemberId(1),
        at_ms: 1_800_000_000_000,
        reason: "burnt down".parse().ok(),
    }
}

fn draft(epoch: &Epoch, signers: &[&IdentitySecret]) -> Draft {
    let mut begun = Cosigned::new(epoch);
    assert!(signers.iter().all(|signer| begun.sign(signer)));
    let request = Request::BeginEpoch(begun);
    let (signed_by, request) = (request.signers(), request.to_string());
    Draft { mesh: epoch.mesh, needed: 1, signed_by, request }
}

fn found(draft: Draft) -> Recovery {
    let voter = |id: u64, name: &str| MemberName {
        member: MemberId(id),
        name: name.parse().expect("a name"),
    };
    Recovery {
        mesh: draft.mesh,
        mesh_name: "home".parse().expect("a name"),
        member: MemberId(1),
        name: "n1".parse().expect("a name"),
        epoch: 1,
        index: 105,
        term: 3,
        agreed: 103,
        last_decision_ms: None,
        voters: vec![voter(1, "n1"), voter(3, "n2"), voter(5, "n3")],
        members: 4,
        draft,
    }
}

fn recovered() -> Recovered {
    Recovered {
        mesh: statement().mesh,
        member: MemberId(1),
        epoch: 1,
        head: EpochHead([5; 32]),
        from: 105,
        first: 105 + EPOCH_LEAP,
        state_hash: StateHash([6; 32]),
    }
}

/// A `meshd` that answers what a file beside it says, and keeps what it was asked.
struct Cardboard(TempDir);

impl Cardboard {
    fn finding(found: Recovery) -> Self {
        let dir = TempDir::new().expect("a directory");
        let write = |name: &str, text: String| {
            std::fs::write(dir.path().join(name), text).expect("written");
        };
        fn json(body: impl Serialize) -> String {
            serde_json::to_string(&body).expect("plain data")
        }
        write("recovery", json(Document::from(found)));
        write("recover", json(Document::from(recovered())));
        let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\ncat > \"asked-$2\"\n\
                      shift; echo \"$@\" >> words\ncat \"$1\"\n";
        write("meshd", script.to_owned());
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path().join("meshd"), mode).expect("set");
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.path(name)).ok()
    }

    fn mesh(&self, args: &[&str]) -> Ran {
        let mut command = command(Path::new(NOWHERE), args);
        ended(command.env("MESHD_PROGRAM", self.path("meshd")).output().expect("runs"))
    }

    /// Whether it was told to go on.
    fn went_on(&self) -> bool {
        self.path("asked-recover").exists()
    }
}

#[test]
fn without_the_flag_it_shows_what_there_is_and_changes_nothing() {
    let meshd = Cardboard::finding(found(draft(&statement(), &[])));
    let ran = meshd.mesh(&["recover", "--state-dir", "/some/where", "--reason=-burnt down-"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mesh = statement().mesh;
    assert_eq!(
        ran.stdout,
        format!(
            "mesh           home ({mesh})\n\
             this host      n1 (m1)\n\
             goes on from   index 105, term 3\n\
             known agreed   up to 103; the 2 after it may have been, and go along\n\
             last decision  never\n\
             members        4\n\
             voters         n1 (m1), n2 (m3), n3 (m5)\n\
             would be lost  whatever 2 of these voters agreed on after index 105 without this host: joins, bans, policies\n\
             signatures     1 to begin epoch 1\n"
        )
    );
    assert!(ran.stderr.contains("Nothing was changed") && ran.stderr.contains(FLAG), "{ran:?}");
    let words = meshd.read("words").expect("asked");
    assert_eq!(words, "recovery --state-dir /some/where --reason=-burnt down- --sign\n");
    assert!(!meshd.went_on());
}

#[test]
fn with_the_flag_the_hosts_own_signature_will_do() {
    let meshd = Cardboard::finding(found(draft(&statement(), &[&root()])));
    let ran = meshd.mesh(&["recover", FLAG]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains("goes on from index 105 as m1 has it, at index 1000105"),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("would be lost"), "{ran:?}");
    let said = meshd.read("asked-recover").expect("told");
    assert_eq!(said, draft(&statement(), &[&root()]).request);
    let ran = meshd.mesh(&["--format", "json", "recover", FLAG]);
    assert_eq!(ran.document()["schema"], "mesh.recovered/v1");
}

#[test]
fn without_enough_signatures_nothing_is_told_to_go_on() {
    let meshd = Cardboard::finding(found(draft(&statement(), &[])));
    let ran = meshd.mesh(&["--format", "json", "recover", FLAG]);
    assert_eq!((ran.code, ran.error()["code"].as_str()), (Some(1), Some("not_admin")), "{ran:?}");
    let mut two = found(draft(&statement(), &[&root()]));
    two.draft.needed = 2;
    let meshd = Cardboard::finding(two);
    let ran = meshd.mesh(&["--format", "json", "recover", FLAG]);
    assert_eq!((ran.code, ran.error()["code"].as_str()), (Some(1), Some("unsigned")), "{ran:?}");
    assert!(!meshd.went_on());
}

#[test]
fn the_root_key_signs_beside_those_in_files() {
    // It takes two, and the root key is on the host.
    let mut two = found(draft(&statement(), &[&root()]));
    two.draft.needed = 2;
    let meshd = Cardboard::finding(two);
    let alice = Alice::new();
    let key = alice.file.to_str().expect("text");
    let passphrase = alice.path("passphrase");
    std::fs::write(&passphrase, PASSPHRASE).expect("written");
    let ran = meshd.mesh(&["recover", FLAG, "--admin-key", key, "--passphrase-file", &passphrase]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(meshd.read("words").expect("asked"), "recovery --sign\nrecover\n");
    let said: Request = meshd.read("asked-recover").expect("told").parse().expect("a request");
    let mut signers = vec![root().public(), alice.key];
    signers.sort();
    assert_eq!(said.signers(), signers);
}

#[test]
fn a_statement_about_anything_else_than_what_was_shown_is_not_signed() {
    let others = [
        Epoch { voter: MemberId(3), ..statement() },
        Epoch { from: 90, first: 90 + EPOCH_LEAP, ..statement() },
        Epoch { number: 2, ..statement() },
    ];
    for other in others {
        let meshd = Cardboard::finding(found(draft(&other, &[&root()])));
        let ran = meshd.mesh(&["--format", "json", "recover", FLAG]);
        assert_eq!(ran.error()["code"], "bad_request_file", "{ran:?}");
        assert!(!meshd.went_on());
    }
}

#[test]
fn what_out_writes_is_read_out_before_it_is_signed_and_taken_again() {
    let meshd = Cardboard::finding(found(draft(&statement(), &[])));
    let file = meshd.path("recover.json");
    let name = file.to_str().expect("text");
    let ran = meshd.mesh(&["recover", "--out", name]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("mesh admin sign"), "{ran:?}");
    assert!(!meshd.went_on());
    let text = meshd.read("recover.json").expect("written");
    let unsigned = draft(&statement(), &[]);
    assert!(text.contains(&unsigned.request));
    // As `mesh admin sign` leaves it.
    let signed = text.replace(&unsigned.request, &draft(&statement(), &[&root()]).request);
    let key = root().public().to_string();
    let signed = signed.replace("\"signed_by\": []", &format!("\"signed_by\": [\"{key}\"]"));
    let signed = signed.replace("\"signed_by\":[]", &format!("\"signed_by\":[\"{key}\"]"));
    std::fs::write(&file, signed).expect("written");
    let ran = meshd.mesh(&["recover", "--signed", name, FLAG]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(meshd.read("asked-recover"), Some(draft(&statement(), &[&root()]).request));
    let usage = meshd.mesh(&["recover", "--out", name, FLAG]);
    assert_eq!(usage.code, Some(2), "{usage:?}");
}
