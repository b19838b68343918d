//! What a plain device tells of itself beside what `wg show` knows: in the log, when it is asked by SIGUSR1,
//! and at its end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::pipeline::{PacketPath, PathStats};

/// The device's ear for the question. Caught from the start on: uncaught, the signal would end the process.
pub(super) struct Counters {
    asked: Signal,
}

impl Counters {
    /// Catches the signal from now on.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { asked: signal(SignalKind::user_defined1())? })
    }

    /// Answers as often as it is asked, until it is dropped.
    pub(super) async fn answer(&mut self, path: &PacketPath) {
        while self.asked.recv().await.is_some() {
            if let Some(stats) = path.stats().await {
                tell(&stats);
            }
        }
        std::future::pending().await
    }
}

/// Says at the device's end what has happened, if anything has that should not.
pub(super) fn tell_last(stats: &PathStats) {
    if stats.seen_drops().next().is_some() {
        tell(stats);
    }
}

fn tell(stats: &PathStats) {
    let drops = stats.seen_drops().map(|(reason, packets)| format!("{reason}={packets}"));
    let offloads = stats.offloads.named().into_iter().filter(|(_, on)| *on);
    let offloads = offloads.map(|(name, _)| name.to_owned());
    let (drops, offloads) = (listed(drops), listed(offloads));
    tracing::info!(drops, offloads, workers = stats.workers, "counters");
}

/// All of `words`, or a word for none.
fn listed(words: impl Iterator<Item = String>) -> String {
    let all = words.collect::<Vec<_>>().join(" ");
    if all.is_empty() { "none".to_owned() } else { all }
}
