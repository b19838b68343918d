//! meshd: the mesh daemon. Carries out what the cores decide, and decides nothing itself.
//!
//! A start goes: arguments, configuration, log, sockets handed over, state directory, socket name, then the daemon (disk,
//! local replica, tunnels, gossip, agreement), then the API, then "ready" to the service manager. Tunnels
//! come up before anything that needs other hosts.

mod api;
mod args;
mod config;
mod daemon;
mod exit;
mod io;
mod offline;
mod pipeline;
mod signals;
mod state_dir;
mod telemetry;
mod wg;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use sd_notify::NotifyState;

use api::{Server, Socket};
use args::{Args, Command, RunArgs};
use config::{Config, Loaded};
use daemon::Daemon;
use exit::{Exit, Reason};
use io::entropy::Entropy;
use io::handed::Handed;
use signals::Signals;
use state_dir::StateDir;

/// Threads for control. A second one would be woken with nearly every packet of an idle mesh to look for
/// work and find none. What flushes hands the thread on meanwhile (`block_in_place`), so that nobody waits
/// for an fsync who did not ask for it.
const CONTROL_THREADS: usize = 1;

/// How long the last blocking work may take when everything else has ended: an fsync on a slow disk.
const LAST_WORK: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    exit::end_on_panic();
    signals::outlive_file_limits();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let end = match args.command {
        Command::Run(flags) => run(&flags).unwrap_or_else(|exit| exit),
        Command::CheckConfig(flags) => match load(&flags) {
            Ok(loaded) => say(&loaded.explain()),
            Err(exit) => exit,
        },
        Command::Wg(args) => return wg::run(&args),
        Command::Offline(verb) => return offline::run(&verb),
        #[cfg(feature = "failpoints")]
        Command::Failpoints => {
            let names = io::failpoint::Failpoint::ALL.iter().map(|point| point.name());
            say(&(names.collect::<Vec<_>>().join("\n") + "\n"))
        }
        Command::Version => say(concat!("meshd ", env!("CARGO_PKG_VERSION"), "\n")),
    };
    end.report()
}

/// Help and version are answers; everything else clap says is a usage error.
fn usage(error: &clap::Error) -> ExitCode {
    // Nobody is left to tell when the terminal is gone.
    let _ = error.print();
    let reason = if error.use_stderr() { Reason::Usage } else { Reason::Clean };
    ExitCode::from(reason.code())
}

/// Prints an answer. A reader that stopped reading has what it wanted.
fn say(text: &str) -> Exit {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Exit::clean()
}

fn load(flags: &RunArgs) -> Result<Loaded, Exit> {
    let root = nix::unistd::geteuid().is_root();
    Ok(config::load(flags, &|name| std::env::var_os(name), root)?)
}

fn run(flags: &RunArgs) -> Result<Exit, Exit> {
    let config = load(flags)?.config;
    telemetry::init(&config.log)?;
    let handed = Handed::take(|path| daemon::is_looked_at(path, &config.tun));
    let state_dir = StateDir::open(&config.state_dir, &mut || Entropy.fresh())?;
    let socket = Socket::bind(&config.socket)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|error| {
            Exit::because(Reason::Environment, format_args!("no threads can be started: {error}"))
        })?;
    let end = runtime.block_on(serve(config, state_dir, socket, handed));
    runtime.shutdown_timeout(LAST_WORK);
    end
}

/// The daemon's life between its start and its end.
async fn serve(
    config: Config,
    state_dir: StateDir,
    socket: Socket,
    handed: Handed,
) -> Result<Exit, Exit> {
    let signals = Signals::listen()?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        state_dir = %config.state_dir.display(),
        socket = %config.socket.display(),
        tun = %config.tun,
        "starting"
    );
    let daemon = Daemon::start(config, state_dir, handed).await?;
    let server = Server::start(socket, daemon.clone()).map_err(|error| {
        Exit::because(Reason::Environment, format_args!("the API cannot be served: {error}"))
    })?;
    tell_manager(&[NotifyState::Ready]);
    tracing::info!("ready");
    let (stopping, mut asked) = tokio::sync::watch::channel(false);
    let api = tokio::spawn(async move {
        // An error means that the daemon ended by itself: the same, without a signal.
        let _ = asked.wait_for(|asked| *asked).await;
        server.stop().await;
    });
    let end = daemon
        .run_until(async {
            let signal = signals.end().await;
            tracing::info!(signal, "stopping");
            stopping.send_replace(true);
        })
        .await;
    stopping.send_replace(true);
    tell_manager(&[NotifyState::Stopping]);
    let _ = api.await;
    tracing::info!(code = end.reason.code(), "ended");
    Ok(end)
}

/// Tells the service manager, if there is one.
fn tell_manager(news: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(news) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
