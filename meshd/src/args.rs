//! The command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use mesh_model::MeshId;
use mesh_model::trust::Reason;

/// The mesh daemon.
#[derive(Debug, Parser)]
#[command(name = "meshd", version, about = "The mesh daemon", disable_help_subcommand = true)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run in the foreground until SIGTERM
    Run(RunArgs),
    /// Make a plain WireGuard device, to be configured with `wg`; no mesh, no configuration file
    Wg(WgArgs),
    /// Read the configuration as `run` would, say what is in force and where it comes from, and end
    CheckConfig(RunArgs),
    /// Do what has to work without a running daemon, for `mesh`
    #[command(subcommand, hide = true)]
    Offline(OfflineVerb),
    /// Print the version
    Version,
    /// Print where this build can be made to fail
    #[cfg(feature = "failpoints")]
    Failpoints,
}

/// What works without a running daemon. `mesh` is what people use.
#[derive(Debug, Subcommand)]
pub(crate) enum OfflineVerb {
    /// `mesh snapshot verify`
    SnapshotVerify(SnapshotVerifyArgs),
    /// `mesh snapshot apply`
    SnapshotApply(SnapshotApplyArgs),
    /// `mesh keys backup`: the root key itself, on standard output
    RootExport(StateDirArgs),
    /// `mesh keys restore`: the root key's seed comes on standard input
    RootImport(StateDirArgs),
    /// `mesh backup restore`: the backup, decrypted, comes on standard input
    BackupRestore(RestoreArgs),
    /// `mesh recover`: what there is to go on from; changes nothing
    Recovery(RecoveryArgs),
    /// `mesh recover`: goes on; the signed statement comes on standard input
    Recover(StateDirArgs),
}

/// Arguments of `recovery`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RecoveryArgs {
    /// Why, as the audit trail will tell it
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<Reason>,

    /// Sign the statement with the root key, if this host has it
    #[arg(long)]
    pub(crate) sign: bool,

    /// Whose log.
    #[command(flatten)]
    pub(crate) host: StateDirArgs,
}

/// Arguments of `backup-restore`.
#[derive(Debug, ClapArgs)]
pub(crate) struct RestoreArgs {
    /// The mesh it must be of
    #[arg(long, value_name = "ID")]
    pub(crate) mesh: Option<MeshId>,

    /// Come back as somebody new, whatever the backup says
    #[arg(long)]
    pub(crate) new_identity: bool,

    /// The directory to make.
    #[command(flatten)]
    pub(crate) host: StateDirArgs,
}

/// Whose state directory.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct StateDirArgs {
    /// As for `run`
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<String>,

    /// As for `run`
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<String>,
}

/// Arguments of `snapshot-verify`.
#[derive(Debug, ClapArgs)]
pub(crate) struct SnapshotVerifyArgs {
    /// The snapshot
    pub(crate) file: PathBuf,

    /// The mesh it must be of
    #[arg(long, value_name = "ID")]
    pub(crate) mesh: Option<MeshId>,

    /// Even if no majority of those that vote in it signed it
    #[arg(long)]
    pub(crate) unproven: bool,
}

/// Arguments of `snapshot-apply`.
#[derive(Debug, ClapArgs)]
pub(crate) struct SnapshotApplyArgs {
    /// The snapshot
    pub(crate) file: PathBuf,

    /// Even if no majority of those that vote in it signed it
    #[arg(long)]
    pub(crate) unproven: bool,

    /// Whose state it becomes.
    #[command(flatten)]
    pub(crate) host: StateDirArgs,
}

/// Settings by flag. They win over the environment, which wins over the file.
///
/// Values stay text here: one place (`config::settings`) knows what each may be, wherever it comes from.
#[derive(Debug, Default, Clone, ClapArgs)]
pub(crate) struct RunArgs {
    /// Configuration file [env: MESHD_CONFIG] [default: /etc/meshd/meshd.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<String>,

    /// Where identity, keys and the log are kept [env: MESHD_STATE_DIR] [default: /var/lib/meshd]
    #[arg(long, value_name = "DIR")]
    pub(crate) state_dir: Option<String>,

    /// Unix socket of the local API [env: MESH_SOCKET] [default: /run/meshd/meshd.sock]
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<String>,

    /// Kernel interface, or `none` to run without one and without root [env: MESHD_TUN] [default: mesh0]
    #[arg(long, value_name = "NAME|none")]
    pub(crate) tun: Option<String>,

    /// The one UDP port, on all addresses or on one [env: MESHD_LISTEN] [default: 51820]
    #[arg(long, value_name = "PORT|ADDR:PORT")]
    pub(crate) listen: Option<String>,

    /// Packet threads, 1 to 8, that share the peers [env: MESHD_WORKERS] [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<String>,

    /// Kernel offloads that may be used: `all`, `none`, or names such as `tun_tcp,udp_gro` [env: MESHD_OFFLOADS] [default: all]
    #[arg(long, value_name = "all|none|NAMES")]
    pub(crate) offloads: Option<String>,

    /// Pair keys against quantum computers: off, prefer or require [env: MESHD_POST_QUANTUM] [default: off]
    #[arg(long, value_name = "MODE")]
    pub(crate) post_quantum: Option<String>,

    /// This host's name when it starts or joins a mesh [env: MESHD_NAME] [default: the host name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// What to log, such as `info` or `info,meshd=debug` [env: MESHD_LOG]
    #[arg(long, value_name = "FILTER")]
    pub(crate) log: Option<String>,

    /// How to log: text, json, journald or auto [env: MESHD_LOG_FORMAT] [default: auto]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,
}

impl RunArgs {
    /// What `flag` (such as `--tun`) was given, if it was.
    pub(crate) fn value_of(&self, flag: &str) -> Option<&str> {
        match flag {
            "--config" => self.config.as_deref(),
            "--state-dir" => self.state_dir.as_deref(),
            "--socket" => self.socket.as_deref(),
            "--tun" => self.tun.as_deref(),
            "--listen" => self.listen.as_deref(),
            "--workers" => self.workers.as_deref(),
            "--offloads" => self.offloads.as_deref(),
            "--post-quantum" => self.post_quantum.as_deref(),
            "--name" => self.name.as_deref(),
            "--log" => self.log.as_deref(),
            "--log-format" => self.log_format.as_deref(),
            _ => None,
        }
    }
}

/// A plain device.
#[derive(Debug, Clone, ClapArgs)]
#[command(after_help = "\
The interface is down and without addresses until told otherwise:
  meshd wg wg0
  wg setconf wg0 wg0.conf
  ip address add 10.0.0.1/24 dev wg0
  ip link set wg0 up
On SIGUSR1 it writes its counters to the log: drops by reason, offloads, packet threads.
It ends with SIGTERM, with `ip link del wg0`, and when /var/run/wireguard/wg0.sock is removed.")]
pub(crate) struct WgArgs {
    /// Name of the interface to make
    #[arg(value_name = "IF")]
    pub(crate) interface: String,

    /// Stay in the foreground instead of going to the background once the device is ready
    #[arg(short, long)]
    pub(crate) foreground: bool,

    /// Packet threads, 1 to 8, that share the peers [env: MESHD_WORKERS] [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<String>,

    /// Kernel offloads that may be used: `all`, `none`, or names such as `tun_tcp,udp_gro` [env: MESHD_OFFLOADS] [default: all]
    #[arg(long, value_name = "all|none|NAMES")]
    pub(crate) offloads: Option<String>,

    /// What to log, such as `info` or `info,meshd=debug` [env: MESHD_LOG]
    #[arg(long, value_name = "FILTER")]
    pub(crate) log: Option<String>,

    /// How to log: text, json, journald or auto [env: MESHD_LOG_FORMAT] [default: auto]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,

    /// Where the stamp of the last handshake is kept, for hosts whose clock is set back
    #[arg(long, value_name = "DIR", default_value = "/var/lib/meshd-wg")]
    pub(crate) state_dir: PathBuf,

    /// What the process in the background is started with
    #[arg(long, hide = true, requires = "foreground")]
    pub(crate) detached: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_flag_is_found_by_its_name() {
        let flags = [
            "config",
            "state-dir",
            "socket",
            "tun",
            "listen",
            "workers",
            "offloads",
            "post-quantum",
            "name",
            "log",
            "log-format",
        ];
        let mut line = vec!["meshd".to_owned(), "run".to_owned()];
        line.extend(flags.iter().map(|flag| format!("--{flag}={flag}")));
        let args = Args::try_parse_from(line).expect("all flags");
        let Command::Run(run) = args.command else {
            panic!("not `run`");
        };
        for flag in flags {
            assert_eq!(run.value_of(&format!("--{flag}")), Some(flag));
        }
    }
}
