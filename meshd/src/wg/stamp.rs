//! What a plain device remembers: the latest stamp of a handshake, so that a clock set back does not lock it
//! out. In a directory of its own, since that of a mesh daemon may belong to another user.

use std::path::Path;

use mesh_dataplane::WallTime;

use crate::pipeline::PacketPath;
use crate::state_dir::{SAVE_STAMP_EVERY, StampFile};

/// The stamp, on disk if it can be.
pub(super) struct Stamp {
    file: Option<StampFile>,
    saved: Option<WallTime>,
}

impl Stamp {
    /// That of `interface` in `dir`. Where nothing can be written, the device does without.
    pub(super) fn open(dir: &Path, interface: &str) -> Self {
        let file = StampFile::of_device(dir, interface);
        let file = file.inspect_err(|error| {
            tracing::info!(%error, "the stamps of handshakes are not kept: the clock must not be set back");
        });
        Self { file: file.ok(), saved: None }
    }

    /// No handshake may be stamped earlier.
    pub(super) fn floor(&self) -> WallTime {
        self.file.as_ref().map_or_else(WallTime::default, StampFile::floor)
    }

    /// Saves it now and then, until it is dropped.
    pub(super) async fn keep(&mut self, path: &PacketPath) {
        loop {
            tokio::time::sleep(SAVE_STAMP_EVERY).await;
            self.save(path.stats().await.and_then(|stats| stats.newest_stamp));
        }
    }

    /// Saves the `newest` stamp, unless it is saved. Failing costs a host whose clock is set back its next
    /// handshakes.
    pub(super) fn save(&mut self, newest: Option<WallTime>) {
        let (Some(file), Some(newest)) = (&self.file, newest) else { return };
        if self.saved == Some(newest) {
            return;
        }
        match file.save(newest) {
            Ok(()) => self.saved = Some(newest),
            Err(error) => tracing::warn!(%error, "the stamp of the last handshake was not saved"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use mesh_model::MemberId;
    use mesh_model::TunnelSecret;
    use mesh_model::plan::{PeerPlan, Preshared, Update};

    use super::*;
    use crate::io::clock;
    use crate::io::offloads::Offloads;
    use crate::io::udp::UdpPort;
    use crate::pipeline::PacketThread;
    use crate::wg::packets;

    /// A device that shakes hands with a peer that never answers.
    async fn calling(stamp: &Stamp) -> (PacketThread, PacketPath) {
        let port = UdpPort::bind_any(0).expect("a port");
        let (thread, path) =
            packets(port, None, 1, Offloads::ALL, stamp.floor()).await.expect("started");
        path.set_secret(Some(TunnelSecret::from_bytes([1; 32]))).await;
        let plan = PeerPlan {
            member: MemberId(1),
            allowed_ips: Vec::new(),
            endpoints: vec!["127.0.0.1:9".parse().expect("an address")],
            keepalive: Some(Duration::from_secs(25)),
            before: None,
            preshared: Preshared::None,
            inbound: Default::default(),
        };
        let peer = TunnelSecret::from_bytes([2; 32]).public();
        path.update(vec![Update::SetPeer(peer, plan)]).await;
        path.carried_out().await;
        (thread, path)
    }

    /// The latest stamp at the threads' end.
    async fn newest(thread: PacketThread) -> Option<WallTime> {
        thread.shutdown().await.expect("an end").newest_stamp
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_makes_no_earlier_handshakes() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path().join("wg");
        let mut stamp = Stamp::open(&dir, "wg7");
        assert_eq!(stamp.floor(), WallTime::default());
        // What an earlier run stamped, when the clock was a day ahead.
        let ahead = WallTime(clock::wall().0 + Duration::from_secs(86_400));
        StampFile::of_device(&dir, "wg7").expect("a place").save(ahead).expect("saved");

        let (thread, path) = calling(&stamp).await;
        let asked = path.stats().await.expect("running").newest_stamp;
        stamp.save(newest(thread).await);
        let saved = stamp.saved.expect("a handshake was begun");
        assert!(saved > ahead);
        assert!(Some(saved) >= asked, "the last word has the last stamp");

        let file = dir.join("wg7.stamp");
        let mode = std::fs::metadata(&file).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(Stamp::open(&dir, "wg7").floor() > saved);
        assert_eq!(Stamp::open(&dir, "wg8").floor(), WallTime::default(), "another device");
    }

    #[tokio::test]
    async fn a_device_does_without_where_nothing_can_be_written() {
        let mut stamp = Stamp::open("/proc/meshd-wg".as_ref(), "wg7");
        assert_eq!(stamp.floor(), WallTime::default());
        let (thread, _) = calling(&stamp).await;
        stamp.save(newest(thread).await);
        assert_eq!(stamp.saved, None);
    }
}
