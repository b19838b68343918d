//! What lies in a directory in which each file has a name of its own: backups by their times, snapshots by their indices.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use super::disk::{self, DiskError};

/// The names of what is in the directory `dir`. One that is not there yet has none.
pub(crate) fn names(dir: &Path) -> Result<Vec<OsString>, DiskError> {
    let failed = |source| DiskError { action: "list", path: dir.to_owned(), source };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    names.collect::<Result<_, _>>().map_err(failed)
}

/// Removes the drafts in `dir` of files whose names are ours: what this host did not get to the end of when it crashed. The
/// next file has another name, so it would not take their place.
pub(crate) fn clear_drafts(dir: &Path, is_ours: impl Fn(&OsStr) -> bool) -> Result<(), DiskError> {
    for name in names(dir)? {
        let path = dir.join(name);
        let is_draft = path.extension().is_some_and(|end| end == disk::DRAFT);
        if is_draft && path.file_stem().is_some_and(&is_ours) {
            disk::remove(&path)?;
        }
    }
    Ok(())
}
