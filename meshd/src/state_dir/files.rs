//! Reading and removing the small files, with suspicion.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::OFlag;
use zeroize::Zeroizing;

use super::StateDirError;
use crate::io::disk;

/// Every file in it.
pub(super) const FILE_MODE: u32 = 0o600;

/// Permission bits that open something to others.
const OTHERS: u32 = 0o077;

/// Makes the directory at `path` unless it is there, and checks that it is ours alone.
pub(super) fn prepare_dir(path: &Path) -> Result<(), StateDirError> {
    disk::make_dir(path)?;
    check_dir(path, nix::unistd::geteuid().as_raw())
}

/// The same of one in the state directory, which belongs to whom that does.
pub(super) fn prepare_inner_dir(path: &Path) -> Result<(), StateDirError> {
    disk::make_dir(path)?;
    hand_over(path, disk::parent(path))?;
    check_dir(path, keeper_in(disk::parent(path))?)
}

/// Gives the directory at `path`, which was just made, to whom the directory `like` belongs.
pub(super) fn hand_over(path: &Path, like: &Path) -> Result<(), StateDirError> {
    File::open(path)
        .and_then(|made| disk::hand_over(&made, like))
        .map_err(|source| StateDirError::io("hand over", path, source))
}

/// Checks that the directory at `path`, on which a daemon has run, is that daemon's alone. Root may do something there in its
/// place; others only in their own.
pub(super) fn check_used_dir(path: &Path) -> Result<(), StateDirError> {
    check_dir(path, keeper_in(path)?)
}

fn check_dir(path: &Path, keeper: u32) -> Result<(), StateDirError> {
    let failed = |source| StateDirError::io("make", path, source);
    let found = std::fs::metadata(path).map_err(failed)?;
    if !found.is_dir() {
        return Err(StateDirError::NotADirectory { path: path.to_owned() });
    }
    check_access(path, (&found, keeper), disk::DIR_MODE)
}

/// Whose everything in `directory` has to be: this process's user's; to root, of whoever has the directory.
fn keeper_in(directory: &Path) -> Result<u32, StateDirError> {
    let user = nix::unistd::geteuid();
    if !user.is_root() {
        return Ok(user.as_raw());
    }
    let found = std::fs::metadata(directory);
    found.map(|found| found.uid()).map_err(|source| StateDirError::io("look at", directory, source))
}

/// Refuses what belongs to others than its keeper or is open to them. Like ssh, and unlike a silent chmod: whoever
/// could read a key may have done so.
fn check_access(
    path: &Path,
    (found, user): (&std::fs::Metadata, u32),
    wanted: u32,
) -> Result<(), StateDirError> {
    let owner = found.uid();
    if owner != user {
        return Err(StateDirError::Foreign { path: path.to_owned(), owner, user });
    }
    let mode = found.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(StateDirError::Exposed { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

/// The text of the file at `path`, at most `limit` bytes of it; `None` when there is no such file.
pub(super) fn read_text(
    path: &Path,
    limit: usize,
) -> Result<Option<Zeroizing<String>>, StateDirError> {
    let Some(bytes) = read(path, limit)? else {
        return Ok(None);
    };
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Some(Zeroizing::new(text.to_owned()))),
        Err(_) => Err(StateDirError::Corrupt {
            path: path.to_owned(),
            reason: "bytes that are not UTF-8".to_owned(),
        }),
    }
}

/// The bytes of the file at `path`, at most `limit` of them; `None` when there is no such file.
pub(super) fn read(path: &Path, limit: usize) -> Result<Option<Zeroizing<Vec<u8>>>, StateDirError> {
    let failed = |source| StateDirError::io("read", path, source);
    // Not through a link, and not waiting for the other end of a pipe.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(StateDirError::NotAFile { path: path.to_owned() });
    }
    check_access(path, (&found, keeper_in(disk::parent(path))?), FILE_MODE)?;
    // Room for everything at once: growing would leave copies of secrets behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit.min(found.len() as usize) + 1));
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > limit {
        return Err(StateDirError::Corrupt {
            path: path.to_owned(),
            reason: format!("longer than {limit} bytes"),
        });
    }
    Ok(Some(bytes))
}

/// Checks that the file at `path`, which others read and write, is a file and ours alone.
pub(super) fn check_file(path: &Path) -> Result<(), StateDirError> {
    let found = std::fs::symlink_metadata(path)
        .map_err(|source| StateDirError::io("look at", path, source))?;
    if !found.is_file() {
        return Err(StateDirError::NotAFile { path: path.to_owned() });
    }
    check_access(path, (&found, keeper_in(disk::parent(path))?), FILE_MODE)
}

/// Whether something stands at `path`.
pub(super) fn exists(path: &Path) -> Result<bool, StateDirError> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StateDirError::io("look for", path, error)),
    }
}

/// Writes a file of the state directory: whole or not at all, on disk when this returns.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), StateDirError> {
    Ok(disk::replace(path, bytes)?)
}

/// Gives a file another name in the same directory, on disk when this returns.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), StateDirError> {
    Ok(disk::rename(from, to)?)
}

/// Removes a directory with all that is in it; one that is gone already is fine. Call [`sync_parent`] before relying on it.
pub(super) fn remove_dir(path: &Path) -> Result<(), StateDirError> {
    Ok(disk::remove_dir(path)?)
}

/// Removes a file; one that is gone already is fine. Call [`sync_parent`] before relying on it.
pub(super) fn remove(path: &Path) -> Result<(), StateDirError> {
    Ok(disk::remove(path)?)
}

/// Makes names given and taken in `path`'s directory last.
pub(super) fn sync_parent(path: &Path) -> Result<(), StateDirError> {
    Ok(disk::sync_parent(path)?)
}
