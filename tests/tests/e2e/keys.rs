//! The root key, lost and made again from what several people keep.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use mesh_model::api::v1::{ErrorCode, RootRestored};
use mesh_tests::Lab;
use mesh_tests::mesh::exit;

use crate::alone;

#[test]
fn a_lost_root_key_comes_back_from_shares() {
    let _alone = alone();
    let mut lab = Lab::rootless(1).unwrap();
    lab.host_mut(1).start().unwrap();
    let mesh_id = lab.host(1).init().unwrap().mesh;
    let mesh = lab.host(1).mesh();
    let (state_dir, out) = (lab.host(1).state_dir(), lab.dir().join("shares"));
    let (state, out_text) = (state_dir.to_str().unwrap(), out.to_str().unwrap());

    // While the daemon runs.
    let split = |shares: &str, threshold: &str| {
        let words = ["keys", "backup", "--shares", shares, "--threshold", threshold];
        mesh.run(&[&words[..], &["--out", out_text, "--state-dir", state]].concat()).unwrap()
    };
    assert_eq!(split("2", "3").failure(exit::USAGE).unwrap()["code"], "usage");
    assert_eq!(split("1", "1").failure(exit::USAGE).unwrap()["code"], "usage");
    let answer = split("3", "2").json().unwrap();
    assert_eq!(answer["schema"], "mesh.key_shares/v1");
    assert_eq!(answer["mesh"], mesh_id.to_string());
    let files: Vec<_> =
        answer["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap()).collect();
    assert_eq!(files.len(), 3);
    for file in &files {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // Never over another.
    assert_eq!(split("3", "2").failure(exit::FAILED).unwrap()["code"], "file_exists");

    let restore = |files: &[&str]| {
        let words = [&["keys", "restore", "--state-dir", state], files].concat();
        mesh.run(&words).unwrap()
    };
    let refused = restore(&files[..2]).error(exit::FAILED).unwrap();
    assert!(refused.message.contains("while nobody runs on it"), "{refused:?}");
    lab.host_mut(1).terminate().unwrap();
    let refused = restore(&files[..2]).error(exit::FAILED).unwrap();
    assert!(refused.message.contains("holds the root key already"), "{refused:?}");

    fs::remove_file(state_dir.join("admin.key")).unwrap();
    lab.host_mut(1).start().unwrap();
    let refused = mesh.run(&["invite"]).unwrap().error(exit::FAILED).unwrap();
    assert_eq!(refused.code, ErrorCode::NotAdmin);
    lab.host_mut(1).terminate().unwrap();

    let bad = |files: &[&str], part: &str| {
        let error = restore(files).failure(exit::FAILED).unwrap();
        assert_eq!(error["code"], "bad_share", "{error}");
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
    };
    bad(&files[..1], "1 of the 2 shares");
    bad(&[files[1], files[1]], "are the same share");
    let whole = fs::read_to_string(files[2]).unwrap();
    fs::write(files[2], whole.replace("index: 3", "index: 1")).unwrap();
    bad(&[files[0], files[2]], "root-share-3-of-3.txt: it is damaged");
    fs::write(files[2], whole).unwrap();
    assert!(!state_dir.join("admin.key").exists());

    let restored: RootRestored = restore(&[files[2], files[0]]).document().unwrap();
    assert_eq!(restored.mesh, mesh_id);
    lab.host_mut(1).start().unwrap();
    lab.host(1).invite(1).unwrap();
}
