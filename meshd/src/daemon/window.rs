//! The socket for `wg` that a service manager opened for a daemon that may not: `config/meshd-wg.socket`.
//!
//! It is there before there is a mesh, and when a mesh is gone, so it belongs to the daemon and not to a mesh. As long
//! as there is none, `wg` hears that there is no such device, instead of waiting for an answer.

use std::path::Path;
use std::sync::Weak;

use mesh_model::uapi::{DeviceChange, DeviceReport, Errno};
use tokio::net::UnixListener;

use super::Daemon;
use crate::config::Tun;
use crate::wg::{Backend, DIRECTORY, Server};

/// What `wg` sees of the mesh in service.
pub(super) struct Window(Weak<Daemon>);

impl Window {
    /// Opens it on `listener`, if that can be.
    pub(super) fn open(
        daemon: Weak<Daemon>,
        listener: std::os::unix::net::UnixListener,
    ) -> Option<Server> {
        let listener = UnixListener::from_std(listener);
        let listener = listener.inspect_err(|error| {
            tracing::warn!(%error, "the socket for `wg` that was handed over cannot be served");
        });
        Some(Server::on(listener.ok()?, Self(daemon)))
    }
}

/// Whether `wg` looks at `path` for what the daemon's own interface, `tun`, is.
pub(crate) fn is_looked_at(path: &Path, tun: &Tun) -> bool {
    let Tun::Kernel(interface) = tun else { return false };
    let names_it = path.file_name().is_some_and(|name| *name == *format!("{interface}.sock"));
    // The directory has two names where /var/run leads to /run.
    let place = |directory: &Path| directory.canonicalize().ok();
    let there = place(DIRECTORY.as_ref());
    names_it && there.is_some() && path.parent().and_then(place) == there
}

impl Backend for Window {
    async fn get(&self) -> Result<DeviceReport, Errno> {
        let mesh = self.0.upgrade().and_then(|daemon| daemon.mesh.load_full());
        mesh.ok_or(Errno::NO_DEVICE)?.onlooker().get().await
    }

    async fn set(&self, change: DeviceChange) -> Result<(), Errno> {
        let mesh = self.0.upgrade().and_then(|daemon| daemon.mesh.load_full());
        mesh.ok_or(Errno::NO_DEVICE)?.onlooker().set(change).await
    }
}
