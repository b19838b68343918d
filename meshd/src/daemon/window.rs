//! Sockets for `wg` that a service manager opened for a daemon that may not: `config/meshd-wg.socket`.
//!
//! They are there before there is a mesh, and when a mesh is gone, so they belong to the daemon and not to a mesh. As
//! long as there is none, `wg` hears that there is no such device, instead of waiting for an answer.

use std::path::Path;
use std::sync::Weak;

use mesh_model::uapi::{DeviceChange, DeviceReport, Errno};
use tokio::net::UnixListener;

use super::Daemon;
use crate::config::Tun;
use crate::io::handed::Handed;
use crate::wg::{Backend, DIRECTORY, Server};

/// All that were handed over.
pub(super) struct Windows {
    own: Option<Server>,
    _others: Vec<Server>,
}

impl Windows {
    /// Opens each that can be. Behind those of other names there is never a mesh, and `wg` has to hear it: it asks at
    /// all sockets of the host, one after the other, and waits for each.
    pub(super) fn open(daemon: &Weak<Daemon>, handed: Handed) -> Self {
        let Handed { wanted, others } = handed;
        Self {
            own: wanted.and_then(|listener| Window(daemon.clone()).open(listener)),
            _others: others.into_iter().filter_map(|other| Window::NOWHERE.open(other)).collect(),
        }
    }

    /// Whether one of them is for the daemon's own interface; otherwise each mesh opens it.
    pub(super) fn has_own(&self) -> bool {
        self.own.is_some()
    }
}

/// What `wg` sees of the mesh in service.
struct Window(Weak<Daemon>);

impl Window {
    /// One without a daemon behind it.
    const NOWHERE: Self = Self(Weak::new());

    /// Opens it on `listener`, if that can be.
    fn open(self, listener: std::os::unix::net::UnixListener) -> Option<Server> {
        let listener = UnixListener::from_std(listener);
        let listener = listener.inspect_err(|error| {
            tracing::warn!(%error, "the socket for `wg` that was handed over cannot be served");
        });
        Some(Server::on(listener.ok()?, self))
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
