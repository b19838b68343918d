//! A plain WireGuard device: the packet path without a mesh, configured by `wg`.
//!
//! ```text
//! wg set wg0 ...  ──>  /var/run/wireguard/wg0.sock ──> server ──> plain ──> packet thread ──> UDP
//!                                                                   │            │
//!                                                        Device (dataplane)    TUN wg0
//! ```
//!
//! `meshd wg IF` goes to the background once the device is ready; `meshd wg IF --foreground` is the device itself. It
//! ends when it is asked to, when its interface is deleted, and when its socket is: as every device of this kind does.
//! A mesh daemon serves the same protocol for its own interface, to be looked at only.

mod background;
mod counters;
mod failure;
mod inbox;
mod plain;
mod server;
mod socket;
mod stamp;
#[cfg(test)]
mod tests;
mod watch;

use std::process::ExitCode;

use mesh_dataplane::{EngineConfig, HandshakeBudget, Role, WallTime};
use sd_notify::NotifyState;

use crate::args::WgArgs;
use crate::config::{Log, LogFormat, PlainConfig, load_plain};
use crate::exit::{Exit, Reason};
use crate::io::clock;
use crate::io::entropy::Entropy;
use crate::io::offloads::Offloads;
use crate::io::tun::Tun;
use crate::io::udp::UdpPort;
use crate::pipeline::{
    PacketPath, PacketThread, PathConfig, PathError, follow_link, follow_routes,
};
use crate::signals::Signals;
use crate::telemetry;
use background::Background;
use counters::{Counters, tell_last};
use failure::{no_interface, no_port, no_socket};
use plain::Plain;
pub(crate) use server::{Backend, Server};
pub(crate) use socket::{DIRECTORY, Socket};
use stamp::Stamp;
use watch::NameWatch;

/// The MTU that devices of this kind begin with, in bytes: 1500 on the underlay, less 40 (IPv6), 8 (UDP) and 32
/// (WireGuard). The operator changes it with `ip link`.
const MTU: u16 = 1420;

/// Runs `meshd wg`.
pub(crate) fn run(args: &WgArgs) -> ExitCode {
    if args.foreground {
        device(args).unwrap_or_else(|exit| exit).report()
    } else {
        background::start(args)
    }
}

/// Runs the device until it ends.
fn device(args: &WgArgs) -> Result<Exit, Exit> {
    let background = args.detached.then(Background::enter).transpose()?;
    let PlainConfig { mut log, workers, offloads } =
        load_plain(args, &|name| std::env::var_os(name))?;
    if background.is_some() {
        log = without_terminal(log);
    }
    telemetry::init(&log)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Exit::because(Reason::Environment, format_args!("no runtime can be started: {error}"))
    })?;
    runtime.block_on(serve(args, workers, offloads, background))
}

/// In the background there is no terminal to write to: the journal takes the log, where there is one.
fn without_terminal(log: Log) -> Log {
    match log.format {
        LogFormat::Auto if telemetry::journal_is_there() => {
            Log { format: LogFormat::Journald, ..log }
        }
        LogFormat::Auto => Log { filter: "off".to_owned(), ..log },
        _ => log,
    }
}

/// The device's life.
async fn serve(
    args: &WgArgs,
    workers: usize,
    offloads: Offloads,
    background: Option<Background>,
) -> Result<Exit, Exit> {
    let signals = Signals::listen()?;
    let mut counters = Counters::listen().map_err(|error| {
        Exit::because(Reason::Environment, format_args!("signals cannot be caught: {error}"))
    })?;
    let tun =
        Tun::create_with(&args.interface, MTU, workers > 1, offloads).map_err(no_interface)?;
    let (name, index) = (tun.name().to_owned(), tun.index());
    let socket = Socket::bind(DIRECTORY.as_ref(), &name).map_err(no_socket)?;
    let watch = NameWatch::over(socket.name()).map_err(no_socket)?;
    let port = UdpPort::bind_any(0).map_err(no_port)?;
    let listen_port = port.local().port();
    let mut stamp = Stamp::open(&args.state_dir, &name);
    let (mut thread, path) = packets(port, Some(tun), workers, offloads, stamp.floor()).await?;
    let routes = tokio::spawn(follow_routes(path.clone()));
    let link = tokio::spawn(follow_link(path.clone(), name.clone(), index));
    let server =
        Server::start(&socket, Plain::new(path.clone(), listen_port)).map_err(no_socket)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), interface = name, listen_port, "ready");
    crate::tell_manager(&[NotifyState::Ready]);
    if let Some(background) = background {
        background.ready()?;
    }
    let end = tokio::select! {
        signal = signals.end() => ended(signal),
        () = stamp.keep(&path) => unreachable!("it is kept as long as the device lives"),
        () = counters.answer(&path) => unreachable!("it is asked as long as the device lives"),
        () = watch.gone(&socket) => ended("its socket was removed"),
        error = thread.failed() => match error {
            PathError::Tun(_) => ended("its interface was removed"),
            error => Exit::from(error),
        },
    };
    crate::tell_manager(&[NotifyState::Stopping]);
    routes.abort();
    link.abort();
    drop((server, socket));
    if let Some(last) = thread.shutdown().await {
        stamp.save(last.newest_stamp);
        tell_last(&last);
    }
    Ok(end)
}

fn ended(why: &str) -> Exit {
    tracing::info!(why, "the device ends");
    Exit::clean()
}

/// The packet threads of a device without key and peers.
async fn packets(
    port: UdpPort,
    tun: Option<Tun>,
    workers: usize,
    offloads: Offloads,
    stamp_floor: WallTime,
) -> Result<(PacketThread, PacketPath), PathError> {
    let engine = EngineConfig {
        secret: None,
        role: Role::Plain,
        budget: HandshakeBudget::default(),
        wall: clock::wall(),
        stamp_floor,
    };
    let config = PathConfig { engine, seed: Entropy.fresh(), port, tun, workers, offloads };
    // Nobody joins a plain device, it has no control ports, and what it is asked it answers from its counters.
    let (thread, path, _) = PacketThread::start(config).await?;
    Ok((thread, path))
}
