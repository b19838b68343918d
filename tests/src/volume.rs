//! A small disk that a test can fill up.
//!
//! It lives in memory (tmpfs) and in a mount namespace of the calling thread's own, so that nothing of it is left behind
//! when the test is killed. Threads and processes that this thread starts from then on see it too. Once it is
//! full, whatever needs a block that was never written fails with ENOSPC, as on any disk.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::error::{Context as _, Result};

/// Room for the store of a small mesh several times over, and quick to fill.
const OPTIONS: &str = "size=16m,mode=0700";

/// What takes up the room.
const BALLAST: &str = "ballast";

/// A disk mounted on a directory; dropped, it is gone with all it held.
#[derive(Debug)]
pub struct Volume {
    path: PathBuf,
}

impl Volume {
    /// An empty disk on `path`, which is made if need be.
    pub fn mount(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).context(format!("make {}", path.display()))?;
        unshare(CloneFlags::CLONE_NEWNS).context("make a mount namespace")?;
        let none = None::<&str>;
        // Otherwise the namespace we came from would have the disk as well.
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
            .context("keep mounts to this namespace")?;
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("tmpfs"), path, Some("tmpfs"), flags, Some(OPTIONS))
            .context(format!("mount a disk on {}", path.display()))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Takes up all the room that is left.
    pub fn fill(&self) -> Result<()> {
        let path = self.path.join(BALLAST);
        let mut file = File::create(&path).context(format!("make {}", path.display()))?;
        // For the daemon's own sake: it trusts no directory with a file that others may read.
        let private = fs::Permissions::from_mode(0o600);
        file.set_permissions(private).context(format!("restrict {}", path.display()))?;
        loop {
            match file.write(&[0x5a; 4096]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error).context(format!("fill {}", path.display())),
            }
        }
    }

    /// Gives the room back.
    pub fn clear(&self) -> Result<()> {
        let path = self.path.join(BALLAST);
        fs::remove_file(&path).context(format!("remove {}", path.display()))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // A daemon may still have files open; the disk goes with the last of them.
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_volume_takes_nothing_until_it_is_cleared() {
        crate::needs_namespaces!();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let volume = Volume::mount(&path).unwrap();
        volume.fill().unwrap();
        let file = path.join("more");
        let refused = fs::write(&file, b"more").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        volume.clear().unwrap();
        fs::write(&file, b"more").unwrap();
        drop(volume);
        assert!(!file.exists() && path.exists());
    }
}
