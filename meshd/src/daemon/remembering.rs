//! Keeps what a start with no leader anywhere needs: where everyone was last seen, and the stamp of the last
//! handshake. Keeps who led and who voted, too, for people to read after a start.
//!
//! News can wait for the next look, except a door's. A newcomer knows those few members whose endpoints its
//! welcome named, and is known to its door alone until its first handshakes; a door that loses power in
//! between would leave it where nobody looks. So the door has the cache saved before it answers:
//!
//! ```text
//! door ── save_now ──┐
//! door ── save_now ──┴─> one write for all who asked by then ──> welcomes
//! door ── save_now ────  the next write
//! ```

use std::sync::Weak;
use std::time::Duration;

use mesh_control::node::hints;
use mesh_control::raft::{Group, Store};
use mesh_dataplane::WallTime;
use mesh_model::wire::join::PeerHint;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Daemon;
use crate::state_dir::{SAVE_STAMP_EVERY, StateDir};

/// How often the cache is compared with what is known. A host that loses power has lost at most this much
/// news of members it had heard nothing of before: where none of two knows the other, they find each other again once
/// their last session is found dead, which takes 15 s. An idle mesh has no news, so it writes nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// At every how many looks it is written because somebody moved: one whose port changes all the time costs no more than that.
const MOVED: u32 = 5;

/// How long whoever asked waits for the state directory. Signing holds it for a moment; a change of membership
/// holds it for long, but a host that leaves needs no cache.
const PATIENCE: Duration = Duration::from_secs(1);

/// Requests that one write may answer: as many as a door lets in at once. More wait for the next.
const MAX_REQUESTS: usize = 16;

/// Has the cache saved at once. Cheap to clone.
#[derive(Clone)]
pub(super) struct Saver(mpsc::Sender<oneshot::Sender<()>>);

impl Saver {
    /// Returns once the cache holds what was known when this was called. If that cannot be, it returns all
    /// the same: it is a cache.
    pub(super) async fn save_now(&self) {
        let (done, saved) = oneshot::channel();
        // Nobody hears while the process is ending, which saves the cache by itself.
        if self.0.send(done).await.is_ok() {
            let _ = saved.await;
        }
    }
}

/// What savers ask for.
pub(super) struct Requests(mpsc::Receiver<oneshot::Sender<()>>);

impl Requests {
    /// Waits for a request, and takes all there are. Dropping them answers them.
    pub(super) async fn next(&mut self) -> Vec<oneshot::Sender<()>> {
        let mut waiting = Vec::new();
        self.0.recv_many(&mut waiting, MAX_REQUESTS).await;
        waiting
    }
}

/// A saver, and where its requests arrive.
pub(super) fn saver() -> (Saver, Requests) {
    let (ask, requests) = mpsc::channel(MAX_REQUESTS);
    (Saver(ask), Requests(requests))
}

/// Saves the cache whenever it has changed, and the stamp now and then if it has, as long as `daemon` lives.
pub(super) async fn run(daemon: Weak<Daemon>, mut requests: Requests) {
    let mut saved = Vec::new();
    let (mut looks, mut stamp, mut told) = (0, None, None);
    let mut pauses = interval(LOOK_AGAIN);
    pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first is over at once.
    pauses.tick().await;
    loop {
        let asked = tokio::select! {
            asked = requests.next() => asked,
            _ = pauses.tick() => Vec::new(),
        };
        let Some(daemon) = daemon.upgrade() else { return };
        // Held while membership changes: then this is not the time.
        let patience = if asked.is_empty() { Duration::ZERO } else { PATIENCE };
        let Ok(state_dir) = timeout(patience, daemon.state_dir.lock()).await else { continue };
        let Some(mesh) = daemon.mesh.load_full() else { continue };
        let known = mesh.hints().await;
        looks += u32::from(asked.is_empty());
        let is_news = match !asked.is_empty() || looks.is_multiple_of(MOVED) {
            true => hints::differ(&known, &saved),
            false => hints::tell_more(&known, &saved),
        };
        if is_news && save(&state_dir, &known) {
            saved = known;
        }
        // A disk that fails is told of once for each change, not each second.
        let history = Some((mesh.view().mesh(), mesh.group.history_count()));
        if told != history {
            told = history;
            save_history(&state_dir, &mesh.group);
        }
        if asked.is_empty() && LOOK_AGAIN * looks >= SAVE_STAMP_EVERY {
            looks = 0;
            let newest = mesh.newest_stamp().await;
            if newest != stamp {
                save_stamp(&state_dir, newest);
                stamp = newest;
            }
        }
    }
}

/// Gives `store` what was kept of who led and who voted. Nothing depends on it.
pub(super) fn recall(state_dir: &StateDir, store: &mut Store) {
    let Some(kept) = state_dir.history() else { return };
    if let Err(error) = store.recall(&kept) {
        tracing::warn!(%error, "who led before this start is not known: the file that says so is ignored");
    }
}

/// Saves who led and who voted. Failing costs the memory of it.
pub(super) fn save_history(state_dir: &StateDir, group: &Group) {
    let history = group.history_to_keep();
    if let Err(error) = tokio::task::block_in_place(|| state_dir.save_history(&history)) {
        tracing::warn!(%error, "who led was not saved");
    }
}

/// Saves `hints`, and says whether it could. A cache: failing costs the next start some time.
pub(super) fn save(state_dir: &StateDir, hints: &[PeerHint]) -> bool {
    let saved = tokio::task::block_in_place(|| state_dir.save_peer_hints(hints));
    saved.inspect_err(|error| tracing::warn!(%error, "the peer cache was not saved")).is_ok()
}

/// Saves the stamp of the last handshake, if there was one. Failing costs a host whose clock is set back its
/// next handshakes.
pub(super) fn save_stamp(state_dir: &StateDir, stamp: Option<WallTime>) {
    let Some(stamp) = stamp else { return };
    if let Err(error) = tokio::task::block_in_place(|| state_dir.save_stamp(stamp)) {
        tracing::warn!(%error, "the stamp of the last handshake was not saved");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_ask_during_a_write_share_the_next() {
        let (saver, mut requests) = saver();
        let ask = |_| {
            let saver = saver.clone();
            tokio::spawn(async move { saver.save_now().await })
        };
        let first = ask(0);
        let writing = requests.next().await;
        assert_eq!(writing.len(), 1);
        let mut others: Vec<_> = (0..MAX_REQUESTS).map(ask).collect();
        drop(writing);
        first.await.expect("answered");

        let writing = requests.next().await;
        assert_eq!(writing.len(), MAX_REQUESTS);
        tokio::task::yield_now().await;
        assert!(others.iter().all(|asker| !asker.is_finished()), "answered before the write");
        drop(writing);
        for asker in &mut others {
            asker.await.expect("answered");
        }
    }

    #[tokio::test]
    async fn nobody_waits_for_a_daemon_that_is_gone() {
        let (saver, requests) = saver();
        drop(requests);
        saver.save_now().await;
    }
}
