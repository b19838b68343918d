//! Keeps what a start with no leader anywhere needs: where everyone was last seen, and the stamp of the last
//! handshake.

use std::sync::Weak;
use std::time::Duration;

use mesh_dataplane::WallTime;
use mesh_model::wire::join::PeerHint;

use super::Daemon;
use crate::state_dir::{SAVE_STAMP_EVERY, StateDir};

/// How often the cache is compared with what is known. A host that loses power has lost at most this much
/// news, and an idle mesh has none, so it writes nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Saves the cache whenever it has changed, and the stamp now and then if it has, as long as `daemon` lives.
pub(super) async fn run(daemon: Weak<Daemon>) {
    let mut saved = Vec::new();
    let (mut looks, mut stamp) = (0, None);
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        let Some(daemon) = daemon.upgrade() else { return };
        // Held while membership changes: then this is not the time.
        let Ok(state_dir) = daemon.state_dir.try_lock() else { continue };
        let Some(mesh) = daemon.mesh.load_full() else { continue };
        let hints = mesh.hints().await;
        if places(&hints) != places(&saved) {
            save(&state_dir, &hints);
            saved = hints;
        }
        looks += 1;
        if LOOK_AGAIN * looks >= SAVE_STAMP_EVERY {
            looks = 0;
            let newest = mesh.newest_stamp().await;
            if newest != stamp {
                save_stamp(&state_dir, newest);
                stamp = newest;
            }
        }
    }
}

/// What makes a new cache worth a write. Facts alone change with every entry of the log, and old ones
/// serve as well.
fn places(hints: &[PeerHint]) -> impl PartialEq + use<> {
    let place = |hint: &PeerHint| (hint.member, hint.endpoint, hint.facts.is_some());
    hints.iter().map(place).collect::<Vec<_>>()
}

/// Saves `hints`. A cache: failing costs the next start some time.
pub(super) fn save(state_dir: &StateDir, hints: &[PeerHint]) {
    if let Err(error) = tokio::task::block_in_place(|| state_dir.save_peer_hints(hints)) {
        tracing::warn!(%error, "the peer cache was not saved");
    }
}

/// Saves the stamp of the last handshake, if there was one. Failing costs a host whose clock is set back its
/// next handshakes.
pub(super) fn save_stamp(state_dir: &StateDir, stamp: Option<WallTime>) {
    let Some(stamp) = stamp else { return };
    if let Err(error) = tokio::task::block_in_place(|| state_dir.save_stamp(stamp)) {
        tracing::warn!(%error, "the stamp of the last handshake was not saved");
    }
}
