//! Keeps the peer cache: where everyone was last seen, for a start with no leader anywhere.

use std::sync::Weak;
use std::time::Duration;

use mesh_model::wire::join::PeerHint;

use super::Daemon;
use crate::state_dir::StateDir;

/// How often the cache is compared with what is known. A host that loses power has lost at most this much
/// news, and an idle mesh has none, so it writes nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Saves the cache whenever it has changed, as long as `daemon` lives.
pub(super) async fn run(daemon: Weak<Daemon>) {
    let mut saved = Vec::new();
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
