//! Files that survive: the agreement log's file, small files replaced as a whole, and the directories they are in.
//!
//! Everything made here is readable by its owner only, whatever the umask, and on disk before the call
//! returns: the bytes (`fsync` of the file) and the name (`fsync` of the directory). Each step is a [`Failpoint`]; a
//! test of the sources keeps such steps from being made elsewhere.
//!
//! A file belongs to whom its directory belongs to. That is the process's own user, unless root does something by hand for
//! a daemon that has a user of its own and could not open root's files.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::failpoint::{Failpoint, reached};
use super::log_file::LogFile;

/// Owner reads and writes, nobody else does anything.
const FILE_MODE: u32 = 0o600;

/// The same of a directory.
pub(crate) const DIR_MODE: u32 = 0o700;

/// A file operation that failed. The operator's or the disk's fault.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}: {source}", path.display())]
pub(crate) struct DiskError {
    /// What was tried, such as `open`.
    pub(crate) action: &'static str,
    /// On which file.
    pub(crate) path: PathBuf,
    /// What the system said.
    pub(crate) source: io::Error,
}

trait Context<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, DiskError>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T, DiskError> {
        self.map_err(|source| DiskError { action, path: path.to_owned(), source })
    }
}

/// Opens the agreement log's file, made if it is missing. redb holds it exclusively while its store
/// is open.
pub(crate) fn open_log(path: &Path) -> Result<LogFile, DiskError> {
    let fresh = !path.exists();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
        .context("open", path)?;
    if fresh {
        restrict(&file, path)?;
        sync_parent(path)?;
    }
    LogFile::new(file).context("open", path)
}

/// What the name of a file ends in until it is whole.
pub(crate) const DRAFT: &str = "new";

/// Replaces the whole of `path` by `bytes`: afterwards either the old content or the new one is
/// there, never a part, also when power fails in between.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let draft = path.with_added_extension(DRAFT);
    // A draft left behind by a crash may carry any mode: start from nothing.
    remove(&draft)?;
    write(&draft, bytes).and_then(|()| rename(&draft, path)).inspect_err(|_| {
        // Where there was no room left it would keep that from being found again; and nobody needs half a file.
        let _ = fs::remove_file(&draft);
    })
}

/// Makes a file of `bytes` where there is none; they are on disk when this returns, their name may not be.
fn write(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    reached(Failpoint::DraftWrite).context("create", path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .context("create", path)?;
    restrict(&file, path)?;
    reached(Failpoint::DraftMade).and_then(|()| file.write_all(bytes)).context("write", path)?;
    reached(Failpoint::DraftWritten).and_then(|()| file.sync_all()).context("sync", path)?;
    reached(Failpoint::DraftSynced).context("sync", path)
}

/// Gives a file another name in the same directory, on disk when this returns.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), DiskError> {
    reached(Failpoint::Rename).and_then(|()| fs::rename(from, to)).context("rename to", to)?;
    reached(Failpoint::Renamed).context("rename to", to)?;
    sync_parent(to)
}

/// Removes a file; one that is gone already is fine. Call [`sync_parent`] before relying on it.
pub(crate) fn remove(path: &Path) -> Result<(), DiskError> {
    match reached(Failpoint::Remove).and_then(|()| fs::remove_file(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| reached(Failpoint::Removed)).context("remove", path),
    }
}

/// Makes the directory `path` for its owner only unless it is there, and those above it that are missing, for the owner only as
/// well. Their names are on disk when this returns.
pub(crate) fn make_dir(path: &Path) -> Result<(), DiskError> {
    let is_missing = |above: &&Path| !above.as_os_str().is_empty() && !above.exists();
    let above: Vec<_> = path.ancestors().skip(1).take_while(is_missing).collect();
    for missing in above.into_iter().rev() {
        make_one_dir(missing)?;
    }
    make_one_dir(path)
}

fn make_one_dir(path: &Path) -> Result<(), DiskError> {
    let make = || DirBuilder::new().mode(DIR_MODE).create(path);
    match reached(Failpoint::MakeDirectory).and_then(|()| make()) {
        // Whoever made it may not have come to this.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return sync_readable(path),
        made => made.context("make", path)?,
    }
    // The umask may have taken bits away.
    fs::set_permissions(path, Permissions::from_mode(DIR_MODE)).context("restrict", path)?;
    reached(Failpoint::DirectoryMade).context("make", path)?;
    sync_parent(path)
}

/// Like [`sync_parent`], of a parent that may be somebody else's, who lets nobody look into it: then `path` is not ours either.
fn sync_readable(path: &Path) -> Result<(), DiskError> {
    match sync_parent(path) {
        Err(error) if error.source.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// Removes the directory `path` with all that is in it; one that is gone already is fine. What a crash leaves of it is removed by
/// the next attempt. Call [`sync_parent`] before relying on it.
pub(crate) fn remove_dir(path: &Path) -> Result<(), DiskError> {
    match reached(Failpoint::RemoveTree).and_then(|()| fs::remove_dir_all(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| reached(Failpoint::TreeRemoved)).context("remove", path),
    }
}

/// The umask can only take bits away from the mode a file is created with, and an odd one takes the
/// owner's: set it outright.
fn restrict(file: &File, path: &Path) -> Result<(), DiskError> {
    file.set_permissions(Permissions::from_mode(FILE_MODE)).context("restrict", path)?;
    hand_over(file, parent(path)).context("hand over", path)
}

/// Gives what root has just made, a file or a directory, to whom `directory` belongs. Nobody else can, and nobody else makes files
/// in directories of others.
pub(crate) fn hand_over(made: &File, directory: &Path) -> io::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let (owner, found) = (fs::metadata(directory)?, made.metadata()?);
    match owner.uid() == found.uid() {
        true => Ok(()),
        false => fchown(made, Some(owner.uid()), Some(owner.gid())),
    }
}

/// The directory that `path` is in.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes names given and taken in `path`'s directory last: a new one is on disk only once its directory is.
pub(crate) fn sync_parent(path: &Path) -> Result<(), DiskError> {
    let parent = parent(path);
    reached(Failpoint::DirectorySync)
        .and_then(|()| File::open(parent)?.sync_all())
        .and_then(|()| reached(Failpoint::DirectorySynced))
        .context("sync directory", parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("exists").permissions().mode() & 0o777
    }

    #[test]
    fn replaced_files_are_whole_and_the_owners_only() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("peers.cache");
        // A draft left by a crash, open to everyone.
        let draft = dir.path().join("peers.cache.new");
        fs::write(&draft, b"half").expect("written");
        fs::set_permissions(&draft, Permissions::from_mode(0o666)).expect("set");

        for content in [&b"first"[..], b"second, longer", b""] {
            replace(&path, content).expect("replaced");
            assert_eq!(fs::read(&path).expect("readable"), content);
            assert_eq!(mode(&path), 0o600);
            assert!(!draft.exists());
        }
    }

    #[test]
    fn a_directory_is_the_owners_only_and_goes_with_all_that_is_in_it() {
        let base = tempfile::tempdir().expect("a directory");
        let path = base.path().join("a/b/c");
        for _ in 0..2 {
            make_dir(&path).expect("made, or there");
            assert_eq!(mode(&path), 0o700);
        }
        replace(&path.join("file"), b"in it").expect("written");
        for _ in 0..2 {
            remove_dir(&path).expect("removed, or gone");
            assert!(!path.exists() && base.path().join("a/b").exists());
        }
    }

    #[test]
    fn the_log_file_is_the_owners_only_and_held_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("mesh.redb");
        let store = |log| redb::Database::builder().create_with_backend(log);
        let held = store(open_log(&path).expect("opened")).expect("a store");
        assert_eq!(mode(&path), 0o600);
        let second = store(open_log(&path).expect("opened"));
        assert!(second.is_err(), "a second holder got in");
        drop(held);
        store(open_log(&path).expect("opened")).expect("a store again");
    }

    #[test]
    fn an_error_names_the_file_and_the_step() {
        let error = replace(Path::new("/nonexistent/x"), b"").expect_err("no such directory");
        assert!(error.to_string().starts_with("create /nonexistent/x.new: "), "{error}");
    }
}
