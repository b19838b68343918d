//! `mesh snapshot create`, `list` and `download`: what was agreed, as files.
//!
//! They lie in the state directory under names of ours; a caller gets bytes and puts them where it likes. What a file is
//! worth is looked into offline (`mesh snapshot verify`, `apply`): the daemon never takes one back.

use mesh_model::api::v1::{ErrorCode, SnapshotDownload, SnapshotInfo, Snapshots};

use super::Daemon;
use super::refusal::{Answer, failed, not_joined, refusal};
use crate::state_dir::{Listing, Membership};

impl Daemon {
    /// Makes a snapshot of what this host has applied. Needs no leader; without a majority of the voters it has no proof.
    pub(crate) async fn make_snapshot(&self) -> Answer<SnapshotInfo> {
        let mesh = self.mesh()?;
        let export = mesh.group.export().await;
        let state_dir = self.state_dir.lock().await;
        // Whoever leaves holds the directory: from here on it belongs to this mesh, to another or to none.
        let is_ours = |own: &Membership| own.root == mesh.view().root && own.member == mesh.me;
        if !state_dir.membership().is_some_and(is_ours) {
            return Err(not_joined());
        }
        tokio::task::block_in_place(|| {
            let (head, file) = export.to_file();
            let (head, bytes) = state_dir.snapshots().keep(head, &file).map_err(failed)?;
            Ok(SnapshotInfo::of(&head, bytes))
        })
    }

    /// The snapshots that are kept.
    pub(crate) async fn snapshots(&self) -> Answer<Snapshots> {
        let snapshots = self.state_dir.lock().await.snapshots();
        let listing = tokio::task::block_in_place(|| snapshots.list()).map_err(failed)?;
        let Listing { snapshots, damaged } = listing;
        let infos = snapshots.values().map(|(head, len)| SnapshotInfo::of(head, *len));
        Ok(Snapshots { snapshots: infos.collect(), damaged })
    }

    /// The file of a snapshot that is kept.
    pub(crate) async fn snapshot_file(&self, request: SnapshotDownload) -> Answer<Vec<u8>> {
        let snapshots = self.state_dir.lock().await.snapshots();
        let file = tokio::task::block_in_place(|| snapshots.read(request.index)).map_err(failed)?;
        file.ok_or_else(|| {
            let which =
                request.index.map_or_else(String::new, |index| format!(" of index {index}"));
            refusal(
                ErrorCode::Refused,
                format!("this host keeps no snapshot{which}"),
                "`mesh snapshot list` shows those it has, `mesh snapshot create` makes one",
            )
        })
    }
}
