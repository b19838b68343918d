//! The disk as one run of a process has it open: redb's way to it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Platter, lock};

/// What one run of a process holds of the disk.
#[derive(Clone)]
pub struct Handle {
    pub(super) platter: Arc<Mutex<Platter>>,
    pub(super) generation: u64,
}

impl Handle {
    fn alive(&self) -> io::Result<MutexGuard<'_, Platter>> {
        let platter = lock(&self.platter);
        if platter.generation == self.generation {
            Ok(platter)
        } else {
            Err(io::Error::other("the host crashed"))
        }
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Handle(generation {})", self.generation)
    }
}

impl redb::StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.alive()?.cached.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.alive()?;
        let from = offset as usize;
        let bytes = platter
            .cached
            .get(from..from + out.len())
            .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        // A file's length is metadata: here it is as durable as on a journalling file system, at
        // once, and the new bytes read as zero.
        let mut platter = self.alive()?;
        if len as usize > platter.cached.len() && !platter.suffer_write(true)? {
            return Ok(());
        }
        platter.cached.resize(len as usize, 0);
        if !platter.lies {
            platter.synced.resize(len as usize, 0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.alive()?;
        if platter.suffer_sync()? {
            platter.sync();
            platter.syncs += 1;
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut platter = self.alive()?;
        if !platter.suffer_write(false)? {
            return Ok(());
        }
        let start = offset as usize;
        let end = start + data.len();
        platter
            .cached
            .get_mut(start..end)
            .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?
            .copy_from_slice(data);
        platter.unsynced.push((start, end));
        Ok(())
    }
}
