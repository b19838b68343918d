//! A state directory made from a backup: all of it or nothing.
//!
//! It is built beside its place and gets its name at the end, so a crash half way leaves a directory that nobody starts
//! on. There is no `member` in it: this host belongs to no mesh until it has asked to be let in.

use std::io;
use std::path::Path;

use mesh_model::LogIndex;

use super::identity::Identity;
use super::snapshots::SnapshotDir;
use super::{StateDirError, files, identity_path};

/// The configuration's name there. Not read: where it belongs is the operator's to say.
const CONFIG: &str = "meshd.toml.restored";

/// What a backup brings back.
pub(crate) struct Restored<'a> {
    /// Who the host was, if it may be that again.
    pub(crate) identity: Option<Identity>,
    /// The text of its configuration file.
    pub(crate) config: Option<&'a str>,
    /// What it knew to be agreed, and up to which index.
    pub(crate) snapshot: (LogIndex, &'a [u8]),
}

impl Restored<'_> {
    /// Makes the directory `path`, which is not there or empty; then it stays whose it is.
    pub(crate) fn write(&self, path: &Path) -> Result<(), StateDirError> {
        check_empty(path)?;
        // systemd keeps it elsewhere, with a link to it here.
        let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let draft = path.with_added_extension("restoring");
        // What an earlier attempt left.
        files::remove_dir(&draft)?;
        files::prepare_dir(&draft)?;
        if files::exists(path)? {
            files::hand_over(&draft, path)?;
        }
        let (index, snapshot) = self.snapshot;
        SnapshotDir::of(&draft).save(index, snapshot)?;
        if let Some(config) = self.config {
            files::write(&draft.join(CONFIG), config.as_bytes())?;
        }
        if let Some(identity) = &self.identity {
            files::write(&identity_path(&draft), identity.to_text().as_bytes())?;
        }
        files::rename(&draft, path)
    }
}

fn check_empty(path: &Path) -> Result<(), StateDirError> {
    let mut entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StateDirError::io("look into", path, error)),
    };
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(StateDirError::Occupied { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, chown, symlink};

    use super::*;
    use crate::state_dir::StateDir;

    fn restored() -> Restored<'static> {
        let identity = Identity::from_seeds([1; 32], [2; 32]);
        Restored { identity: Some(identity), config: Some("mtu = 1400\n"), snapshot: (7, b"abc") }
    }

    fn public(dir: &StateDir) -> mesh_model::IdentityKey {
        dir.identity().identity.public()
    }

    #[test]
    fn what_comes_back_is_a_host_of_no_mesh_with_its_old_identity() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("state");
        std::fs::create_dir_all(path.with_added_extension("restoring").join("half")).expect("made");
        restored().write(&path).expect("written");
        let names: std::collections::BTreeSet<_> = std::fs::read_dir(&path)
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        assert_eq!(names, ["identity.key", CONFIG, "snapshots"].map(str::to_owned).into());
        let dir = StateDir::open(&path, &mut || unreachable!("it has one")).expect("sound");
        assert!(dir.membership().is_none());
        assert_eq!(public(&dir), Identity::from_seeds([1; 32], [2; 32]).identity.public());
        assert_eq!(dir.snapshots().read(Some(7)).expect("read"), Some(b"abc".to_vec()));
    }

    #[test]
    fn without_an_identity_the_host_is_somebody_new() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("state");
        std::fs::create_dir(&path).expect("an empty directory will do");
        Restored { identity: None, ..restored() }.write(&path).expect("written");
        let dir = StateDir::open(&path, &mut || [9; 32]).expect("sound");
        assert_eq!(public(&dir), Identity::from_seeds([9; 32], [9; 32]).identity.public());
    }

    #[test]
    fn it_belongs_to_whom_the_directory_did_that_it_takes_the_place_of() {
        const OTHER: u32 = 65534;
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let base = tempfile::tempdir().expect("a directory");
        let (path, link) = (base.path().join("private"), base.path().join("state"));
        std::fs::create_dir(&path).expect("made");
        chown(&path, Some(OTHER), Some(OTHER)).expect("root may");
        symlink(&path, &link).expect("linked");
        restored().write(&link).expect("written");
        for name in
            ["", "identity.key", CONFIG, "snapshots", "snapshots/00000000000000000007.meshsnap"]
        {
            let found = std::fs::metadata(link.join(name)).expect("there");
            assert_eq!((found.uid(), found.gid()), (OTHER, OTHER), "{name}");
        }
        assert!(link.is_symlink());
    }

    #[test]
    fn a_directory_with_anything_in_it_is_left_alone() {
        let base = tempfile::tempdir().expect("a directory");
        std::fs::write(base.path().join("notes.txt"), "mine").expect("written");
        let refused = restored().write(base.path());
        assert!(matches!(refused, Err(StateDirError::Occupied { .. })), "{refused:?}");
        assert_eq!(std::fs::read_dir(base.path()).expect("listed").count(), 1);
    }
}
