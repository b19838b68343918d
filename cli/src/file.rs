//! Files people name: read up to a bound, made whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};
use crate::failpoint::reached;
use crate::render::safe;

/// The bytes of `path`, at most `limit` of them.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes));
    let name = safe(&path.display().to_string());
    let failed = |message| Failure::new(Exit::Failed, "input", message, "");
    match read {
        Err(error) => Err(failed(format!("cannot read {name}: {error}"))),
        Ok(len) if len > limit => Err(failed(format!("{name} is longer than {limit} bytes"))),
        Ok(_) => Ok(bytes),
    }
}

/// Fails when something is at `path` already: what people have is not overwritten.
pub(crate) fn check_free(path: &Path) -> Result<(), Failure> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(cannot_write(path, &error)),
        Ok(_) => Err(Failure::new(
            Exit::Failed,
            "file_exists",
            format!(
                "{} is there already, and is not overwritten",
                safe(&path.display().to_string())
            ),
            "name another file, or move that one away",
        )),
    }
}

/// Makes the file `path` with `bytes` in it, for its owner only and on disk when this returns.
pub(crate) fn make(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    check_free(path)?;
    replace(path, bytes)
}

/// The same, in the place of what is there.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let draft = draft(path);
    let made = write_draft(&draft, bytes).and_then(|()| {
        reached()?;
        std::fs::rename(&draft, path)?;
        reached()?;
        sync_parent(path)
    });
    made.map_err(|error| {
        // What is there of it is of no use to anybody.
        let _ = std::fs::remove_file(&draft);
        cannot_write(path, &error)
    })
}

/// Makes the directory `path` for its owner only unless it is there, and those above it that are missing. Their names are on disk
/// when this returns.
pub(crate) fn make_dir(path: &Path) -> Result<(), Failure> {
    let is_missing = |one: &&Path| !one.as_os_str().is_empty() && !one.exists();
    let missing: Vec<_> = path.ancestors().take_while(is_missing).collect();
    let make = |one: &Path| {
        reached()?;
        DirBuilder::new().mode(0o700).create(one)?;
        reached()?;
        sync_parent(one)
    };
    missing.into_iter().rev().try_for_each(make).map_err(|error| {
        let message = format!("cannot make {}: {error}", safe(&path.display().to_string()));
        Failure::new(Exit::Failed, "output", message, "")
    })
}

fn write_draft(draft: &Path, bytes: &[u8]) -> io::Result<()> {
    reached()?;
    match std::fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    reached()?;
    file.write_all(bytes)?;
    reached()?;
    file.sync_all()?;
    reached()
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    reached()
}

/// The name of `path` until it is complete.
fn draft(path: &Path) -> PathBuf {
    path.with_added_extension("part")
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    let name = safe(&path.display().to_string());
    Failure::new(Exit::Failed, "output", format!("cannot write {name}: {error}"), "")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_made_whole_for_its_owner_and_never_over_another() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("a.share");
        // What an earlier attempt left.
        std::fs::write(draft(&path), b"half").expect("written");
        make(&path, b"whole").expect("made");
        assert_eq!(read(&path, 5).expect("read"), b"whole");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!draft(&path).exists());
        assert!(make(&path, b"other").is_err());
        assert_eq!(read(&path, 5).expect("read"), b"whole");
        assert!(read(&path, 4).is_err());
    }
}
