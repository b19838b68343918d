//! The mesh's own interface as `wg` sees it: to be looked at, not to be changed.
//!
//! `wg show mesh0` tells the truth there as anywhere. Who the peers are is agreed, so nothing can be set; and this host's
//! private key is nobody's business, so it is not shown, not even to root. (`wg` then knows no public key either:
//! `mesh tunnels` does.)

use mesh_model::uapi::{DeviceChange, DeviceReport, Errno};
use tokio::sync::watch;

use crate::io::clock;
use crate::io::unix_socket::SocketError;
use crate::pipeline::PacketPath;
use crate::wg::{Backend, DIRECTORY, Server, Socket};

/// What `wg` is shown of a mesh.
pub(super) struct Onlooker {
    path: PacketPath,
    listen_port: u16,
}

impl Onlooker {
    /// Of the mesh served by `path` on `listen_port`.
    pub(super) fn new(path: PacketPath, listen_port: u16) -> Self {
        Self { path, listen_port }
    }

    /// Serves `interface` until the mesh stops. Where there is no socket to be had, nobody looks on.
    pub(super) async fn serve(self, interface: String, mut stop: watch::Receiver<bool>) {
        let open = || {
            let socket = Socket::bind(DIRECTORY.as_ref(), &interface)?;
            Server::start(&socket, self).map(|server| (server, socket))
        };
        match open() {
            Ok(_serving) => drop(stop.wait_for(|stop| *stop).await),
            Err(error) => report(&interface, &error),
        }
    }
}

/// A daemon without the right to make the socket was not meant to: under `config/meshd.service` it has none, and
/// `config/meshd-wg.socket` hands one over.
fn report(interface: &str, error: &SocketError) {
    let refused = match error {
        SocketError::Io { source, .. } => matches!(
            source.kind(),
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
        ),
        _ => false,
    };
    if refused {
        tracing::info!(interface, %error, "`wg show` will not find the interface");
    } else {
        tracing::warn!(interface, %error, "`wg show` will not find the interface");
    }
}

impl Backend for Onlooker {
    async fn get(&self) -> Result<DeviceReport, Errno> {
        let stats = self.path.stats().await.ok_or(Errno::IO)?;
        let (now, wall) = (clock::now(), clock::wall());
        let peers = stats.peers.into_iter().map(|peer| peer.report(now, wall)).collect();
        Ok(DeviceReport { secret: None, listen_port: self.listen_port, fwmark: 0, peers })
    }

    async fn set(&self, _: DeviceChange) -> Result<(), Errno> {
        tracing::info!("`wg` may look at the mesh's interface, but not change it");
        Err(Errno::NOT_PERMITTED)
    }
}
