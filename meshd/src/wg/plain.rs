//! The plain device behind its socket: what [`Device`] decides is carried out.

use mesh_dataplane::device::{Device, Needs};
use mesh_model::uapi::{DeviceChange, DeviceReport, Errno};
use nix::net::if_::if_nametoindex;
use tokio::sync::Mutex;

use super::server::Backend;
use crate::io::clock;
use crate::io::udp::UdpPort;
use crate::pipeline::PacketPath;

/// The device. One change happens at a time.
pub(super) struct Plain {
    path: PacketPath,
    device: Mutex<Device>,
}

impl Plain {
    /// A device without key and peers, served by `path` on `listen_port`.
    pub(super) fn new(path: PacketPath, listen_port: u16) -> Self {
        Self { path, device: Mutex::new(Device::new(listen_port)) }
    }

    /// Gets from the host what a change needs, or changes nothing. Returns the port that is used from now on.
    async fn provide(&self, device: &Device, needs: Needs) -> std::io::Result<u16> {
        let mark = needs.fwmark.unwrap_or(device.fwmark());
        if let Some(wanted) = needs.port {
            let port = UdpPort::bind_any(wanted).map_err(|error| error.source)?;
            if mark != 0 {
                port.set_mark(mark)?;
            }
            let bound = port.local().port();
            self.path.rebind(port).await?;
            return Ok(bound);
        }
        if needs.fwmark.is_some() {
            self.path.set_mark(mark).await?;
        }
        Ok(device.listen_port())
    }
}

impl Backend for Plain {
    async fn get(&self) -> Result<DeviceReport, Errno> {
        let device = self.device.lock().await;
        let stats = self.path.stats().await.ok_or(Errno::IO)?;
        Ok(device.report(stats.peers, clock::now(), clock::wall()))
    }

    async fn set(&self, mut change: DeviceChange) -> Result<(), Errno> {
        let refused = |error: &dyn std::fmt::Display, errno: Errno| {
            tracing::info!(%error, "a change is refused; nothing was changed");
            errno
        };
        change
            .resolve(|name| if_nametoindex(name).ok())
            .map_err(|error| refused(&error, Errno::NO_DEVICE))?;
        let mut device = self.device.lock().await;
        let needs = device.check(&change).map_err(|error| refused(&error, Errno::TOO_BIG))?;
        let provided = self.provide(&device, needs).await;
        let listen_port = provided.map_err(|error| refused(&error, Errno::of(&error)))?;
        let effects = device.apply(change, listen_port);
        // Whoever has switched the interface off before expects a change to send nothing.
        self.path.look_at_link().await;
        if let Some(secret) = effects.secret {
            self.path.set_secret(secret).await;
        }
        self.path.update(effects.updates).await;
        // Whoever configures a device expects its answer to mean that it holds.
        self.path.carried_out().await;
        Ok(())
    }
}
