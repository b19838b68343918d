//! One daemon per state directory, and one per socket.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use super::files::FILE_MODE;
use crate::io::disk;

/// The longest process number, in bytes, with room to spare.
const MAX_PID_LEN: u64 = 16;

/// A lock held until dropped. The kernel drops it with the process, however that ends, so there are no
/// stale locks. The file stays: removing it would let two daemons lock two files of one name.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Flock<File>,
}

/// Why a lock was not taken.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Someone holds it; who, if they said so.
    Held(Option<u32>),
    /// The lock file cannot be used.
    Io(io::Error),
}

impl Lock {
    /// Takes the lock on `path` or fails at once.
    pub(crate) fn take(path: &Path) -> Result<Self, LockError> {
        let file = open(path).map_err(LockError::Io)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                // For the error message of a second daemon; the lock holds without it.
                let _ = note_holder(&mut file);
                Ok(Self { _file: file })
            }
            Err((file, Errno::EWOULDBLOCK)) => Err(LockError::Held(holder(file))),
            Err((_, errno)) => Err(LockError::Io(errno.into())),
        }
    }
}

/// The file at `path`, made if it is missing. Only one we made gets its mode from us: what has become of
/// one that was there is for others to judge.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(FILE_MODE).custom_flags(OFlag::O_NOFOLLOW.bits());
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            // The umask may have taken bits away.
            file.set_permissions(Permissions::from_mode(FILE_MODE))?;
            disk::hand_over(&file, disk::parent(path))?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

fn note_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: File) -> Option<u32> {
    let mut text = String::new();
    file.take(MAX_PID_LEN).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
