//! The state directory: everything a daemon must remember.
//!
//! ```text
//! lock           held while a daemon runs on the directory
//! identity.key   who this host is; made at the first start, written anew when its tunnel key changes, removed when it
//!                leaves a mesh
//! member         that it belongs to a mesh, which one, and as whom
//! admin.key      the mesh's root secret, only where `mesh init` ran
//! mesh.redb      the agreed log, vote and snapshot
//! peers.cache    where others were last seen
//! handshake.stamp  the latest time a handshake was stamped with
//! supervisor.history  who led and who voted, as this host saw it
//! snapshots/     copies of the agreed state that were asked for
//! ```
//!
//! Joining commits with one write. The store is built under a draft name, the root secret too; then
//! `member` is written, and from that moment on this host is a member; then the drafts get their names.
//! A crash before `member` leaves drafts that the next attempt overwrites, a crash after it leaves drafts
//! that the next start renames. So `mesh.redb` missing beside `member` is never our own doing, and neither
//! is a draft beside the file it would replace.
//!
//! Leaving is the same backwards: `member` is renamed to `departed`, everything of the mesh is removed,
//! the identity too (one that left never joins again), and `departed` last. A start that finds
//! `departed` finishes the work.
//!
//! The directory is 0700 and each file 0600 whatever the umask; anything found more open is refused, not
//! repaired: whoever could read a key may have done so.

mod admin;
mod error;
mod fields;
mod files;
mod handshake_stamp;
mod identity;
mod lock;
mod membership;
mod peer_cache;
mod restored;
mod snapshots;

use std::path::{Path, PathBuf};

use mesh_control::raft::MAX_KEPT as MAX_HISTORY;
use mesh_dataplane::WallTime;
use mesh_model::wire::join::PeerHint;
use mesh_model::{IdentitySecret, TunnelSecret};

pub(crate) use error::StateDirError;
pub(crate) use handshake_stamp::{SAVE_EVERY as SAVE_STAMP_EVERY, StampFile};
pub(crate) use identity::Identity;
pub(crate) use lock::{Lock, LockError};
use membership::MarkerError;
pub(crate) use membership::Membership;
pub(crate) use restored::Restored;
pub(crate) use snapshots::{Listing, SnapshotDir};

/// Where a new identity's seeds come from.
pub(crate) type Entropy<'a> = &'a mut dyn FnMut() -> [u8; 32];

/// An open state directory. Nobody else has it open.
#[derive(Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    identity: Identity,
    membership: Option<Membership>,
    _lock: Lock,
}

impl StateDir {
    /// Opens the directory at `path`, making it and this host's identity if there is none yet.
    pub(crate) fn open(path: &Path, entropy: Entropy<'_>) -> Result<Self, StateDirError> {
        files::prepare_dir(path)?;
        Self::open_checked(path, entropy)
    }

    /// Opens the directory at `path` that a daemon has run on, whose user it stays. Makes none where there was none.
    pub(crate) fn open_used(path: &Path, entropy: Entropy<'_>) -> Result<Self, StateDirError> {
        if !files::exists(&identity_path(path))? {
            return Err(StateDirError::Unused { path: path.to_owned() });
        }
        files::check_used_dir(path)?;
        Self::open_checked(path, entropy)
    }

    fn open_checked(path: &Path, entropy: Entropy<'_>) -> Result<Self, StateDirError> {
        let lock_path = path.join("lock");
        let lock = Lock::take(&lock_path).map_err(|error| match error {
            LockError::Held(pid) => StateDirError::Locked { path: path.to_owned(), pid },
            LockError::Io(source) => StateDirError::io("lock", &lock_path, source),
        })?;
        files::check_file(&lock_path)?;
        finish_leaving(path)?;
        let identity = match read_identity(path)? {
            Some(identity) => identity,
            None => make_identity(path, entropy)?,
        };
        let membership = read_membership(path, &identity)?;
        match &membership {
            Some(membership) => {
                finish_joining(path)?;
                files::check_file(&store_path(path))?;
                // Whoever has it will need it one day; damage is to be heard of now.
                read_admin(path, membership)?;
            }
            None => refuse_orphans(path)?,
        }
        Ok(Self { path: path.to_owned(), identity, membership, _lock: lock })
    }

    /// Who this host is.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// This host has these tunnel keys from now on. On disk when this returns; what they replace is gone then.
    pub(crate) fn keep_tunnel_keys(
        &mut self,
        tunnel: TunnelSecret,
        other: Option<TunnelSecret>,
        aside: Vec<TunnelSecret>,
    ) -> Result<(), StateDirError> {
        let identity = Identity { identity: self.identity.identity.clone(), tunnel, other, aside };
        files::write(&identity_path(&self.path), identity.to_text().as_bytes())?;
        self.identity = identity;
        Ok(())
    }

    /// The mesh it belongs to.
    pub(crate) fn membership(&self) -> Option<&Membership> {
        self.membership.as_ref()
    }

    /// The mesh's root secret, if this is the host that has it. Read anew each time, so that it is in
    /// memory only while something is signed.
    pub(crate) fn admin(&self) -> Result<Option<IdentitySecret>, StateDirError> {
        match &self.membership {
            Some(membership) => read_admin(&self.path, membership),
            None => Ok(None),
        }
    }

    /// Which mesh the host of `path` belongs to, and the root secret if it has that. For looking only: a daemon may run on
    /// the directory meanwhile.
    pub(crate) fn peek_admin(
        path: &Path,
    ) -> Result<(Option<Membership>, Option<IdentitySecret>), StateDirError> {
        let identity = read_identity(path)?;
        let identity = identity.ok_or_else(|| StateDirError::Unused { path: path.to_owned() })?;
        let membership = read_membership(path, &identity)?;
        let admin = membership.as_ref().map(|membership| read_admin(path, membership));
        Ok((membership, admin.transpose()?.flatten()))
    }

    /// This host holds the mesh's root secret from now on. On disk when this returns.
    pub(crate) fn adopt_admin(&self, secret: &IdentitySecret) -> Result<(), StateDirError> {
        files::write(&admin_path(&self.path), admin::to_text(secret).as_bytes())
    }

    /// Whether [`admin`](Self::admin) would find a secret.
    pub(crate) fn is_admin(&self) -> bool {
        self.membership.is_some() && admin_path(&self.path).exists()
    }

    /// Where the store of a member is.
    pub(crate) fn store_path(&self) -> PathBuf {
        store_path(&self.path)
    }

    /// Where to build the store of a mesh this host is about to start or join. What an earlier
    /// attempt left there is removed.
    pub(crate) fn store_draft(&self) -> Result<PathBuf, StateDirError> {
        let path = draft(&store_path(&self.path));
        files::remove(&path)?;
        files::remove(&draft(&admin_path(&self.path)))?;
        files::sync_parent(&path)?;
        Ok(path)
    }

    /// This host is a member now: the store built at [`store_draft`](Self::store_draft) is complete
    /// and on disk, and `admin` is the root secret if this host made it. On disk when this returns;
    /// the store's file has its final name then, and an open handle to it stays good.
    pub(crate) fn commit(
        &mut self,
        membership: Membership,
        admin: Option<&IdentitySecret>,
    ) -> Result<(), StateDirError> {
        if let Some(secret) = admin {
            let text = admin::to_text(secret);
            files::write(&draft(&admin_path(&self.path)), text.as_bytes())?;
        }
        let marker = membership.to_text(self.identity.identity.public());
        files::write(&member_path(&self.path), marker.as_bytes())?;
        self.membership = Some(membership);
        finish_joining(&self.path)
    }

    /// This host is no member any more. Everything of the mesh is gone when this returns, root secret
    /// and identity included, and a fresh identity is in place for the next mesh.
    ///
    /// The store must be closed. After an error the directory must be opened anew, which finishes
    /// the work.
    pub(crate) fn forget(&mut self, entropy: Entropy<'_>) -> Result<(), StateDirError> {
        if self.membership.take().is_some() {
            files::rename(&member_path(&self.path), &departed_path(&self.path))?;
        }
        finish_leaving(&self.path)?;
        self.identity = make_identity(&self.path, entropy)?;
        Ok(())
    }

    /// Where others were last seen. A cache that cannot be used costs time, not truth: it is logged
    /// and empty.
    pub(crate) fn peer_hints(&self) -> Vec<PeerHint> {
        let Some(membership) = &self.membership else {
            return Vec::new();
        };
        let path = cache_path(&self.path);
        let decoded = match files::read(&path, peer_cache::MAX_CACHE) {
            Ok(None) => return Vec::new(),
            Ok(Some(bytes)) => {
                peer_cache::decode(&bytes, membership.root.mesh).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        decoded.unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), error, "peer cache ignored");
            Vec::new()
        })
    }

    /// Remembers where others were seen.
    pub(crate) fn save_peer_hints(&self, hints: &[PeerHint]) -> Result<(), StateDirError> {
        let Some(membership) = &self.membership else {
            return Ok(());
        };
        files::write(&cache_path(&self.path), &peer_cache::encode(membership.root.mesh, hints))
    }

    /// Who led and who voted, as it was saved. A file that cannot be read is logged, and none.
    pub(crate) fn history(&self) -> Option<Vec<u8>> {
        let path = history_path(&self.path);
        let read = files::read(&path, MAX_HISTORY).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "who led before this start is not known");
            None
        });
        read.map(|bytes| bytes.to_vec())
    }

    /// Remembers who led and who voted.
    pub(crate) fn save_history(&self, history: &[u8]) -> Result<(), StateDirError> {
        match &self.membership {
            Some(_) => files::write(&history_path(&self.path), history),
            None => Ok(()),
        }
    }

    /// Where copies of the agreed state are kept.
    pub(crate) fn snapshots(&self) -> SnapshotDir {
        SnapshotDir::of(&self.path)
    }

    /// No handshake of this run may be stamped earlier.
    pub(crate) fn stamp_floor(&self) -> WallTime {
        StampFile::at(stamp_path(&self.path)).floor()
    }

    /// Remembers what the latest handshake was stamped with.
    pub(crate) fn save_stamp(&self, stamp: WallTime) -> Result<(), StateDirError> {
        StampFile::at(stamp_path(&self.path)).save(stamp)
    }
}

fn identity_path(dir: &Path) -> PathBuf {
    dir.join("identity.key")
}

fn member_path(dir: &Path) -> PathBuf {
    dir.join("member")
}

fn departed_path(dir: &Path) -> PathBuf {
    dir.join("departed")
}

fn admin_path(dir: &Path) -> PathBuf {
    dir.join(error::ADMIN_KEY)
}

fn store_path(dir: &Path) -> PathBuf {
    dir.join("mesh.redb")
}

fn cache_path(dir: &Path) -> PathBuf {
    dir.join("peers.cache")
}

fn history_path(dir: &Path) -> PathBuf {
    dir.join("supervisor.history")
}

fn stamp_path(dir: &Path) -> PathBuf {
    dir.join("handshake.stamp")
}

/// The name of `path` until a join is committed. Not `.new`: that one belongs to atomic writes.
fn draft(path: &Path) -> PathBuf {
    path.with_added_extension("draft")
}

fn read_identity(dir: &Path) -> Result<Option<Identity>, StateDirError> {
    let path = identity_path(dir);
    let Some(text) = files::read_text(&path, fields::MAX_KEY_FILE)? else {
        return Ok(None);
    };
    if let Some(version) = fields::other_version(&text, identity::TITLE) {
        return Err(StateDirError::OtherVersion { path, version });
    }
    let identity = Identity::parse(&text);
    identity.map(Some).map_err(|reason| StateDirError::Corrupt { path, reason })
}

/// Makes the identity of a host that has none, unless something there says that it had one.
fn make_identity(dir: &Path, entropy: Entropy<'_>) -> Result<Identity, StateDirError> {
    let missing = identity_path(dir);
    for present in [member_path(dir), store_path(dir), admin_path(dir)] {
        if files::exists(&present)? {
            return Err(StateDirError::TrustMissing { missing, present });
        }
    }
    let identity = Identity::from_seeds(entropy(), entropy());
    files::write(&missing, identity.to_text().as_bytes())?;
    Ok(identity)
}

fn read_membership(dir: &Path, identity: &Identity) -> Result<Option<Membership>, StateDirError> {
    let path = member_path(dir);
    let Some(text) = files::read_text(&path, membership::MAX_MARKER)? else {
        return Ok(None);
    };
    match Membership::parse(&text, &identity.identity.public()) {
        Ok(membership) => Ok(Some(membership)),
        Err(MarkerError::OtherVersion(version)) => {
            Err(StateDirError::OtherVersion { path, version })
        }
        Err(MarkerError::Damaged(reason)) => Err(StateDirError::Corrupt { path, reason }),
        Err(MarkerError::OtherIdentity) => {
            Err(StateDirError::IdentityMismatch { path: identity_path(dir) })
        }
    }
}

fn read_admin(
    dir: &Path,
    membership: &Membership,
) -> Result<Option<IdentitySecret>, StateDirError> {
    let path = admin_path(dir);
    let Some(text) = files::read_text(&path, fields::MAX_KEY_FILE)? else {
        return Ok(None);
    };
    if let Some(version) = fields::other_version(&text, admin::TITLE) {
        return Err(StateDirError::OtherVersion { path, version });
    }
    let secret = admin::parse(&text, &membership.root.key);
    secret.map(Some).map_err(|reason| StateDirError::Corrupt { path, reason })
}

/// Gives the drafts of a committed join their names; afterwards the store must be there.
fn finish_joining(dir: &Path) -> Result<(), StateDirError> {
    let store = store_path(dir);
    for path in [admin_path(dir), store.clone()] {
        let draft = draft(&path);
        match (files::exists(&draft)?, files::exists(&path)?) {
            (true, false) => files::rename(&draft, &path)?,
            // Which of the two is this member's nobody can tell any more.
            (true, true) => {
                let reason =
                    format!("{} should have replaced it and is still there", draft.display());
                return Err(StateDirError::Corrupt { path, reason });
            }
            (false, _) => {}
        }
    }
    if files::exists(&store)? { Ok(()) } else { Err(StateDirError::StoreMissing { path: store }) }
}

/// Removes what a departed member must not keep, `departed` itself last.
fn finish_leaving(dir: &Path) -> Result<(), StateDirError> {
    let departed = departed_path(dir);
    if !files::exists(&departed)? {
        return Ok(());
    }
    let (store, admin) = (store_path(dir), admin_path(dir));
    let mesh = [draft(&store), store, draft(&admin), admin, cache_path(dir), history_path(dir)];
    for path in mesh.into_iter().chain([stamp_path(dir), identity_path(dir)]) {
        files::remove(&path)?;
    }
    SnapshotDir::of(dir).clear()?;
    files::sync_parent(&departed)?;
    files::remove(&departed)?;
    files::sync_parent(&departed)
}

/// Without `member` nothing of a mesh may be there under its final name: someone took the marker away.
fn refuse_orphans(dir: &Path) -> Result<(), StateDirError> {
    for present in [store_path(dir), admin_path(dir)] {
        if files::exists(&present)? {
            return Err(StateDirError::TrustMissing { missing: member_path(dir), present });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
