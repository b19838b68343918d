//! The directory of the backups that are made by themselves: one file each, named after when it was made and of whom.
//!
//! Several hosts may share one, on a volume of the network. Each knows its own by their names and touches no others.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use mesh_model::{MemberId, MeshId};

use super::disk::{self, DiskError};
use super::listing;

/// How much of the mesh's id a name has, in digits: to tell the meshes of one operator apart.
const MESH_DIGITS: usize = 8;

/// The directory, as one host sees it.
pub(crate) struct BackupDir {
    path: PathBuf,
    suffix: String,
}

/// A backup in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// When it was made, in milliseconds since the Unix epoch.
    pub(crate) made_ms: u64,
    /// Its bytes.
    pub(crate) bytes: u64,
}

impl BackupDir {
    /// The directory at `path` as that member sees it.
    pub(crate) fn of(path: &Path, mesh: MeshId, member: MemberId) -> Self {
        let mesh = mesh.to_string();
        Self { path: path.to_owned(), suffix: format!("-{}-{member}.age", &mesh[..MESH_DIGITS]) }
    }

    /// Those of this host, the oldest first. A directory that is not there yet has none.
    pub(crate) fn list(&self) -> Result<Vec<Entry>, DiskError> {
        let mut entries = Vec::new();
        for name in listing::names(&self.path)? {
            let Some(made_ms) = self.made_ms(&name) else { continue };
            let found = std::fs::symlink_metadata(self.path.join(&name));
            let failed = |source| DiskError { action: "list", path: self.path.clone(), source };
            let found = found.map_err(failed)?;
            if found.is_file() {
                entries.push(Entry { made_ms, bytes: found.len() });
            }
        }
        entries.sort_unstable_by_key(|entry| entry.made_ms);
        Ok(entries)
    }

    /// Keeps `file`, made then: whole or not at all, on disk when this returns.
    pub(crate) fn save(&self, made_ms: u64, file: &[u8]) -> Result<(), DiskError> {
        disk::make_dir(&self.path)?;
        listing::clear_drafts(&self.path, |name| self.made_ms(name).is_some())?;
        disk::replace(&self.path.join(self.name_of(made_ms)), file)
    }

    /// Removes the one made then.
    pub(crate) fn remove(&self, made_ms: u64) -> Result<(), DiskError> {
        disk::remove(&self.path.join(self.name_of(made_ms)))
    }

    /// The name of the one made then. Fifteen digits, so that names sort as times do.
    pub(crate) fn name_of(&self, made_ms: u64) -> String {
        format!("{made_ms:015}{}", self.suffix)
    }

    fn made_ms(&self, name: &OsStr) -> Option<u64> {
        let name = name.to_str()?;
        let made_ms = name.strip_suffix(&self.suffix)?.parse().ok()?;
        (name == self.name_of(made_ms)).then_some(made_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_knows_its_own_and_touches_no_others() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("backups");
        let dir = |member| BackupDir::of(&path, MeshId([0xab; 16]), MemberId(member));
        assert_eq!(dir(1).list().expect("listed"), []);
        dir(1).save(2000, b"later").expect("saved");
        dir(1).save(1000, b"early").expect("saved");
        dir(11).save(1500, b"another host's").expect("saved");
        std::fs::write(path.join("1-abababab-m1.age"), "not by us").expect("written");
        let made = |member| -> Vec<u64> {
            dir(member).list().expect("listed").iter().map(|entry| entry.made_ms).collect()
        };
        assert_eq!((made(1), made(11)), (vec![1000, 2000], vec![1500]));
        assert_eq!(dir(1).list().expect("listed")[0], Entry { made_ms: 1000, bytes: 5 });
        dir(1).remove(1000).expect("removed");
        // Two crashed while they wrote; the one that writes again clears up after itself.
        let (own, other) = (dir(1).name_of(900) + ".new", dir(11).name_of(900) + ".new");
        for draft in [&own, &other] {
            std::fs::write(path.join(draft), "half").expect("written");
        }
        dir(1).save(2000, b"again").expect("saved");
        assert!(!path.join(own).exists() && path.join(other).exists());
        assert_eq!((made(1), made(11)), (vec![2000], vec![1500]));
        assert_eq!(dir(1).name_of(2000), "000000000002000-abababab-m1.age");
    }
}
