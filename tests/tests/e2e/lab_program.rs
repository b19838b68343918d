//! The program behind `scripts/cluster`, without rights.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use mesh_tests::binaries::{BIN_DIR, Binaries};
use mesh_tests::lab::SETTLE_LIMIT;
use mesh_tests::process::daemons_inside;

use crate::alone;

/// A lab of its own, whatever else is up on this machine.
struct Program {
    dir: tempfile::TempDir,
    binaries: PathBuf,
}

impl Program {
    fn new() -> Self {
        let binaries = Binaries::find().unwrap();
        Self {
            dir: tempfile::Builder::new().prefix("mesh-").tempdir().unwrap(),
            binaries: binaries.mesh.parent().unwrap().to_owned(),
        }
    }

    fn lab_dir(&self) -> PathBuf {
        self.dir.path().join("lab")
    }

    fn run(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_mesh-lab"))
            .args(words)
            .env("MESH_LAB_DIR", self.lab_dir())
            .env(BIN_DIR, &self.binaries)
            .output()
            .unwrap()
    }

    fn succeed(&self, words: &[&str]) -> String {
        let output = self.run(words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {text}{errors}");
        text
    }

    fn fail(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(!output.status.success(), "{words:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.run(&["down"]);
    }
}

fn daemons(dir: &Path) -> usize {
    daemons_inside(dir).unwrap().len()
}

#[test]
fn a_rootless_cluster_comes_up_is_used_and_goes_without_a_trace() {
    let _alone = alone();
    let program = Program::new();
    assert!(program.succeed(&["down"]).contains("no cluster is up"));

    let said = program.succeed(&["up", "--rootless", "--nodes", "3"]);
    assert!(said.contains("mesh --socket"), "{said}");
    assert_eq!(daemons(&program.lab_dir()), 3);
    assert!(program.fail(&["up", "--rootless"]).contains("scripts/cluster down"));

    // One mesh to everybody; a machine that stands still may cost it its leader for a moment.
    mesh_tests::eventually(SETTLE_LIMIT, "all name one leader and one state", || {
        let seen = ["n1", "n2", "n3"].map(|host| {
            let words = ["exec", host, "--", "mesh", "--format", "json", "status"];
            let status: serde_json::Value = serde_json::from_str(&program.succeed(&words)).unwrap();
            assert_eq!(status["members"], 3);
            (status["raft"]["leader"].clone(), status["raft"]["state_hash"].clone())
        });
        (!seen[0].0.is_null() && seen[0] == seen[1] && seen[1] == seen[2]).then_some(())
    })
    .unwrap();
    assert!(program.fail(&["exec", "n9", "--", "true"]).contains("n9"));

    program.succeed(&["kill", "n3"]);
    assert_eq!(daemons(&program.lab_dir()), 2);
    assert!(program.succeed(&["status"]).contains("n3  down"));
    assert!(program.fail(&["kill", "n3"]).contains("down already"));
    program.succeed(&["start", "n3"]);
    assert_eq!(daemons(&program.lab_dir()), 3);

    program.succeed(&["down"]);
    assert_eq!(daemons(&program.lab_dir()), 0);
    assert!(!program.lab_dir().exists());
    program.succeed(&["down"]);
}

#[test]
fn the_rootless_demonstration_ends_well() {
    let _alone = alone();
    let program = Program::new();
    let said = program.succeed(&["demo", "--rootless"]);
    assert!(said.contains("is the supervisor now") && said.contains("cleaned up"), "{said}");
}
