//! `mesh snapshot create`, `list` and `download`: what was agreed, as files.
//!
//! They lie in the state directory under names of ours; a caller gets bytes and puts them where it likes. What a file is
//! worth is looked into offline (`mesh snapshot verify`, `apply`): the daemon never takes one back.

use mesh_model::api::v1::{ErrorCode, SnapshotDownload, SnapshotInfo, Snapshots};

use super::Daemon;
use super::refusal::{Answer, failed, not_joined, refusal};
use crate::state_dir::Listing;

impl Daemon {
    /// Makes a snapshot of what this host has applied. Needs no leader; without a majority of the voters it has no proof.
    pub(crate) async fn make_snapshot(&self) -> Answer<SnapshotInfo> {
        let export = self.mesh()?.group.export().await;
        let state_dir = self.state_dir.lock().await;
        // Whoever leaves holds the directory: from here on it belongs to the mesh or to none.
        if state_dir.membership().is_none() {
            return Err(not_joined());
        }
        tokio::task::block_in_place(|| {
            let (head, file) = export.to_file();
            state_dir.snapshots().save(head.header.index, &file).map_err(failed)?;
            Ok(SnapshotInfo::of(&head, file.len() as u64))
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
